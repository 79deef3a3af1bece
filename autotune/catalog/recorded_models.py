"""What records say of a model that is not in the catalogue, so that others can read them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from autotune.catalog.architecture.families import Config
from autotune.catalog.architecture.profile import ModelProfile, profile_from_config
from autotune.catalog.models import remember_model
from autotune.schema.record import RunRecord

# Keys of a record's environment.
MODEL_CONFIG = "model_config"
CHECKPOINT_BYTES = "checkpoint_bytes"
TAKEN_FOR = "model_taken_for"


def carried_by(profile: ModelProfile, config: Config) -> Mapping[str, object]:
    """Return what a record's environment says of a model: its config, and what is known beside."""
    known = {
        MODEL_CONFIG: config,
        CHECKPOINT_BYTES: profile.checkpoint_bytes,
        TAKEN_FOR: profile.taken_for,
    }
    return {key: value for key, value in known.items() if value is not None}


def remember_recorded(records: Iterable[RunRecord]) -> None:
    """Make the models of these records findable by the names they carry."""
    seen: set[str] = set()
    for record in records:
        config = record.environment.get(MODEL_CONFIG)
        if isinstance(config, dict) and record.model not in seen:
            seen.add(record.model)
            remember_model(_profile(record, config), config)


def _profile(record: RunRecord, config: Config) -> ModelProfile:
    size, base = (record.environment.get(key) for key in (CHECKPOINT_BYTES, TAKEN_FOR))
    taken_for, source = base if isinstance(base, str) else None, "its recorded runs"
    return dataclasses.replace(
        profile_from_config(config, name=record.model),
        source=source if taken_for is None else f"{taken_for}, as in {source}",
        checkpoint_bytes=size if isinstance(size, int) and size > 0 else None,
        taken_for=taken_for,
    )
