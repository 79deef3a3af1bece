"""Language models: catalogue look-up with aliases, and profiles from a Hugging Face config.json."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from autotune.catalog.architecture.families import Config
from autotune.catalog.architecture.profile import ModelProfile, profile_from_config
from autotune.errors import InvalidModelConfigError, UnknownModelError
from autotune.schema.record import RunRecord

__all__ = [
    "CatalogueEntry",
    "ModelProfile",
    "catalogue_names",
    "find_model",
    "load_models",
    "load_profile_dir",
    "model_config",
    "profile_from_config",
    "remember_model",
]

_CATALOGUE = Path(__file__).parent / "models.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueEntry:
    """A model of the catalogue: its (partial) config.json and where that comes from."""

    name: str
    aliases: tuple[str, ...]
    params_b: float
    source: str
    config: Mapping[str, object]


_REMEMBERED: dict[str, ModelProfile] = {}


@cache
def load_models() -> Mapping[str, CatalogueEntry]:
    """Return the catalogue, canonical name -> entry."""
    entries = tomllib.loads(_CATALOGUE.read_text(encoding="utf-8"))
    return MappingProxyType({name: _entry(name, **fields) for name, fields in entries.items()})


def _entry(
    name: str,
    *,
    aliases: list[str],
    params_b: float,
    source: str,
    config: dict[str, object],
    nulls: tuple[str, ...] = (),
) -> CatalogueEntry:
    """Build an entry; `nulls` are the config keys that are null, which TOML cannot write."""
    return CatalogueEntry(
        name=name,
        aliases=tuple(aliases),
        params_b=params_b,
        source=source,
        config=MappingProxyType(config | dict.fromkeys(nulls)),
    )


def catalogue_names() -> list[str]:
    """Return the canonical names, in the catalogue's order."""
    return list(load_models())


@cache
def _index() -> Mapping[str, str]:
    """Name as `_key` writes it -> canonical name; without its organisation it means the first."""
    full = {
        _key(name): entry.name
        for entry in load_models().values()
        for name in (*entry.aliases, entry.name)
    }
    return {name.rpartition("/")[2]: entry for name, entry in reversed(full.items())} | full


def is_model_directory(name: str) -> bool:
    """Whether ``name`` is a directory that holds a config.json."""
    try:
        return (Path(name) / "config.json").is_file()
    except OSError:  # too long for a path, for one
        return False


def find_model(name: str) -> ModelProfile:
    """Return the profile of a directory with a config.json, or of a catalogue name or alias.

    Raises:
        UnknownModelError: lists the nearest names.
        InvalidModelConfigError: the directory's config.json cannot be used.
    """
    if is_model_directory(name):
        return load_profile_dir(Path(name))
    if name in _REMEMBERED:
        return _REMEMBERED[name]
    return _catalogue_profile(_canonical(name))


def remember_model(name: str, config: Config) -> None:
    """Make a model that is not in the catalogue findable by a name, for this process."""
    _REMEMBERED[name] = profile_from_config(config, name=name)


def model_config(name: str) -> dict[str, object]:
    """Return the config.json of a catalogue model or of a directory."""
    if is_model_directory(name):
        return _read_config(Path(name))
    return dict(load_models()[_canonical(name)].config)


def load_profile_dir(path: Path) -> ModelProfile:
    """Return the profile of the model in a directory that holds a config.json."""
    return profile_from_config(_read_config(path), name=str(path), source=f"{path}/config.json")


def _canonical(name: str) -> str:
    canonical = _index().get(_key(name)) or _index().get(_key(name).rpartition("/")[2])
    if canonical is None:
        raise UnknownModelError(name, load_models())
    return canonical


def _key(name: str) -> str:
    return name.strip().lower().replace(" ", "-")


@cache
def _catalogue_profile(name: str) -> ModelProfile:
    entry = load_models()[name]
    return profile_from_config(
        entry.config, name=name, source=entry.source, published_params_b=entry.params_b
    )


def _read_config(path: Path) -> dict[str, object]:
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as err:
        raise InvalidModelConfigError(f"{path}/config.json is not JSON: {err}") from err
    if not isinstance(config, dict):
        raise InvalidModelConfigError(f"{path}/config.json must hold an object")
    return config


MODEL_CONFIG = "model_config"


def identify_model(name: str) -> ModelProfile:
    """Return the profile under the name that records carry, and remember a directory's.

    Raises:
        UnknownModelError: When it is neither in the catalogue nor a directory with a config.json.
    """
    profile = find_model(name)
    if not is_model_directory(name):
        return profile
    label = Path(name).resolve().name
    try:
        known = find_model(label)
    except UnknownModelError:
        known = None
    if known is not None and known.n_params == profile.n_params:
        return known
    remember_model(label, model_config(name))
    return dataclasses.replace(profile, name=label)


def remember_recorded(records: Iterable[RunRecord]) -> None:
    """Make the models of these records findable by the names they carry."""
    seen: set[str] = set()
    for record in records:
        config = record.environment.get(MODEL_CONFIG)
        if isinstance(config, dict) and record.model not in seen:
            seen.add(record.model)
            remember_model(record.model, config)
