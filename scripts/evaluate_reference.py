"""The shipped surrogate against this project's own runs, none of which it has learned from.

Usage: scripts/evaluate_reference.py [JOURNAL ...]      (default: mlruns/reference/*.jsonl)

For each journal and workload: the error of every configuration with nothing known, the share inside
the 90 % interval, the regret of the recommended batch size, and the same after three confirmatory
runs by replay (the error then of the configurations not run).
"""

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path

from autotune.journal import read_journal
from autotune.records import RunRecord
from autotune.spec import Workload
from recommender.confirm import confirm
from recommender.devices import Replay
from recommender.predictor import PRETRAINED, Predictor
from recommender.query import Query
from recommender.recommend import recommend

REFERENCE = Path(__file__).parents[1] / "mlruns" / "reference"
HEADER = (
    "| journal | tokens in/out | error | covered | regret | error after 3 runs | covered | regret |"
)


def errors(
    predictor: Predictor, rows: Sequence[RunRecord], known: Sequence[RunRecord]
) -> tuple[float, float]:
    """Return the median error and the coverage of the runs that are not known."""
    tried = {run.batch_size for run in known}
    rest = [row for row in rows if row.batch_size not in tried and row.output_throughput]
    predictions = predictor.predict([row.configuration for row in rest], known)
    pairs = [(p, row.output_throughput or 0.0) for p, row in zip(predictions, rest, strict=True)]
    error = statistics.median(abs(p.output_throughput / real - 1) for p, real in pairs)
    return error, statistics.fmean(p.low <= real <= p.high for p, real in pairs)


def line(predictor: Predictor, name: str, rows: Sequence[RunRecord]) -> str:
    """Return the table's line for one landscape."""
    first = rows[0]
    lengths = Workload(input_len=first.input_len or 1, output_len=first.output_len or 1)
    query = Query(
        model=first.model,
        target_gpu=first.gpu,
        engine=first.engine,
        max_gpus=max(row.n_gpus for row in rows),
        max_batch_size=max(row.batch_size for row in rows),
        dtype=first.dtype or "auto",
        workload=lengths,
    )
    made = recommend(query, predictor)
    best = max(row.output_throughput or 0.0 for row in rows)
    chosen = next(r for r in rows if r.batch_size == made.best.batch_size).output_throughput
    done = confirm(made, Replay(rows), predictor, runs=3)
    error, covered = errors(predictor, rows, [])
    after, covered_after = errors(predictor, rows, [run.record for run in done.runs])
    won = 0.0 if done.winner is None else done.winner.output_throughput
    return (
        f"| {name} | {lengths.input_len}/{lengths.output_len} | {error:.1%} | {covered:.0%} "
        f"| {1 - (chosen or 0.0) / best:.1%} | {after:.1%} | {covered_after:.0%} "
        f"| {1 - won / best:.1%} |"
    )


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("journals", nargs="*", type=Path)
    journals = parser.parse_args().journals or sorted(REFERENCE.glob("*.jsonl"))
    predictor = Predictor.load(PRETRAINED)
    print(HEADER)
    print("|---" * 8 + "|")
    for path in journals:
        records = read_journal(path)
        for lengths in sorted({(r.input_len or 0, r.output_len or 0) for r in records}):
            rows = [r for r in records if (r.input_len, r.output_len) == lengths]
            print(line(predictor, path.stem, rows))


if __name__ == "__main__":
    main()
