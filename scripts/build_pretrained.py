#!/usr/bin/env python3
"""Build the shipped surrogate from a table of published measurements. Deterministic."""

import argparse
import sys
from collections import Counter
from pathlib import Path

from autotune.importers.readers.published import published
from recommender.surrogate.predictor import PRETRAINED
from recommender.training import fit as surrogate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="the table: CSV or CSV.gz, near RunRecord columns")
    parser.add_argument("--output", type=Path, default=PRETRAINED, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    table = published.read(options.data)
    refused = Counter(rejection.reason for rejection in table.rejected)
    for reason, count in refused.most_common():
        print(f"not read: {count} rows: {reason}", file=sys.stderr)
    fitted = surrogate.fit(table.records, seed=options.seed)
    fitted.save(options.output)
    for name, value in fitted.training_summary.items():
        print(f"{name}: {value}")
    print(f"written: {options.output}")


if __name__ == "__main__":
    main()
