"""Our predictions beside another tool's, on cells that were measured."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recommender.confirmation.confirm import confirm
from recommender.confirmation.devices import Replay
from recommender.recommendation.recommend import recommend
from recommender.surrogate.predictor import Predictor
from research.reference.landscapes import Cell, ReferenceLandscape
from research.reference.proof import RUNS
from research.reference.report import percent, table

# Mode of the other tool -> tok/s
Estimates = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One measured cell. Throughputs in tok/s.

    Attributes:
        before: Ours with nothing known.
        after: Ours with the confirmatory runs known; ``None`` for a cell that was one of them.
        theirs: The other tool's, by its mode; without the modes that have no answer.
    """

    landscape: str
    n_gpus: int
    batch_size: int
    measured: float
    before: float
    after: float | None
    theirs: Estimates


def closed_batch_throughput(
    batch_size: int, output_len: int, *, ttft_ms: float, tpot_ms: float
) -> float:
    """Return the generated tok/s of a batch whose requests all start and end together."""
    return batch_size * output_len * 1000 / (ttft_ms + (output_len - 1) * tpot_ms)


def compare(
    land: ReferenceLandscape, predictor: Predictor, estimates: Mapping[Cell, Estimates]
) -> list[Compared]:
    """Return the landscape's completed cells for which there is an estimate."""
    made = recommend(land.query(), predictor)
    done = confirm(made, Replay(land.rows), predictor, runs=RUNS)
    known = [run.record for run in done.runs]
    tried = {(run.n_gpus, run.batch_size) for run in known}
    rows = [
        row for row in land.rows if row.is_measured and estimates.get((row.n_gpus, row.batch_size))
    ]
    asked = [row.configuration for row in rows]
    before, after = predictor.predict(asked), predictor.predict(asked, known)
    return [
        Compared(
            landscape=land.title,
            n_gpus=row.n_gpus,
            batch_size=row.batch_size,
            measured=row.output_throughput or 0.0,
            before=blind.output_throughput,
            after=None if (row.n_gpus, row.batch_size) in tried else taught.output_throughput,
            theirs=estimates[(row.n_gpus, row.batch_size)],
        )
        for row, blind, taught in zip(rows, before, after, strict=True)
    ]


def markdown(cells: Sequence[Compared], tool: str, modes: Sequence[str]) -> str:
    """Return the table of all cells, with median errors at the bottom."""
    header = ["landscape", "GPUs", "batch", "measured", "ours, 0 runs", "error"]
    header += [f"ours, {RUNS} runs", "error"]
    for mode in modes:
        header += [f"{tool}, {mode}", "error"]
    rows = [_row(cell, modes) for cell in cells]
    left = [cell for cell in cells if cell.after is not None]
    rows.append(_medians("median error", cells, modes))
    rows.append(_medians("median error, cells not run", left, modes))
    return table(header, rows)


def _row(cell: Compared, modes: Sequence[str]) -> list[str]:
    prediction = [cell.before, cell.after, *(cell.theirs.get(mode) for mode in modes)]
    texts = [cell.landscape, str(cell.n_gpus), str(cell.batch_size), f"{cell.measured:,.0f}"]
    for value in prediction:
        error = None if value is None else value / cell.measured - 1
        texts += ["-" if value is None else f"{value:,.0f}"]
        texts += ["-" if error is None else f"{error:+.1%}"]
    return texts


def _medians(label: str, cells: Sequence[Compared], modes: Sequence[str]) -> list[str]:
    """Return the median errors; of predictions after runs where every cell has one."""
    after = [cell.after for cell in cells]
    prediction: list[list[float | None]] = [
        [cell.before for cell in cells],
        after if None not in after else [],
        *([cell.theirs.get(mode) for cell in cells] for mode in modes),
    ]
    texts = [label, "", "", ""]
    for values in prediction:
        texts += ["", _median_error(cells, values)]
    return texts


def _median_error(cells: Sequence[Compared], prediction: Sequence[float | None]) -> str:
    errors = [
        abs(value / cell.measured - 1)
        for cell, value in zip(cells, prediction, strict=False)
        if value is not None
    ]
    return percent(statistics.median(errors) if errors else None)
