"""One configuration on a device: tried again after an accident, a failed start charged rightly."""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

from autotune.runner.runner import Start, failed_to_start
from autotune.schema.record import CONFIGURATION_FIELDS, RunRecord
from autotune.schema.workload import Workload
from autotune.study.planning import Planned, start_for
from autotune.study.remaining import charge, identity


class Device(Protocol):
    """Whatever runs a configuration: a bench, or recorded runs."""

    def run(self, start: Start, workload: Workload, batch_size: int) -> RunRecord:
        """Run one on an engine started as ``start`` says; a failure is a record too."""


def run_twice(device: Device, item: Planned, part: Sequence[Planned]) -> RunRecord:
    """Run a configuration, and once more after a failure that may have been an accident.

    Args:
        part: What the engine start is sized for. One that runs out of memory is charged to the
            largest of it.
    """
    start = start_for(part)
    record = device.run(start, item.workload, item.batch_size)
    if record.status not in ("completed", "out_of_memory"):
        record = device.run(start, item.workload, item.batch_size)
    assert identity(record) == identity(item.configuration), "the device ran something else"
    if record.status != "out_of_memory" or not failed_to_start(record):
        return record
    charged = charge(part)
    fields = {name: getattr(charged, name) for name in CONFIGURATION_FIELDS}
    return dataclasses.replace(record, **fields, run_key=None)
