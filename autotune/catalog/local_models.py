"""Models that live in a directory: the name their records carry, and how that name is found again.

A directory's model is recorded under the directory's own name, never under its path; when the name
and the architecture are those of a catalogue entry, it is that entry. The config.json of any other
travels in the record's environment (``model_config``), so that a store read on another machine
still knows the architecture.
"""

import dataclasses
from collections.abc import Iterable
from pathlib import Path

from autotune.catalog.models import (
    ModelProfile,
    find_model,
    is_model_directory,
    model_config,
    remember_model,
)
from autotune.errors import UnknownModelError
from autotune.schema.record import RunRecord

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
