"""What is left of a study: decided by the plan and the records alone, so that a resume agrees.

Out of memory rules out whatever needs at least as much of the same engine start. A start that ran
out of memory was sized for several configurations: they are cut in two, the smaller batches first.
An engine that would not start for another reason ends everything of its start.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

from autotune.runner.runner import failed_to_start
from autotune.schema.configuration import engine_knobs
from autotune.schema.record import Configuration, RunRecord
from autotune.study.planning import Planned

Identity = tuple[object, ...]


def identity(configuration: Configuration) -> Identity:
    """Return what tells two configurations of one host apart, engine version included."""
    values = (getattr(configuration, f.name) for f in dataclasses.fields(Configuration))
    return tuple(tuple(sorted(v.items())) if isinstance(v, Mapping) else v for v in values)


def start_of(configuration: Configuration) -> Identity:
    """Return what configurations share that one engine start could serve."""
    return identity(
        Configuration(
            engine=configuration.engine,
            engine_version=configuration.engine_version,
            model=configuration.model,
            gpu=configuration.gpu,
            n_gpus=configuration.n_gpus,
            batch_size=1,
            dtype=configuration.dtype,
            quantization=configuration.quantization,
            mode="serving" if configuration.mode == "serving" else "closed_batch",
            knobs=engine_knobs(configuration.knobs),
        )
    )


def charge(planned: Sequence[Planned]) -> Configuration:
    """Return what a failed start for these is charged to: the largest batch, the longest requests.

    Whatever needs no less than that needs a start that is no smaller.
    """
    longest = max(planned, key=lambda p: p.workload.max_len)
    largest = max(p.batch_size for p in planned)
    return dataclasses.replace(longest.configuration, batch_size=largest)


def open_parts(planned: Sequence[Planned], records: Sequence[RunRecord]) -> list[list[Planned]]:
    """Return what is left, in parts that an engine start each is sized for.

    The parts of one start configuration follow each other, and the first is to be done before the
    next.
    """
    history: dict[Identity, list[RunRecord]] = {}
    for record in records:
        history.setdefault(start_of(record), []).append(record)
    groups: dict[Identity, list[Planned]] = {}
    for item in planned:
        groups.setdefault(start_of(item.configuration), []).append(item)
    return [
        part for start, group in groups.items() for part in _parts(group, history.get(start, []))
    ]


def _parts(group: list[Planned], records: Sequence[RunRecord]) -> list[list[Planned]]:
    """Return what is left of one start configuration, given its own records."""
    parts = [group]
    for k, record in enumerate(records):
        if record.status != "out_of_memory" or not failed_to_start(record):
            continue
        for i, part in enumerate(parts):
            wanted = _left(part, records[:k])
            if wanted and identity(charge(wanted)) == identity(record):
                parts[i : i + 1] = _halves(_left(part, records[: k + 1]))
                break
    return [left for part in parts if (left := _left(part, records))]


def _left(part: Sequence[Planned], records: Sequence[RunRecord]) -> list[Planned]:
    """Leave out what was run, what out of memory rules out, and all after a start that failed."""
    if any(failed_to_start(r) and r.status != "out_of_memory" for r in records):
        return []
    done = {identity(record) for record in records}
    too_large = [record for record in records if record.status == "out_of_memory"]
    return [
        item
        for item in part
        if identity(item.configuration) not in done
        and not any(_needs_no_less(item.configuration, record) for record in too_large)
    ]


def _needs_no_less(configuration: Configuration, failed: Configuration) -> bool:
    return _shape(configuration) == _shape(failed) and all(
        mine >= theirs for mine, theirs in zip(_size(configuration), _size(failed), strict=True)
    )


def _size(configuration: Configuration) -> tuple[float, float, float]:
    unknown = math.inf
    return (
        configuration.batch_size,
        configuration.input_len or unknown,
        configuration.output_len or unknown,
    )


def _shape(configuration: Configuration) -> tuple[object, ...]:
    """Return how the requests come and vary, their number and lengths aside."""
    return (configuration.mode, *configuration.workload_knobs.items())


def _halves(planned: Sequence[Planned]) -> list[list[Planned]]:
    """Cut into the smaller and the larger batches, each in the plan's order."""
    ordered = sorted(range(len(planned)), key=lambda i: planned[i].batch_size)
    middle = (len(ordered) + 1) // 2
    halves = (ordered[:middle], ordered[middle:])
    return [[planned[i] for i in sorted(half)] for half in halves if half]
