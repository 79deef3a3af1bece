"""What is left of a study: decided by the plan and the records alone, so that a resume agrees.

Out of memory rules out whatever needs at least as much of the same engine start. A start that ran
out of memory was sized for several configurations: they are cut in two, the smaller batches first.
An engine that would not start for another reason ends everything of its start.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

from autotune.runner.runner import Trial, failed_to_start
from autotune.schema.configuration import Configuration, Identity, identity, start_of
from autotune.schema.record import RunRecord
from autotune.study.pruning import flat_sweeps
from autotune.views.wording import describe_start


def charge(planned: Sequence[Trial]) -> Configuration:
    """Return what a failed start for these is charged to: the largest batch, the longest requests.

    Whatever needs no less than that needs a start that is no smaller.
    """
    longest = max(planned, key=lambda p: p.workload.max_len)
    largest = max(p.batch_size for p in planned)
    return dataclasses.replace(longest.configuration, batch_size=largest)


def open_parts(planned: Sequence[Trial], records: Sequence[RunRecord]) -> list[list[Trial]]:
    """Return what is left, in parts that an engine start each is sized for.

    The parts of one start configuration follow each other, and the first is to be done before the
    next.
    """
    history: dict[Identity, list[RunRecord]] = {}
    for record in records:
        history.setdefault(start_of(record), []).append(record)
    groups: dict[Identity, list[Trial]] = {}
    for item in planned:
        groups.setdefault(start_of(item.configuration), []).append(item)
    return [
        part for start, group in groups.items() for part in _parts(group, history.get(start, []))
    ]


def _parts(group: list[Trial], records: Sequence[RunRecord]) -> list[list[Trial]]:
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


def _left(part: Sequence[Trial], records: Sequence[RunRecord]) -> list[Trial]:
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


def _halves(planned: Sequence[Trial]) -> list[list[Trial]]:
    """Cut into the smaller and the larger batches, each in the plan's order."""
    ordered = sorted(range(len(planned)), key=lambda i: planned[i].batch_size)
    middle = (len(ordered) + 1) // 2
    halves = (ordered[:middle], ordered[middle:])
    return [[planned[i] for i in sorted(half)] for half in halves if half]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remaining:
    """What is left.

    Attributes:
        parts: What memory and failures leave, in parts that an engine start each is sized for; of
            one start configuration the smaller batches come first.
        spared: What of it a flat sweep spares.
        remarks: Why anything is not run, a sentence each.
    """

    parts: list[list[Trial]]
    spared: frozenset[Identity]
    remarks: list[str]

    def left_of(self, part: Sequence[Trial]) -> list[Trial]:
        """Return what of a part is still to be run."""
        return [trial for trial in part if identity(trial.configuration) not in self.spared]

    @property
    def trials(self) -> list[Trial]:
        """All that is still to be run."""
        return [trial for part in self.parts for trial in self.left_of(part)]

    @property
    def baselines(self) -> list[Trial]:
        """What is to be run before anything else."""
        return [trial for trial in self.trials if trial.is_baseline]

    @property
    def choices(self) -> list[Trial]:
        """What may be run next: of each start configuration the first part."""
        begun: list[object] = []
        choices: list[Trial] = []
        for part in self.parts:
            left = self.left_of(part)
            if left and left[0].config not in begun:
                begun.append(left[0].config)
                choices += left
        return choices

    def served_with(self, trial: Trial) -> list[Trial]:
        """Return all that the engine start for a trial is to be sized for."""
        return next(part for part in self.parts if any(trial is member for member in part))


def remaining_of(
    planned: Sequence[Trial], records: Sequence[RunRecord], *, exhaustive: bool
) -> Remaining:
    """Return what is left of a plan.

    Args:
        exhaustive: Whether flat sweeps go on.
    """
    parts = open_parts(planned, records)
    flat = [] if exhaustive else flat_sweeps([item for part in parts for item in part], records)
    spared = {identity(item.configuration) for sweep in flat for item in sweep.skipped}
    return Remaining(
        parts=parts,
        spared=frozenset(spared),
        remarks=[*_failed_starts(planned, records), *(sweep.remark for sweep in flat)],
    )


def _failed_starts(planned: Sequence[Trial], records: Sequence[RunRecord]) -> list[str]:
    done = {identity(record) for record in records}
    waiting = [start_of(i.configuration) for i in planned if identity(i.configuration) not in done]
    return [
        f"{describe_start(record)}: the engine did not start, so {count} more were not run"
        for record in records
        if failed_to_start(record)
        and record.status != "out_of_memory"
        and (count := waiting.count(start_of(record)))
    ]
