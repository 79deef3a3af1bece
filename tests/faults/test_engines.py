"""Engines that hang, exit, or write garbage where their results are read."""

from pathlib import Path

import pytest

from tests.support.lightly import N_TRIALS, Bench, assert_nothing_lost_or_doubled

GARBAGE = (
    "writes binary",
    "writes half a line",
    "writes no object",
    "writes no event",
    "writes an unknown event",
    "writes wrong metrics",
    "writes impossible metrics",
    "writes NaN",
    "writes metrics that are none",
    "writes without end",
)


def study_with(fault: str, folder: Path, *arguments: object, **environment: str) -> Bench:
    bench = Bench(folder).prepare()
    ended = bench.run_here(*arguments, LIGHT_ENGINE_FAULT=fault, **environment)
    assert ended.code == 0
    assert_nothing_lost_or_doubled(bench.records())
    return bench


@pytest.mark.parametrize("fault", GARBAGE)
def test_garbage_in_the_place_of_results_is_a_crash_and_the_study_goes_on(
    fault: str, tmp_path: Path
) -> None:
    records = study_with(fault, tmp_path).records()
    struck = [r for r in records if r.status != "completed"]
    assert [(r.batch_size, r.status) for r in struck] == [(2, "crashed")] * 2
    for record in struck:
        assert "no event of a worker" in (record.notes or "")
        assert record.output_throughput is None


@pytest.mark.parametrize("fault", ["writes binary", "exits"])
def test_an_engine_that_does_so_once_is_measured_the_second_time(
    fault: str, tmp_path: Path
) -> None:
    bench = study_with(fault, tmp_path, LIGHT_ENGINE_ONCE=str(tmp_path / "struck"))
    assert [r.status for r in bench.records()] == ["completed"] * N_TRIALS


def test_an_engine_that_hangs_has_timed_out_and_the_study_goes_on(tmp_path: Path) -> None:
    records = study_with("hangs", tmp_path, "--stall-timeout", 2).records()
    struck = [r for r in records if r.status != "completed"]
    assert [(r.batch_size, r.status) for r in struck] == [(2, "timed_out")] * 2
    assert all("no progress for 2 s" in (r.notes or "") for r in struck)


def test_an_engine_that_exits_has_crashed_and_the_study_goes_on(tmp_path: Path) -> None:
    records = study_with("exits", tmp_path).records()
    struck = [r for r in records if r.status != "completed"]
    assert [(r.batch_size, r.status) for r in struck] == [(2, "crashed")] * 2
    assert all("exit code 7" in (r.notes or "") for r in struck)
