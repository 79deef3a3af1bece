"""What a study may do next, seen from its plan and its records alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from autotune.runner.runner import failed_to_start
from autotune.schema.record import RunRecord
from autotune.study.planning import Planned
from autotune.study.pruning import flat_sweeps
from autotune.study.remaining import identity, open_parts, start_of
from autotune.views.wording import describe_start


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Configurations that one engine start is sized for.

    Attributes:
        members: All that memory and failures leave.
        left: Of these, what no flat sweep spares.
    """

    members: list[Planned]
    left: list[Planned]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What is left.

    Attributes:
        parts: Of one start configuration the smaller batches come first.
        remarks: Why anything is not run, a sentence each.
    """

    parts: list[Part]
    remarks: list[str]

    @property
    def n_left(self) -> int:
        """How many configurations are left."""
        return sum(len(part.left) for part in self.parts)

    @property
    def baselines(self) -> list[Planned]:
        """What is to be run before anything else."""
        return [item for part in self.parts for item in part.left if item.is_baseline]

    @property
    def choices(self) -> list[Planned]:
        """What may be run next: of each start configuration the first part."""
        begun: list[object] = []
        choices: list[Planned] = []
        for part in self.parts:
            config = part.left[0].config
            if config not in begun:
                begun.append(config)
                choices += part.left
        return choices

    def served_with(self, item: Planned) -> list[Planned]:
        """Return all that the engine start for ``item`` is to be sized for."""
        return next(part.members for part in self.parts if any(item is m for m in part.left))


def look_ahead(
    planned: Sequence[Planned], records: Sequence[RunRecord], *, exhaustive: bool
) -> Outlook:
    """Return what is left of a plan.

    Args:
        exhaustive: Whether flat sweeps go on.
    """
    parts = open_parts(planned, records)
    flat = [] if exhaustive else flat_sweeps([item for part in parts for item in part], records)
    spared = {identity(item.configuration) for sweep in flat for item in sweep.skipped}
    both = [(p, [i for i in p if identity(i.configuration) not in spared]) for p in parts]
    return Outlook(
        parts=[Part(members=members, left=left) for members, left in both if left],
        remarks=[*_failed_starts(planned, records), *(sweep.remark for sweep in flat)],
    )


def _failed_starts(planned: Sequence[Planned], records: Sequence[RunRecord]) -> list[str]:
    done = {identity(record) for record in records}
    waiting = [start_of(i.configuration) for i in planned if identity(i.configuration) not in done]
    return [
        f"{describe_start(record)}: the engine did not start, so {count} more were not run"
        for record in records
        if failed_to_start(record)
        and record.status != "out_of_memory"
        and (count := waiting.count(start_of(record)))
    ]
