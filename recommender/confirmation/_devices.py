"""What a confirmation measures with: this host, or recorded runs."""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

from autotune.catalog.gpus import find_gpu
from autotune.catalog.models import find_model
from autotune.errors import UnknownGpuError, UnknownModelError
from autotune.schema.record import Configuration, RunRecord
from recommender.recommendation.candidates import cell


class Device(Protocol):
    """Whatever runs a configuration: this host, or recorded runs."""

    def can_run(self, configuration: Configuration) -> bool:
        """Whether a run of it is to be had."""

    def run(self, configuration: Configuration) -> RunRecord:
        """Run it; a failure is a record too."""


class Replay:
    """Recorded runs as the measuring device."""

    def __init__(self, records: Sequence[RunRecord]) -> None:
        self._runs: dict[tuple[object, ...], RunRecord] = {}
        for record in records:
            if not record.suspect:
                self._runs.setdefault(cell(canonical(record)), record)

    def can_run(self, configuration: Configuration) -> bool:
        """Whether it was recorded."""
        return cell(configuration) in self._runs

    def run(self, configuration: Configuration) -> RunRecord:
        """Return the recorded run as a confirmatory one."""
        found = canonical(self._runs[cell(configuration)])
        return dataclasses.replace(found, purpose="confirm", run_key=None)


def canonical(record: RunRecord) -> RunRecord:
    """Return the record under catalogue names; as it is when the catalogue does not know them."""
    try:
        model, gpu = find_model(record.model).name, find_gpu(record.gpu).name
    except (UnknownModelError, UnknownGpuError):
        return record
    return dataclasses.replace(record, model=model, gpu=gpu, run_key=None)
