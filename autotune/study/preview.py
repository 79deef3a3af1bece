"""What a study would measure, and whether memory allows it, without starting anything."""

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from autotune.catalog.compatibility import canonical_dtype
from autotune.catalog.gpus import find_gpu
from autotune.catalog.memory import MemoryPlan, plan_memory
from autotune.catalog.naming import identify_model
from autotune.runner.runner import Trial
from autotune.schema.configuration import identity
from autotune.schema.record import RunRecord
from autotune.schema.study_spec import StudySpec
from autotune.store.journal import read_journal
from autotune.study.planning import plan_anywhere
from autotune.study.remaining import remaining_of
from autotune.views.fitted_table import Column, FittedTable
from autotune.views.wording import describe_start, describe_workload

_COLUMNS: Final = (
    Column(name="start", is_words=True),
    Column(name="workload", is_words=True),
    Column(name="batch sizes", is_words=True),
    Column(name="left"),
    Column(name="memory by arithmetic", is_words=True),
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A study's plan beside what its journal holds.

    Attributes:
        planned: Every configuration, in the order of a grid.
        left: Of these, what the records neither hold nor rule out.
    """

    planned: tuple[Trial, ...]
    left: tuple[Trial, ...]

    @property
    def summary(self) -> str:
        """Both counts, and how many engine starts are left."""
        n_starts = len(list(itertools.groupby(self.left, lambda item: item.config)))
        starts = "1 engine start" if n_starts == 1 else f"{n_starts} engine starts"
        return (
            f"{len(self.planned)} configurations, {len(self.left)} left to measure in {starts}; "
            "nothing was started"
        )

    @property
    def table(self) -> FittedTable:
        """A line an engine start and workload."""
        table = FittedTable(_COLUMNS)
        groups = itertools.groupby(self.planned, lambda item: (item.config, item.workload))
        for (config, _), group in groups:
            items = list(group)
            table.add_row(
                describe_start(config),
                describe_workload(items[0].configuration),
                ", ".join(str(item.batch_size) for item in items),
                str(sum(item in self.left for item in items)),
                _verdict(items),
            )
        return table

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the configurations as JSON-ready values, each with its memory and whether left."""
        return [
            {
                **dataclasses.asdict(item.configuration),
                "is_left": item in self.left,
                "memory": None if (plan := memory_of(item)) is None else dataclasses.asdict(plan),
            }
            for item in self.planned
        ]


def preview(spec: StudySpec, journal: Path | None = None) -> Preview:
    """Plan a study for the GPU that it names, or this host's, and set its journal against it.

    Raises:
        UsageError: For what could run on no host with such a GPU.
        EngineUnavailableError: When an engine is not installed here, whose arguments are checked.
        JournalError: When the journal cannot be read.
    """
    planned = plan_anywhere(spec)
    records: Sequence[RunRecord] = []
    if journal is not None and journal.exists():
        records = read_journal(journal)
    remaining = remaining_of(planned, records, exhaustive=spec.goes_on_where_flat)
    ahead = {identity(item.configuration) for item in remaining.trials}
    left = tuple(item for item in planned if identity(item.configuration) in ahead)
    return Preview(planned=tuple(planned), left=left)


def memory_of(item: Trial) -> MemoryPlan | None:
    """Return the memory of the fullest GPU of one replica; ``None`` for an unknown format."""
    config = item.config
    try:
        dtype = canonical_dtype(config.quantization) if config.quantization else config.dtype
    except ValueError:
        return None
    sizes = config.parallel_sizes
    utilization = config.knobs.get("gpu_memory_utilization")
    chosen = {} if utilization is None else {"gpu_memory_utilization": float(utilization)}
    return plan_memory(
        identify_model(config.model, config.like),
        find_gpu(config.gpu),
        engine=config.engine,
        n_gpus=sizes.tensor * sizes.pipeline,
        batch_size=sizes.batch_of_rank(item.batch_size),
        sequence_len=item.workload.max_len,
        dtype=dtype,
        kv_dtype="auto",
        **chosen,
    )


def _verdict(items: Sequence[Trial]) -> str:
    """Say which of one start's and workload's batches fit; vLLM lets those that do not wait."""
    plans = {item.batch_size: plan for item in items if (plan := memory_of(item)) is not None}
    if not plans:
        return f"unknown: quantization {items[0].config.quantization}"
    fitting = [size for size, plan in plans.items() if plan.fits]
    if not fitting:
        smallest = plans[min(plans)]
        return (
            f"does not fit: {smallest.total_gb:.0f} of {smallest.available_gb:.0f} GiB a GPU at "
            f"batch {min(plans)}"
        )
    if len(fitting) < len(plans):
        return f"fits up to batch {max(fitting)}"
    at_once = plans[max(plans)].max_sequences
    return "fits" if at_once >= max(plans) else f"fits, {at_once} sequences at once"
