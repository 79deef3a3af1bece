"""What a name that somebody types is taken for, and from where that is known.

In this order: a directory or config.json; the local Hugging Face cache; the catalogue; the Hub; the
format that a published name ends in. A base named by ``--like`` stands in for the last two.
The catalogue comes before the Hub because it answers at once and anywhere with what the Hub has;
the cache comes before it because what lies there is what an engine loads.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from autotune.catalog.architecture.families import Config, optional_int, text_config
from autotune.catalog.architecture.profile import ModelProfile, profile_from_config
from autotune.catalog.hub import ask_hub
from autotune.catalog.model_files import ModelFiles, cached_snapshot, model_directory, read_files
from autotune.catalog.models import (
    catalogue_names,
    catalogued,
    find_model,
    is_catalogued,
    model_config,
    published_name,
    remember_model,
    remembered,
)
from autotune.catalog.recorded_models import carried_by
from autotune.errors import InvalidConfigError, InvalidModelConfigError, UnknownModelError

_PATIENCE_S = 6.0
# What tells two shapes apart, where both configs say it.
_SHAPE = (
    *("hidden_size", "n_embd", "d_model", "intermediate_size", "num_hidden_layers", "n_layer"),
    *("num_attention_heads", "num_key_value_heads", "head_dim", "moe_intermediate_size"),
    *("num_experts", "num_local_experts", "n_routed_experts"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedModel:
    """What a name was taken for.

    Attributes:
        profile: Under the name that records carry.
        config: Its config.json; a made-up one where only its name or ``--like`` tells of it.
        published: What an engine is told to load: a directory, or a name on the Hub.
        directory: Where its files lie on this machine, if they do.
        carried: What a record of it says, so that who knows no such name can read it.
        remark: What it was taken for and from where; ``None`` where the name says it.
    """

    profile: ModelProfile
    config: Mapping[str, object]
    published: str
    directory: Path | None = None
    carried: Mapping[str, object] = field(default_factory=dict)
    remark: str | None = None


def identify_model(name: str, like: str | None = None) -> ModelProfile:
    """Return the profile under the name that records carry; see ``name_model``."""
    return name_model(name, like).profile


def name_model(name: str, like: str | None = None) -> NamedModel:
    """Find out what a name means, and remember it for this process.

    Args:
        like: A model whose architecture the name is given where nothing but the name is known.

    Raises:
        UnknownModelError: When nobody knows the name.
        InvalidModelConfigError: When a config.json cannot be used, or a hub gives none.
        InvalidConfigError: When ``like`` means nothing.
    """
    base = None if like is None else _base(like)
    directory = model_directory(name)
    known = _in_directory(directory) if directory is not None else _known(name.strip())
    if base is None:
        return known or _elsewhere(name.strip())
    if known is None:
        return _as_like(name.strip(), base)
    unused = f"{name} is known by itself: --like {like} was not used"
    remark = unused if known.remark is None else f"{known.remark}. {unused}"
    return dataclasses.replace(known, remark=remark)


def _base(like: str) -> NamedModel:
    try:
        return name_model(like)
    except UnknownModelError as error:
        raise InvalidConfigError(f"like={like!r}: {error}") from error


def _in_directory(directory: Path) -> NamedModel:
    """Describe a directory's model, under the directory's name or the catalogue's."""
    files, label = read_files(directory), directory.resolve().name
    own = _profile(label, files, f"{directory}/config.json")
    known = catalogued(label) if is_catalogued(label) else None
    named = NamedModel(
        profile=own,
        config=files.config,
        published=str(directory),
        directory=directory,
        carried=carried_by(own, files.config),
    )
    if known is None or known.n_params != own.n_params or not _same_format(known, own):
        remember_model(own, files.config)
        return named
    remark = f"{directory} was taken for {known.name}, whose shape it has"
    return dataclasses.replace(named, profile=known, remark=remark)


def _same_format(known: ModelProfile, own: ModelProfile) -> bool:
    wide = {"float16", "bfloat16", "float32"}
    return known.dtype == own.dtype or {known.dtype, own.dtype} <= wide


def _known(name: str) -> NamedModel | None:
    """Return what this machine, the catalogue or runs know of a name."""
    snapshot = cached_snapshot(name)
    if is_catalogued(name):
        return _other_than_catalogued(name, snapshot) or _in_catalogue(name, snapshot)
    if snapshot is not None:
        source = f"config.json in the local Hugging Face cache ({snapshot.name[:12]})"
        return _of_files(name, read_files(snapshot), source)
    recorded = remembered(name)
    if recorded is None or recorded.taken_for is not None:
        return None
    return _by_profile(recorded, f"{name} is described by {recorded.source}")


def _other_than_catalogued(name: str, snapshot: Path | None) -> NamedModel | None:
    """Describe a cached model that bears a catalogue's name without being of its shape.

    Configs leave out what their class has as a default, so only what both say is compared.
    """
    if snapshot is None:
        return None
    try:
        files, known = read_files(snapshot), model_config(catalogued(name).name)
        if not _contradict(files.config, known):
            return None
        found = _of_files(name, files, "")
    except InvalidModelConfigError:  # cannot be read, where the catalogue can
        return None
    return dataclasses.replace(
        found,
        remark=f"{name} is not the catalogue's model of that name: the config.json in the local "
        f"Hugging Face cache ({snapshot.name[:12]}) describes another, which is what would be "
        "served",
    )


def _contradict(own: Config, known: Config) -> bool:
    mine, theirs = text_config(own), text_config(known)
    is_quantised = [bool(config.get("quantization_config")) for config in (mine, theirs)]
    return is_quantised[0] != is_quantised[1] or any(
        optional_int(mine, key) != optional_int(theirs, key)
        for key in _SHAPE
        if mine.get(key) is not None and theirs.get(key) is not None
    )


def _in_catalogue(name: str, directory: Path | None) -> NamedModel:
    """Describe a catalogue's model, by what runs say of it where they do."""
    profile, published = remembered(name) or catalogued(name), published_name(name)
    remark = None
    if published.lower() != catalogued(name).name.lower():
        remark = f"{published} was taken for {catalogued(name).name} of the catalogue, whose shape "
        remark += "it has"
    return NamedModel(
        profile=profile,
        config=model_config(name),
        published=published,
        directory=directory,
        remark=remark,
    )


def _profile(name: str, files: ModelFiles, source: str) -> ModelProfile:
    profile = profile_from_config(files.config, name=name, source=source)
    return dataclasses.replace(profile, checkpoint_bytes=files.checkpoint_bytes)


def _of_files(name: str, files: ModelFiles, source: str) -> NamedModel:
    """Describe a model by its files in the cache, and remember it by name."""
    profile = _profile(name, files, source)
    remember_model(profile, files.config)
    named = _by_profile(profile, f"{name} is described by {source}")
    return dataclasses.replace(named, directory=files.directory)


def _by_profile(profile: ModelProfile, remark: str) -> NamedModel:
    """Describe a model that ``find_model`` finds under the profile's name."""
    config = model_config(profile.name)
    return NamedModel(
        profile=profile,
        config=config,
        published=profile.name,
        carried=carried_by(profile, config),
        remark=remark,
    )


def _as_like(name: str, base: NamedModel) -> NamedModel:
    profile = dataclasses.replace(
        base.profile,
        name=name,
        source=f"{base.profile.name}, by --like",
        taken_for=base.profile.name,
        published_params_b=None,
    )
    remember_model(profile, base.config)
    return _by_profile(profile, f"{name} was taken for {profile.source}")


def _elsewhere(name: str) -> NamedModel:
    """Describe a model by what the Hub says, else by its name or what runs took it for."""
    try:
        guessed = find_model(name)
    except UnknownModelError:
        guessed = None
    answer = ask_hub(name, _PATIENCE_S if guessed is None else _PATIENCE_S / 2)
    if answer.directory is not None:
        source = f"the config.json that the Hub gave ({answer.directory.name[:12]})"
        return _of_files(name, read_files(answer.directory), source)
    if guessed is None:
        raise UnknownModelError(name, catalogue_names(), hub=answer.reason)
    return _by_profile(guessed, f"{name} was taken for {guessed.source}. The Hub {answer.reason}")
