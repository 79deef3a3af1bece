"""The physics of power against this project's own metered runs, to which no constant was fitted.

Usage: scripts/evaluate_energy.py [JOURNAL ...]      (default: every journal of mlruns/reference)

For each journal and workload: the median error of the J a token at the measured throughput, and the
same for the other configurations once three of them (smallest, middle, largest batch) are known.
Ends with one line: median= after_three= runs=
"""

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from autotune.schema.record import RunRecord
from autotune.store.journal import read_journal
from recommender.surrogate.energy import joules_per_token, metered_energy
from research.reference.landscapes import measured_journals


def errors(rows: Sequence[RunRecord], known: Sequence[RunRecord]) -> list[float]:
    """Return |predicted / metered - 1| of the rows that are not known."""
    rest = [row for row in rows if row not in known]
    throughput = np.array([row.output_throughput for row in rest], dtype=np.float64)
    predicted = joules_per_token([row.configuration for row in rest], throughput, known)
    pairs = zip(predicted, rest, strict=True)
    return [abs(float(joules) / (metered_energy(row) or np.nan) - 1) for joules, row in pairs]


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("journals", nargs="*", type=Path)
    journals = parser.parse_args().journals or measured_journals()
    print("| journal | mode | tokens in/out | error | after 3 runs |\n|---|---|---|---|---|")
    before: list[float] = []
    after: list[float] = []
    for path in journals:
        metered = [r for r in read_journal(path) if metered_energy(r) is not None]
        for mode, *lengths in sorted({(r.mode, r.input_len, r.output_len) for r in metered}):
            rows = [r for r in metered if [r.mode, r.input_len, r.output_len] == [mode, *lengths]]
            rows.sort(key=lambda row: row.batch_size)
            blind = errors(rows, [])
            before += blind
            shown = "-"
            if len(rows) > 3:
                taught = errors(rows, [rows[0], rows[len(rows) // 2], rows[-1]])
                after += taught
                shown = f"{statistics.median(taught):.1%}"
            sizes = "/".join(str(length) for length in lengths)
            print(f"| {path.stem} | {mode} | {sizes} | {statistics.median(blind):.1%} | {shown} |")
    median, taught_median = statistics.median(before), statistics.median(after)
    print(f"median={median:.4f} after_three={taught_median:.4f} runs={len(before)}")


if __name__ == "__main__":
    main()
