#!/usr/bin/env python3
"""Replicas behind one server held against tensor parallelism over the same GPUs.

Usage: scripts/evaluate_replicas.py [JOURNAL ...]

For each model and number of requests in flight that was served in several ways: what was measured,
and what the shipped surrogate says with nothing known of the model. Writes Markdown to
ledger/replicas.md and prints it.
"""

import argparse
from pathlib import Path

from autotune.store.journal import read_journal
from recommender.surrogate.predictor import PRETRAINED, Predictor
from research.reference.landscapes import REFERENCE
from research.reference.replicas import markdown, read


def main() -> None:
    """Write the table and print it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("journals", nargs="*", type=Path, help="default: mlruns/reference/modes")
    parser.add_argument("--surrogate", type=Path, default=PRETRAINED, help="default: the shipped")
    parser.add_argument("--output", type=Path, default=REFERENCE / "ledger" / "replicas.md")
    options = parser.parse_args()
    journals = options.journals or sorted((REFERENCE / "modes").glob("*.jsonl"))
    runs = [run for path in journals for run in read_journal(path)]
    text = markdown(read(runs, Predictor.load(options.surrogate)))
    options.output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
