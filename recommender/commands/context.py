"""What advice rests on: the surrogate in force and the runs known of a model, without MLflow."""

import functools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from autotune.catalog.gpus import remember_recorded_gpus
from autotune.catalog.naming import NamedModel, name_model
from autotune.catalog.recorded_models import remember_recorded
from autotune.schema.record import RunRecord
from autotune.store.bundled import reference_runs
from autotune.store.cache import RecordCache
from autotune.store.location import store_directory
from recommender.features.table import keep_up_with
from recommender.surrogate.evidence import related_runs
from recommender.surrogate.in_force import load_predictor, set_aside
from recommender.surrogate.predictor import Predictor


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The surrogate, the known runs of one model, some of others, and the store's directory.

    Attributes:
        model: Name that records of it carry.
        published: What an engine is told to load: a directory, or a name on the Hub.
        remarks: What the user should know of these, a sentence each.
    """

    model: str
    published: str
    predictor: Predictor
    known: tuple[RunRecord, ...]
    others: tuple[RunRecord, ...]
    directory: Path
    remarks: tuple[str, ...] = ()

    def evidence(self, gpu: str, engines: Collection[str]) -> list[RunRecord]:
        """Return what corrects predictions for a GPU: the model's runs, and others' beside them."""
        return [*self.known, *related_runs(self.known, self.others, gpu=gpu, engines=engines)]


def open_context(model: str, tracking_uri: str, like: str | None = None) -> Context:
    """Gather what is known of a model.

    Args:
        model: Catalogue name or alias, directory with a config.json, or a recorded name.
        like: Model whose architecture it has, where only its name is known.

    Raises:
        UnknownModelError: When it is none of these.
        SurrogateError: When the surrogate in force is damaged.
    """
    return contexts(tracking_uri, like)(model)


def contexts(tracking_uri: str, like: str | None = None) -> Callable[[str], Context]:
    """Return what gathers as ``open_context`` does, for any number of models of one store."""
    directory = store_directory(tracking_uri)
    cache = RecordCache(directory)
    aside = set_aside(directory)
    remarks = () if aside is None else (aside,)

    @functools.cache
    def predictor() -> Predictor:
        return load_predictor(directory)

    @functools.cache
    def sample(*, is_cached: bool) -> list[RunRecord]:
        return cache.sample() if is_cached else _uncached(tracking_uri)

    @functools.cache
    def context_of(model: str) -> Context:
        named = _named(model, like, directory)
        name = named.profile.name
        known = cache.read(model=name)
        runs = sample(is_cached=known is not None)
        if known is None:
            known = [run for run in runs if run.model == name]
        unlike = remember_recorded_gpus([*known, *runs])
        return Context(
            model=name,
            published=named.published,
            predictor=predictor(),
            known=tuple(known),
            others=tuple(run for run in runs if run.model != name),
            directory=directory,
            remarks=(*remarks, *unlike, *([] if named.remark is None else [named.remark])),
        )

    return context_of


def _named(model: str, like: str | None, directory: Path) -> NamedModel:
    """Find out what a name means; remembers models that only records know."""
    runs = RecordCache(directory).read(model=model)
    if runs:
        remember_recorded(runs)
    named = name_model(model, like)
    keep_up_with(named.profile)
    return named


def known_runs(tracking_uri: str, model: str) -> Sequence[RunRecord]:
    """Return the store's runs of a model from the cache; opens MLflow only when there is none.

    Of a store that does not exist yet, the runs that it will be given when it is first opened.
    """
    cached = RecordCache(store_directory(tracking_uri)).read(model=model)
    if cached is not None:
        return cached
    return [run for run in _uncached(tracking_uri) if run.model == model]


def _uncached(tracking_uri: str) -> list[RunRecord]:
    """Return the runs of a store that has no cache."""
    if not has_store(tracking_uri):
        return reference_runs(tracking_uri)
    from autotune.store.tracking.store import Store

    return Store(tracking_uri).read()


def has_store(tracking_uri: str) -> bool:
    """Whether there is a store to read (a local one that nobody has written to is not there)."""
    if tracking_uri.startswith("sqlite:///"):
        return Path(tracking_uri.removeprefix("sqlite:///")).exists()
    return True
