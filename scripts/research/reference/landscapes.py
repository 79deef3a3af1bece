"""Landscapes that were measured in full: what is asked of each, and what was the best."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from autotune.errors import InvalidRecordError
from autotune.schema.record import RunRecord
from autotune.schema.workload import Workload
from autotune.store.journal import read_journal
from recommender.evaluation.protocols import score
from recommender.recommendation.query import Query
from recommender.surrogate.evidence import related_runs

REFERENCE: Final = Path(__file__).parents[3] / "mlruns" / "reference"
_CONFIRMED: Final = REFERENCE / "confirmed"

Cell = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceLandscape:
    """One journal's runs of one model, engine and workload on one GPU.

    Attributes:
        name: The journal's, without its ending.
        rows: One run a (n_gpus, batch_size), smallest first; failed ones count 0 tok/s.
    """

    name: str
    rows: tuple[RunRecord, ...]

    def __post_init__(self) -> None:
        cells = [(row.n_gpus, row.batch_size) for row in self.rows]
        if len(set(cells)) < len(cells):
            raise InvalidRecordError(f"{self.name} holds a configuration twice: keep one run each")

    @property
    def workload(self) -> Workload:
        """The workload of all rows."""
        first = self.rows[0]
        return Workload(input_len=first.input_len or 1, output_len=first.output_len or 1)

    @property
    def title(self) -> str:
        """Name and tokens in/out."""
        return f"{self.name} {self.workload.input_len}/{self.workload.output_len}"

    @property
    def weights(self) -> str:
        """Whether the weights were random, as the runs themselves say."""
        return ", ".join(sorted({str(r.environment.get("weights", "unknown")) for r in self.rows}))

    @property
    def best(self) -> float:
        """The highest throughput measured, tok/s."""
        return max(score(row) for row in self.rows)

    def throughput(self, cell: Cell) -> float | None:
        """Return what (n_gpus, batch_size) brought, tok/s; ``None`` where it was not measured."""
        found = (score(row) for row in self.rows if (row.n_gpus, row.batch_size) == cell)
        return next(found, None)

    def regret(self, cell: Cell) -> float | None:
        """Return 1 - throughput / best of a cell; ``None`` where it was not measured."""
        reached = self.throughput(cell)
        return None if reached is None else 1 - reached / self.best

    def query(self, source_gpu: str | None = None) -> Query:
        """Return the question that the landscape answers."""
        first = self.rows[0]
        return Query(
            model=first.model,
            target_gpu=first.gpu,
            source_gpu=source_gpu,
            engine=first.engine,
            objective="replica",
            max_gpus=max(row.n_gpus for row in self.rows),
            max_batch_size=max(row.batch_size for row in self.rows),
            dtype=first.dtype or "auto",
            workload=self.workload,
        )

    def evidence(self, runs: Sequence[RunRecord]) -> list[RunRecord]:
        """Return those of other models' runs that correct predictions for it."""
        first = self.rows[0]
        others = [run for run in runs if run.model != first.model]
        return related_runs((), others, gpu=first.gpu, engines=[first.engine])


def measured_journals() -> list[Path]:
    """Return the journals of what was measured for its own sake, confirmations left out."""
    found = sorted(REFERENCE.rglob("*.jsonl"))
    return [path for path in found if not path.is_relative_to(_CONFIRMED)]


def reference_landscapes(journals: Sequence[Path]) -> list[ReferenceLandscape]:
    """Return the closed-batch landscapes of journals, in their order.

    Raises:
        JournalError: When a journal cannot be read.
        InvalidRecordError: When one holds a configuration twice.
    """
    found = []
    for path in journals:
        records = [r for r in read_journal(path) if r.mode == "closed_batch" and not r.suspect]
        for lengths in sorted({(r.input_len or 0, r.output_len or 0) for r in records}):
            rows = [r for r in records if (r.input_len or 0, r.output_len or 0) == lengths]
            rows.sort(key=lambda row: (row.n_gpus, row.batch_size))
            found.append(ReferenceLandscape(name=path.stem, rows=tuple(rows)))
    return found
