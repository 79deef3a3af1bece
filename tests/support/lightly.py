"""Studies on the light engine, run as a person runs them: ``autotune run`` in its own process."""

import json
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autotune.schema.configuration import identity
from autotune.schema.record import RunRecord
from autotune.store.journal import read_journal
from tests.support.workspace import AUTOTUNE, Ran, clean_environment, on_path, run_here

LIGHT = Path(__file__).with_name("light")
BATCH_SIZES = "1,2,3,4,5,6"
N_TRIALS = 12
_STUDY = {
    "engines": "hf",
    "batch_sizes": BATCH_SIZES,
    "exhaustive": True,
    "workloads": [
        {"mode": "closed_batch", "input_len": 16, "output_len": 4},
        {"mode": "closed_batch", "input_len": 8, "output_len": 8},
    ],
    "policy": {"warmups": 1, "min_repeats": 2, "max_repeats": 2},
}
_CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "vocab_size": 1000,
    "max_position_embeddings": 64,
}


def light_environment(**changes: str) -> dict[str, str]:
    """Return this process's environment with the light engine in it."""
    return clean_environment() | {"PYTHONPATH": on_path(LIGHT)} | changes


@dataclass(frozen=True)
class Bench:
    """A folder with a study of twelve configurations in it.

    Attributes:
        environment: What its processes find in theirs, beside the light engine.
    """

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def prepare(self, **study: Any) -> "Bench":
        """Write the model's config.json and the study file."""
        model = self.folder / "light-model"
        model.mkdir(exist_ok=True)
        (model / "config.json").write_text(json.dumps(_CONFIG))
        (self.folder / "study.yaml").write_text(
            json.dumps({"model": "light-model", **_STUDY} | study)
        )
        return self

    @property
    def journal(self) -> Path:
        return self.folder / "journal.jsonl"

    def records(self) -> list[RunRecord]:
        """What the journal holds."""
        return read_journal(self.journal) if self.journal.exists() else []

    def wait_for_records(self, n: int, process: "subprocess.Popen[str]") -> None:
        """Wait until a study has so many results; it must be running until then."""
        while len(self.records()) < n:
            assert process.poll() is None
            time.sleep(0.01)

    def start(self, *arguments: object, **environment: str) -> "subprocess.Popen[str]":
        """Start ``autotune run`` on the journal."""
        return self.begin(*self._run(arguments), **environment)

    def begin(self, *arguments: object, **environment: str) -> "subprocess.Popen[str]":
        """Start any command of ``autotune`` there."""
        return subprocess.Popen(
            [str(AUTOTUNE), *map(str, arguments)],
            cwd=self.folder,
            env=light_environment(**(self.environment | environment)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: object, **environment: str) -> Ran:
        """Run ``autotune run`` to its end."""
        with self.start(*arguments, **environment) as process:
            return end(process)

    def command(self, *arguments: object, **environment: str) -> Ran:
        """Run any command of ``autotune`` there."""
        done = subprocess.run(
            [str(AUTOTUNE), *map(str, arguments)],
            cwd=self.folder,
            env=light_environment(**(self.environment | environment)),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def run_here(self, *arguments: object, **environment: str) -> Ran:
        """Run ``autotune run`` in this process; its engine's worker is one of its own."""
        return self.here(*self._run(arguments), **environment)

    def here(self, *arguments: object, **environment: str) -> Ran:
        """Run any command of ``autotune`` in this process."""
        light = {"PYTHONPATH": on_path(LIGHT), **self.environment, **environment}
        return run_here(self.folder, *arguments, environment=light)

    def _run(self, arguments: tuple[object, ...]) -> tuple[object, ...]:
        return ("run", "study.yaml", "--journal", self.journal.name, "--resume", *arguments)


def end(process: "subprocess.Popen[str]", *, timeout: float = 400) -> Ran:
    """Wait for a process that was started with ``Bench.start``."""
    out, err = process.communicate(timeout=timeout)
    return Ran(process.returncode, out, err)


def assert_nothing_lost_or_doubled(records: list[RunRecord], *, of: int = N_TRIALS) -> None:
    """Every configuration was run, and none twice."""
    counts = Counter(identity(record) for record in records)
    assert len(counts) == of
    assert set(counts.values()) == {1}
