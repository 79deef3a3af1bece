"""A study from its plan to its journal: each result is journalled, failures are results.

The loop is tried on the light engine; memory that runs out is the real one's.
"""

import os
import resource
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from autotune.engines.knobs import engine_version
from autotune.schema.record import RunRecord
from autotune.schema.study_spec import Incumbent
from autotune.schema.workload import Workload
from autotune.store.journal import read_journal
from tests.integration.studies import Follower, run, study_spec
from tests.support.lightly import LIGHT, Bench
from tests.support.workspace import on_path

needs_hf = pytest.mark.skipif(engine_version("hf") is None, reason="transformers is not installed")


@pytest.fixture
def light_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model for the light engine, which stands in for the real one's workers meanwhile."""
    if engine_version("hf") is None:
        pytest.skip("in this process the light engine needs transformers to be found")
    monkeypatch.setenv("PYTHONPATH", on_path(LIGHT))
    return Bench(tmp_path).prepare().folder / "light-model"


def workers() -> list[int]:
    """The workers among this process's children (a browser or a cluster may be others)."""
    tasks = Path("/proc/self/task").iterdir()
    children = [pid for task in tasks for pid in (task / "children").read_text().split()]
    return [int(pid) for pid in children if is_worker(Path("/proc") / pid)]


def is_worker(process: Path) -> bool:
    try:
        return b"autotune.runner.worker" in (process / "cmdline").read_bytes()
    except OSError:
        return False


LENGTHS = (Workload(input_len=16, output_len=4), Workload(input_len=8, output_len=8))


def test_one_start_serves_a_study_that_an_interrupt_ends_and_a_resume_completes(
    light_model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "journal.jsonl"

    class Interrupted(Follower):
        def trial_finished(self, record: RunRecord) -> None:
            super().trial_finished(record)
            assert read_journal(path) == self.finished
            if len(self.finished) == 4:
                raise KeyboardInterrupt

    first = Interrupted()
    spec = study_spec(light_model, batch_sizes=(4, 1, 2), workloads=LENGTHS)
    with pytest.raises(KeyboardInterrupt):
        run(spec, path, first)
    assert not workers()
    assert len(first.starts) == 1
    assert [r.batch_size for r in first.finished] == [4, 1, 2, 4]
    second = Follower()
    more = study_spec(light_model, batch_sizes=(1, 2, 3, 4), workloads=LENGTHS)
    records = run(more, path, second)
    assert records == [*first.finished, *second.finished]
    assert [c.batch_size for c in second.trials] == [3, 1, 2, 3]
    assert (second.n_done, len(second.starts)) == (4, 1)
    assert len({r.run_key for r in records}) == 8
    third = Follower()
    assert run(more, path, third) == records
    assert (third.n_done, third.trials, third.starts) == (8, [], [])
    for record in records:
        assert record.status == "completed"
        assert record.source == "autotune"
        assert record.model == light_model.name
        assert record.engine_start_s is not None
        assert str(light_model.parent) not in str(record.to_dict())


class OutOfMemory(Follower):
    """Leaves the worker no memory beyond what the first pass of the first trial needed."""

    def pass_finished(self, event: Mapping[str, Any]) -> None:
        for pid in workers() if event["warmup"] and len(self.trials) == 1 else []:
            status = Path(f"/proc/{pid}/status").read_text()
            size_kb = int(status.partition("VmSize:")[2].split()[0])
            limit = (size_kb + 32 * 1024) * 1024
            resource.prlimit(pid, resource.RLIMIT_AS, (limit, limit))


@needs_hf
def test_out_of_memory_rules_out_larger_batches_also_after_resuming(
    demo_model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "journal.jsonl"
    # The kept configuration comes before the larger batches.
    fixed: dict[str, Any] = {
        "kept": Incumbent(n_gpus=1, batch_size=1),
        "workloads": (Workload(input_len=256, output_len=2),),
    }
    spec = study_spec(demo_model, batch_sizes=(512,), **fixed)
    records = run(spec, path, OutOfMemory())
    assert [(r.batch_size, r.status) for r in records] == [
        (1, "completed"),
        (512, "out_of_memory"),
    ]
    assert records[1].output_throughput is None
    assert records[1].notes
    whole = records[0]
    assert whole.source == "autotune"
    assert whole.model == demo_model.name
    assert whole.engine_version == engine_version("hf")
    assert whole.environment["weights"] == "checkpoint"
    assert whole.environment["model_config"]["hidden_size"] == 256
    assert whole.engine_start_s is not None
    assert str(demo_model.parent) not in str(whole.to_dict())
    assert not workers()
    again = Follower()
    assert run(study_spec(demo_model, batch_sizes=(512, 1024), **fixed), path, again) == records
    assert again.trials == []


class Crashes(Follower):
    """Ends the worker in flight, for a number of times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self._left = times

    def pass_finished(self, event: Mapping[str, Any]) -> None:
        if self._left:
            self._left -= 1
            for pid in workers():
                os.kill(pid, signal.SIGABRT)


def test_a_crash_is_tried_once_more_and_then_recorded(light_model: Path, tmp_path: Path) -> None:
    follower = Crashes(times=2)
    records = run(study_spec(light_model, batch_sizes=(1, 2)), tmp_path / "j.jsonl", follower)
    assert [(r.batch_size, r.status) for r in records] == [(2, "crashed"), (1, "completed")]
    assert "SIGABRT" in (records[0].notes or "")
    assert [c.batch_size for c in follower.trials] == [2, 2, 1]
    assert len(follower.starts) == 3
    assert not workers()
