"""The parts of the results: what makes each one's document, and which figures of it are kept."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from recommender.commands.evaluate import evaluate_data
from research.accuracy import summaries
from research.accuracy.own_runs import confirmed, replicas
from research.accuracy.paper import replicate
from research.accuracy.results import AccuracyError, Figures
from research.reference.landscapes import REFERENCE

SCRIPTS: Final = Path(__file__).parents[2]
PAGE: Final = SCRIPTS.parent / "docs" / "accuracy.md"
LEDGER: Final = REFERENCE / "ledger"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What figures may be made from, beside the project's own runs.

    Attributes:
        data: Table of published measurements.
        infpop: The paper's replication folder.
        aiconfigurator: An interpreter that has aiconfigurator.
    """

    data: Path | None = None
    infpop: Path | None = None
    aiconfigurator: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Figures that are made together.

    Attributes:
        command: What makes its document by hand.
        make: Makes the document: JSON-ready, or text.
        figures: Returns what is kept of it.
        needs: Which of the inputs it cannot be made without.
    """

    command: str
    make: Callable[[Inputs], Any]
    figures: Callable[[Any], Figures]
    needs: Literal["data", "infpop", "aiconfigurator"] | None = None

    def source(self, inputs: Inputs) -> Path | None:
        """Return what others measured that its figures are made from, where that was named."""
        sources = {"data": inputs.data, "infpop": inputs.infpop}
        return sources.get(self.needs or "")


def _script(name: str, *arguments: str | Path) -> str:
    """Run one of the scripts and return what it prints."""
    done = subprocess.run(
        [sys.executable, SCRIPTS / name, *arguments], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise AccuracyError(f"scripts/{name} failed with exit code {done.returncode}")
    return done.stdout


def _pairs(printed: str) -> dict[str, float]:
    """Return the ``key=value`` pairs of the last line."""
    last = printed.strip().splitlines()[-1]
    return {key: float(value) for key, _, value in (p.partition("=") for p in last.split())}


def _example(_: Inputs) -> str:
    """Run the page's example as it stands, in an empty folder beside the reference runs."""
    before = PAGE.read_text(encoding="utf-8").partition("<!--accuracy:example-->")[0]
    block = before.rpartition("```sh\n")[2].partition("```")[0]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "mlruns").mkdir()
        (Path(folder) / "mlruns" / "reference").symlink_to(REFERENCE)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=folder,
            env={**os.environ, "PATH": path},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
    if done.returncode:
        raise AccuracyError(f"the example of {PAGE.name} failed")
    return done.stdout


def _ledger(inputs: Inputs) -> Any:
    _script("build_ledger.py", "--data", _path(inputs.data), "--leave-one-out")
    return json.loads((LEDGER / "ledger.json").read_text(encoding="utf-8"))


def _aiconfigurator(inputs: Inputs) -> str:
    _script("compare_aiconfigurator.py", "--python", _path(inputs.aiconfigurator))
    return (LEDGER / "aiconfigurator.md").read_text(encoding="utf-8")


def _evaluation(protocol: str, engine: str) -> Part:
    def make(inputs: Inputs) -> Any:
        return evaluate_data(_path(inputs.data), "", protocol=protocol, engine=engine).rows

    return Part(
        command=f"autotune evaluate --protocol {protocol} --data TABLE --engine {engine} --json",
        make=make,
        figures=summaries.evaluation,
        needs="data",
    )


def _path(path: Path | None) -> Path:
    assert path is not None, "a part is made only where what it needs is given"
    return path


# The quick ones first.
PARTS: Final[Mapping[str, Part]] = {
    "confirmed": Part(
        command="autotune report ledger (mlruns/reference/README.md)",
        make=lambda _: confirmed(LEDGER / "confirmed.md"),
        figures=dict,
    ),
    "replicas": Part(
        command="scripts/evaluate_replicas.py",
        make=lambda _: replicas(LEDGER / "replicas.md"),
        figures=dict,
    ),
    "energy": Part(
        command="scripts/evaluate_energy.py",
        make=lambda _: _script("evaluate_energy.py"),
        figures=_pairs,
    ),
    "example": Part(
        command="autotune evaluate --protocol leave-model-out --data two.jsonl --json",
        make=_example,
        figures=summaries.example,
    ),
    "aiconfigurator": Part(
        command="scripts/compare_aiconfigurator.py --python PYTHON",
        make=_aiconfigurator,
        figures=summaries.aiconfigurator,
        needs="aiconfigurator",
    ),
    "cells": Part(
        command="scripts/evaluate_cells.py TABLE",
        make=lambda inputs: _script("evaluate_cells.py", _path(inputs.data)),
        figures=_pairs,
        needs="data",
    ),
    "paper": Part(
        command="scripts/reproduce_paper.py FOLDER --with-recommender",
        make=lambda inputs: replicate(_path(inputs.infpop)),
        figures=dict,
        needs="infpop",
    ),
    "migration": _evaluation("migration", "all"),
    "leave-model-out": _evaluation("leave-model-out", "all"),
    "leave-gpu-out": _evaluation("leave-gpu-out", "vllm"),
    "ledger": Part(
        command="scripts/build_ledger.py --data TABLE --leave-one-out",
        make=_ledger,
        figures=summaries.reference_ledger,
        needs="data",
    ),
}
