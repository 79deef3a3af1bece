"""What a person sees of a study: lines that stay, the best so far, the time that is left."""

import time

import pytest

from autotune.schema.engine_config import EngineConfig
from autotune.schema.workload import Slo
from autotune.views.display import counting
from autotune.views.live import GpuGauge, LiveProgress, counter, describe_seconds
from autotune.views.progress import StudyProgress
from tests.support.records import record

CONFIG = EngineConfig(
    engine="vllm", model="m", gpu="H200", n_gpus=2, knobs={"max_num_batched_tokens": 2048}
)


def test_lines_tell_the_start_the_results_and_what_is_not_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with StudyProgress() as progress:
        progress.study_started("s", 5, 2)
        progress.engine_starting(CONFIG)
        progress.trial_finished(record())
        progress.remark("flat from batch 8 on")
    assert capsys.readouterr().err.splitlines() == [
        "study s: 5 configurations, 2 in the journal already",
        "starting vllm on 2 x H200 (max_num_batched_tokens=2048)",
        "  vllm · 1 GPU · batch 8 · 512/128: 1376.5 tok/s",
        "  flat from batch 8 on",
    ]


def test_the_time_left_follows_what_is_left() -> None:
    progress = StudyProgress()
    progress.study_started("s", 10, 0)
    time.sleep(0.02)
    progress.trial_finished(record())
    before = progress.seconds_left
    assert before > 0.15
    progress.trials_left(3)
    assert 0.05 < progress.seconds_left < before / 2
    progress.trials_left(0)
    assert progress.seconds_left == 0


def test_the_best_so_far_meets_the_limits() -> None:
    progress = StudyProgress(slo=Slo(max_ttft_ms=100))
    for changes in ({"output_throughput": 1.0}, {"mean_ttft_ms": 200.0}):
        progress.trial_finished(record(**changes))
    assert progress.best is not None
    assert progress.best.output_throughput == 1.0


def test_the_live_total_shrinks_by_what_is_spared() -> None:
    with LiveProgress() as progress:
        progress.study_started("s", 10, 4)
        progress.trial_started(record())
        progress.trial_finished(record())
        (task,) = progress._progress.tasks
        assert (task.completed, task.total) == (5, 10)
        progress.trials_left(2)
        assert (task.completed, task.total) == (5, 7)


def test_durations_are_told_in_their_two_largest_units() -> None:
    told = [describe_seconds(s) for s in (0.4, 42, 150, 7260)]
    assert told == ["0 s", "42 s", "2 min 30 s", "2 h 1 min"]


def test_the_gauge_is_silent_where_nothing_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert GpuGauge().text == ""


def test_counting_reaches_its_end() -> None:
    with counter("things", 3) as advance:
        for _ in range(3):
            advance()
    with counting("things", 3) as advance:
        advance()
