#!/usr/bin/env python3
"""Our predictions beside those of aiconfigurator, on the reference runs that it supports.

Usage: scripts/compare_aiconfigurator.py --python PYTHON [--output FILE] [JOURNAL ...]

PYTHON is an interpreter that has aiconfigurator (`pip install aiconfigurator==0.12.0` into an
environment of its own); nothing else of this project needs it. It is given each model's config.json
out of our catalogue. Its prediction for a closed batch is TTFT + (output tokens - 1) x TPOT, in two
of its modes: static (the batch starts and ends together, as ours did) and agg (requests come and
go). Cells whose model or engine it does not support are left out and named on standard error.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autotune.catalog.models import model_config
from recommender.surrogate.predictor import PRETRAINED, Predictor
from research.reference.landscapes import (
    REFERENCE,
    Cell,
    ReferenceLandscape,
    measured_journals,
    reference_landscapes,
)
from research.reference.side_by_side import closed_batch_throughput, compare, markdown

MODES = ("static", "agg")
SYSTEMS = {"H200": "h200_sxm", "H100-80GB": "h100_sxm", "A100-80GB": "a100_sxm"}
# Runs under the other interpreter: questions as JSON lines in, answers as JSON lines out.
DRIVER = """
import json, sys
from importlib.metadata import version
from aiconfigurator.cli.api import cli_estimate

answers = sys.stdout
sys.stdout = sys.stderr
print(json.dumps({"version": version("aiconfigurator")}), file=answers, flush=True)
for line in sys.stdin:
    question = json.loads(line)
    try:
        made = cli_estimate(**question)
        answer = {"ttft_ms": made.ttft, "tpot_ms": made.tpot, "engine": made.backend_version}
    except Exception as error:
        answer = {"reason": str(error).split(". ")[0]}
    print(json.dumps(answer), file=answers, flush=True)
"""


def questions_of(land: ReferenceLandscape, folder: Path) -> list[tuple[Cell, str, dict[str, Any]]]:
    """Return (cell, mode, arguments of its estimate) for each cell and mode."""
    first, work = land.rows[0], land.workload
    path = folder / first.model.replace("/", "--")
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text(json.dumps(dict(model_config(first.model))), encoding="utf-8")
    return [
        (
            (row.n_gpus, row.batch_size),
            mode,
            {
                "model_path": str(path),
                "system_name": SYSTEMS[row.gpu],
                "mode": mode,
                "backend_name": row.engine,
                "isl": work.input_len,
                "osl": work.output_len,
                "batch_size": row.batch_size,
                "tp_size": row.n_gpus,
            },
        )
        for row in land.rows
        for mode in MODES
    ]


def ask(python: Path, questions: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the tool's version, then its answer to each question."""
    done = subprocess.run(
        [python, "-W", "ignore", "-c", DRIVER],
        input="".join(json.dumps(question) + "\n" for question in questions),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{python} cannot run aiconfigurator:\n{done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def estimates_of(
    lands: Sequence[ReferenceLandscape], python: Path
) -> tuple[dict[str, dict[Cell, dict[str, float]]], str]:
    """Return landscape -> cell -> mode -> tok/s, and what answered; the rest goes to stderr."""
    with tempfile.TemporaryDirectory(prefix="autotune-compare-") as folder:
        asked = [(x, question) for x in lands for question in questions_of(x, Path(folder))]
        about, *answers = ask(python, [arguments for _, (_, _, arguments) in asked])
    found: dict[str, dict[Cell, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    refused: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    versions = set()
    for (land, (cell, mode, _)), answer in zip(asked, answers, strict=True):
        if "reason" in answer:
            refused[(land.title, mode, answer["reason"])].append(cell[1])
            continue
        versions.add(answer["engine"])
        tokens, times = land.workload.output_len, {k: answer[k] for k in ("ttft_ms", "tpot_ms")}
        found[land.title][cell][mode] = closed_batch_throughput(cell[1], tokens, **times)
    for (title, mode, reason), sizes in refused.items():
        print(f"{title}, {mode}, batch sizes {sizes}: {reason}", file=sys.stderr)
    return found, f"{about['version']} (data of vLLM {', '.join(sorted(versions))})"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("journals", nargs="*", type=Path, help="default: all of mlruns/reference")
    parser.add_argument("--python", type=Path, required=True, help="has aiconfigurator installed")
    parser.add_argument("--output", type=Path, default=REFERENCE / "ledger" / "aiconfigurator.md")
    options = parser.parse_args()
    lands = reference_landscapes(options.journals or measured_journals())
    lands = [x for x in lands if x.rows[0].engine == "vllm" and x.rows[0].gpu in SYSTEMS]
    estimates, version = estimates_of(lands, options.python)
    predictor = Predictor.load(PRETRAINED)
    cells = [cell for x in lands for cell in compare(x, predictor, estimates[x.title])]
    weights = ", ".join(sorted({land.weights for land in lands}))
    text = (
        f"# Beside aiconfigurator {version}\n\nClosed batches, {weights} weights, tok/s; every "
        "measured cell that it supports. A dash: the cell was one of our confirmatory runs, or it "
        f"has no answer.\n\n{markdown(cells, 'aiconfigurator', MODES)}\n"
    )
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
