"""The example of the Python side runs as it stands; so does what a report says to deploy."""

import subprocess
import sys
from pathlib import Path

import pytest

from autotune.views.deployment import pipeline_program
from tests.support.lightly import light_environment
from tests.support.records import record

EXAMPLE = Path(__file__).parents[2] / "scripts" / "examples" / "plan_a_move.py"


@pytest.mark.slow
def test_the_example_measures_asks_proves_and_writes_its_report(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers", reason="the example's model needs the extra `hf`")
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=light_environment(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "<StudyResult" in done.stdout
    assert "<Recommendation" in done.stdout
    assert "<Confirmation" in done.stdout
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "How to deploy it" in page


@pytest.mark.slow
def test_the_pipelines_program_generates(demo_model: Path, cpu: str) -> None:
    run = record(engine="hf", gpu=cpu, batch_size=2, output_len=4, dtype="float32")
    program = pipeline_program(run, str(demo_model))
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "def fibonacci" in done.stdout
