"""A sweep: the batch sizes of one workload on one engine start, and where it may end early.

The largest batch that fits is measured first, then the others from the smallest up. The sweep ends
at batch size b when b brought less than 2 % over the batch size below it and nothing measured
beyond (the largest above all) is more than 2 % faster than the best up to b: what lies between is
flat. Runs that did not complete do not count.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from autotune.runner.runner import Trial
from autotune.schema.configuration import Configuration, Identity, identity
from autotune.schema.record import RunRecord
from autotune.views.wording import describe_start

FLAT = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class FlatSweep:
    """A sweep that is flat.

    Attributes:
        batch_size: Where it became flat.
        skipped: What lies between it and the largest.
    """

    batch_size: int
    skipped: tuple[Trial, ...]

    @property
    def remark(self) -> str:
        """A sentence for the user."""
        example = self.skipped[0].configuration
        sizes = ", ".join(str(planned.batch_size) for planned in self.skipped)
        return (
            f"{describe_start(example)}, {example.input_len}/{example.output_len} tokens: flat "
            f"from batch {self.batch_size} on: {sizes} not run (--exhaustive runs them)"
        )


def flat_sweeps(left: Sequence[Trial], records: Sequence[RunRecord]) -> list[FlatSweep]:
    """Return the sweeps that may end, with what of ``left`` that spares."""
    measured: dict[Identity, dict[int, float]] = {}
    for record in records:
        if record.is_measured and record.output_throughput is not None:
            by_size = measured.setdefault(sweep_of(record), {})
            by_size[record.batch_size] = record.output_throughput
    open_: dict[Identity, list[Trial]] = {}
    for planned in left:
        open_.setdefault(sweep_of(planned.configuration), []).append(planned)
    found = []
    for sweep, members in open_.items():
        sizes = [planned.batch_size for planned in members]
        batch_size = flat_from(measured.get(sweep, {}), sizes)
        if batch_size is not None:
            found.append(FlatSweep(batch_size=batch_size, skipped=tuple(members)))
    return found


def flat_from(measured: Mapping[int, float], left: Collection[int]) -> int | None:
    """Return the batch size at which a sweep may end, or ``None`` while it has to go on.

    Args:
        measured: Batch size -> tok/s of the completed runs.
        left: Batch sizes that could still be run; not empty.
    """
    if max(left) > max(measured, default=0):
        return None
    climbed = sorted(size for size in measured if size < min(left))
    if len(climbed) < 2:
        return None
    below, last = climbed[-2:]
    best = max(measured[size] for size in climbed)
    beyond = max(tok_s for size, tok_s in measured.items() if size > last)
    gained = measured[last] >= measured[below] * (1 + FLAT)
    return None if gained or beyond > best * (1 + FLAT) else last


def sweep_of(configuration: Configuration) -> Identity:
    """Return what the configurations of a sweep share: all but the batch size."""
    plain = configuration.configuration if isinstance(configuration, RunRecord) else configuration
    return identity(dataclasses.replace(plain, batch_size=1))


class Grid:
    """The strategy that measures everything, engine start by engine start and sweep by sweep.

    In a sweep the batch sizes go down until one fits, then up from the smallest.
    """

    def __init__(self) -> None:
        self._fits: dict[Identity, int] = {}

    def ask(self, choices: Sequence[Trial]) -> Trial | None:
        """Return the next in order; ``choices`` come in the plan's order."""
        if not choices:
            return None
        sweep = sweep_of(choices[0].configuration)
        own = [planned for planned in choices if sweep_of(planned.configuration) == sweep]
        largest = max(own, key=lambda planned: planned.batch_size)
        if largest.batch_size > self._fits.get(sweep, 0):
            return largest
        return min(own, key=lambda planned: planned.batch_size)

    def tell(self, planned: Trial, record: RunRecord) -> None:
        """Note the largest batch that fits."""
        if record.status == "completed":
            sweep = sweep_of(planned.configuration)
            self._fits[sweep] = max(record.batch_size, self._fits.get(sweep, 0))
