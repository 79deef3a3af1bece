"""A study killed at any moment goes on without losing or repeating anything."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from autotune.engines.knobs import engine_version
from autotune.schema.configuration import identity
from autotune.store.journal import read_journal

pytestmark = pytest.mark.skipif(
    engine_version("hf") is None, reason="transformers is not installed"
)
N_TRIALS = 12
N_KILLS = 2


def start_study(model: Path, journal: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.integration.studies", str(model), str(journal)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )


def test_a_study_killed_at_random_moments_loses_and_repeats_nothing(
    demo_model: Path, tmp_path: Path
) -> None:
    journal = tmp_path / "journal.jsonl"
    moments = random.Random()
    known: list[str] = []
    for _ in range(N_KILLS):
        process = start_study(demo_model, journal)
        assert process.stdout is not None
        assert process.stderr is not None
        # Somewhere among the lines of the first few trials: two passes and an end each.
        for _ in range(moments.randrange(1, 12)):
            process.stdout.readline()
        process.kill()
        process.communicate()
        records = read_journal(journal) if journal.exists() else []
        ids = [record.record_id for record in records]
        assert ids[: len(known)] == known
        known = ids
    assert len(known) < N_TRIALS
    process = start_study(demo_model, journal)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors.decode()
    records = read_journal(journal)
    assert [record.record_id for record in records][: len(known)] == known
    assert len(records) == N_TRIALS
    assert len({identity(record) for record in records}) == N_TRIALS
    assert {record.status for record in records} == {"completed"}
    assert {record.session_id for record in records} == {"test"}
