"""Language models: catalogue look-up with aliases, and profiles from a Hugging Face config.json."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from autotune.catalog.architecture.families import Config
from autotune.catalog.architecture.profile import ModelProfile, profile_from_config
from autotune.catalog.model_files import model_directory, read_files
from autotune.catalog.published_names import NamedFormat, in_format, quantised_config, split_name
from autotune.errors import UnknownModelError

__all__ = [
    "CatalogueEntry",
    "ModelProfile",
    "catalogue_names",
    "catalogued",
    "find_model",
    "is_catalogued",
    "is_model_directory",
    "load_models",
    "load_profile_dir",
    "model_config",
    "profile_from_config",
    "published_name",
    "remember_model",
    "remembered",
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


class _Remembered(NamedTuple):
    profile: ModelProfile
    config: Config


_REMEMBERED: dict[str, _Remembered] = {}


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
    """Whether ``name`` is a directory that holds a config.json, or that file."""
    return model_directory(name) is not None


def is_catalogued(name: str) -> bool:
    """Whether the catalogue holds a name, as its own or as an alias, whoever publishes it."""
    return _canonical(name) is not None


def catalogued(name: str) -> ModelProfile:
    """Return the profile of a catalogue name or alias.

    Raises:
        UnknownModelError: lists the nearest names.
    """
    return _catalogue_profile(_known(name))


def find_model(name: str) -> ModelProfile:
    """Return the profile of a directory with a config.json, or of a name.

    A name is one that this process remembers, of the catalogue, or of a catalogue's model in the
    format that the name ends in. Neither the Hub nor its cache is asked: see ``naming``.

    Raises:
        UnknownModelError: lists the nearest names.
        InvalidModelConfigError: the directory's config.json cannot be used.
    """
    directory = model_directory(name)
    if directory is not None:
        return load_profile_dir(directory)
    if name in _REMEMBERED:
        return _REMEMBERED[name].profile
    if (told := _by_format(name)) is not None:
        return in_format(catalogued(told[0]), told[1], name.strip())
    return catalogued(name)


def model_config(name: str) -> dict[str, object]:
    """Return the config.json of whatever ``find_model`` finds; made up for a format known by name.

    Raises:
        UnknownModelError: as ``find_model``.
    """
    directory = model_directory(name)
    if directory is not None:
        return read_files(directory).config
    if name in _REMEMBERED:
        return dict(_REMEMBERED[name].config)
    if (told := _by_format(name)) is not None:
        return quantised_config(model_config(told[0]), told[1])
    return dict(load_models()[_known(name)].config)


def remember_model(profile: ModelProfile, config: Config) -> None:
    """Make a model that is not in the catalogue findable by its profile's name in this process."""
    _REMEMBERED[profile.name] = _Remembered(profile, config)


def remembered(name: str) -> ModelProfile | None:
    """Return the profile that ``remember_model`` was given last under a name."""
    return _REMEMBERED[name].profile if name in _REMEMBERED else None


def load_profile_dir(path: Path) -> ModelProfile:
    """Return the profile of the model in a directory that holds a config.json."""
    files = read_files(path)
    profile = profile_from_config(files.config, name=str(path), source=f"{path}/config.json")
    return dataclasses.replace(profile, checkpoint_bytes=files.checkpoint_bytes)


def published_name(name: str) -> str:
    """Return what the Hub calls a catalogue name or alias: an alias under its own name.

    Raises:
        UnknownModelError: lists the nearest names.
    """
    canonical, key = _known(name), _key(name)
    entry = load_models()[canonical]
    spellings = {_key(alias): alias for alias in (canonical, *entry.aliases) if "/" in alias}
    if key in spellings:
        return spellings[key]
    if "/" in key:
        return name.strip()
    last_parts = {known.rpartition("/")[2]: alias for known, alias in spellings.items()}
    return last_parts.get(key, canonical)


def _by_format(name: str) -> tuple[str, NamedFormat] | None:
    """Return the catalogue's model and the format that a name tells which is not in it."""
    told = None if is_catalogued(name) else split_name(name)
    if told is None:
        return None
    # Bases that were converted for transformers say so; who quantises them leaves it out.
    bases = (base for base in (told[0], f"{told[0]}-hf") if is_catalogued(base))
    base = next(bases, None)
    return None if base is None else (base, told[1])


def _known(name: str) -> str:
    canonical = _canonical(name)
    if canonical is None:
        raise UnknownModelError(name, load_models())
    return canonical


def _canonical(name: str) -> str | None:
    return _index().get(_key(name)) or _index().get(_key(name).rpartition("/")[2])


def _key(name: str) -> str:
    return name.strip().lower().replace(" ", "-")


@cache
def _catalogue_profile(name: str) -> ModelProfile:
    entry = load_models()[name]
    return profile_from_config(
        entry.config, name=name, source=entry.source, published_params_b=entry.params_b
    )
