"""A wall clock that jumps while a study runs, as when a host is set right."""

import datetime
import itertools
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.lightly import N_TRIALS, Bench, assert_nothing_lost_or_doubled, end

SOURCE = Path(__file__).with_name("clock.c")
JUMPS_S = (-400 * 86400, 3600)
PASS_S = 0.03


@pytest.fixture(scope="module")
def clock_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("a clock of its own takes a C compiler (Debian: apt-get install gcc)")
    library = tmp_path_factory.mktemp("clock") / "clock.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"], check=True)
    return library


@pytest.mark.parametrize("jump_s", JUMPS_S)
def test_a_clock_that_jumps_changes_no_measurement_and_loses_nothing(
    jump_s: int, clock_library: Path, tmp_path: Path, new_store: Callable[[Path], str]
) -> None:
    offset = tmp_path / "offset"
    offset.write_text("0")
    environment = {
        "LD_PRELOAD": str(clock_library),
        "CLOCK_OFFSET_FILE": str(offset),
        "LIGHT_ENGINE_PASS_S": str(PASS_S),
    }
    uri = new_store(tmp_path)
    bench = Bench(tmp_path, environment).prepare()
    with bench.start("--tracking-uri", uri) as process:
        bench.wait_for_records(3, process)
        offset.write_text(str(jump_s))
        ended = end(process)
    assert ended.code == 0, ended.err
    records = bench.records()
    assert_nothing_lost_or_doubled(records)
    assert {record.status for record in records} == {"completed"}
    assert len({record.record_id for record in records}) == N_TRIALS
    # The jump is in the records' dates, and in nothing that was measured.
    begun = [datetime.datetime.fromisoformat(record.started_at or "") for record in records]
    steps_s = [(b - a).total_seconds() for a, b in itertools.pairwise(begun)]
    assert any(abs(step - jump_s) < 60 for step in steps_s)
    for record in records:
        assert record.output_throughput is not None
        assert record.output_len is not None
        pass_s = record.batch_size * record.output_len / record.output_throughput
        assert PASS_S <= pass_s < PASS_S + 60
    synced = Bench(tmp_path).here("sync", bench.journal.name, "--tracking-uri", uri)
    assert f"0 runs logged, {N_TRIALS} known" in synced.out, synced.err
