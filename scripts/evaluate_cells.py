#!/usr/bin/env python3
"""How well do three measured cells tell the rest of a landscape of one GPU count?

Usage: scripts/evaluate_cells.py TABLE [--engine vllm]    (runs with several lengths a model)

Under the protocol migration (the model's runs on the target hidden from the fit, its runs on the
source and other models' runs known), for every model, target and GPU count with at least nine rows:
the smallest and the largest batch of one workload and a middle batch of another are measured, and
the error of all other rows of that GPU count is taken. The last line has the medians.
"""

import argparse
import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from autotune.importers.run import read_file
from autotune.schema.record import RunRecord
from recommender.evaluation.backtest import known_runs
from recommender.evaluation.protocols import Case, cases_of, hides
from recommender.surrogate.gaussian_process import one_blas_thread
from recommender.surrogate.predictor import Predictor
from recommender.training import fit as surrogate

FEWEST_ROWS = 9


def three_cells(rows: Sequence[RunRecord]) -> list[RunRecord]:
    """Return the ends of the first workload and the middle of the second, by batch size."""
    workloads: dict[tuple[int, int], list[RunRecord]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.batch_size):
        workloads[(row.input_len or 0, row.output_len or 0)].append(row)
    first, *others = (workloads[key] for key in sorted(workloads))
    second = others[0] if others else first
    return [first[0], first[-1], second[len(second) // 2]]


def errors(
    predictor: Predictor, rows: Sequence[RunRecord], known: Sequence[RunRecord]
) -> list[float]:
    """Return |predicted / measured - 1| of the rows that are not among three measured ones."""
    tried = three_cells(rows)
    rest = [row for row in rows if row not in tried]
    predictions = predictor.predict([row.configuration for row in rest], [*known, *tried])
    return [
        abs(prediction.output_throughput / (row.output_throughput or 1.0) - 1)
        for prediction, row in zip(predictions, rest, strict=True)
    ]


def groups(case: Case) -> list[list[RunRecord]]:
    """Return the case's measured rows on the target by GPU count, large enough groups only."""
    counts: dict[int, list[RunRecord]] = defaultdict(list)
    for row in case.target_rows:
        if row.is_measured:
            counts[row.n_gpus].append(row)
    return [rows for _, rows in sorted(counts.items()) if len(rows) >= FEWEST_ROWS]


def medians_of(
    records: Sequence[RunRecord], cases: Sequence[Case]
) -> dict[tuple[str, str], list[float]]:
    """Return the median error of each landscape, by harness and target."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    # as in evaluate: the matrices are small, BLAS threads would wait for each other
    with one_blas_thread():
        for fold in sorted({case.fold for case in cases}):
            seen = [record for record in records if not hides("migration", fold, record)]
            predictor = surrogate.fit(seen).predictor
            for case in (case for case in cases if case.fold == fold):
                for rows in groups(case):
                    error = statistics.median(errors(predictor, rows, known_runs(case, seen)))
                    found[(case.harness, case.target_gpu)].append(error)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path, help="published or exported runs")
    parser.add_argument("--engine", default="vllm")
    options = parser.parse_args()
    records = read_file(options.table).records
    cases = cases_of(records, "migration", options.engine)
    found = medians_of(records, cases)
    for (harness, gpu), medians in sorted(found.items()):
        print(
            f"{harness} {gpu}: {len(medians)} landscapes, median {statistics.median(medians):.1%}"
        )
    everything = [error for medians in found.values() for error in medians]
    print(f"landscapes={len(everything)} ape_median={statistics.median(everything):.4f}")


if __name__ == "__main__":
    main()
