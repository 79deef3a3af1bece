"""A study through a real engine: each result is journalled, failures are results."""

import os
import resource
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from autotune.bench import Bench, Start, configuration_of
from autotune.engines.knobs import engine_version
from autotune.journal import open_journal, read_journal
from autotune.records import CONFIGURATION_FIELDS, RunRecord
from autotune.spec import Workload
from autotune.study import Study, plan
from tests.integration.studies import Follower, run, study_spec

pytestmark = pytest.mark.skipif(
    engine_version("hf") is None, reason="transformers is not installed"
)


def workers() -> list[int]:
    """The running children of this process."""
    tasks = Path("/proc/self/task").iterdir()
    return [int(pid) for task in tasks for pid in (task / "children").read_text().split()]


LENGTHS = (Workload(input_len=16, output_len=4), Workload(input_len=8, output_len=8))


def test_one_start_serves_a_study_that_an_interrupt_ends_and_a_resume_completes(
    demo_model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "journal.jsonl"

    class Interrupted(Follower):
        def trial_finished(self, record: RunRecord) -> None:
            super().trial_finished(record)
            assert read_journal(path) == self.finished
            if len(self.finished) == 4:
                raise KeyboardInterrupt

    first = Interrupted()
    spec = study_spec(demo_model, batch_sizes=(4, 1, 2), workloads=LENGTHS)
    with pytest.raises(KeyboardInterrupt):
        run(spec, path, first)
    assert not workers()
    assert len(first.starts) == 1
    assert [r.batch_size for r in first.finished] == [1, 2, 4, 1]
    second = Follower()
    more = study_spec(demo_model, batch_sizes=(1, 2, 3, 4), workloads=LENGTHS)
    records = run(more, path, second)
    assert records == [*first.finished, *second.finished]
    assert [c.batch_size for c in second.trials] == [3, 2, 3, 4]
    assert (second.n_done, len(second.starts)) == (4, 1)
    assert len({r.run_key for r in records}) == 8
    third = Follower()
    assert run(more, path, third) == records
    assert (third.n_done, third.trials, third.starts) == (8, [], [])
    for record in records:
        assert record.status == "completed"
        assert record.source == "autotune"
        assert record.model == demo_model.name
        assert record.engine_version == engine_version("hf")
        assert record.environment["weights"] == "checkpoint"
        assert record.environment["model_config"]["hidden_size"] == 256
        assert record.engine_start_s is not None
        assert str(demo_model.parent) not in str(record.to_dict())


class OutOfMemory(Follower):
    """Leaves the worker no memory beyond what the first pass needed."""

    def pass_finished(self, event: Mapping[str, Any]) -> None:
        for pid in workers() if event["warmup"] and len(self.trials) == 1 else []:
            status = Path(f"/proc/{pid}/status").read_text()
            size_kb = int(status.partition("VmSize:")[2].split()[0])
            limit = (size_kb + 32 * 1024) * 1024
            resource.prlimit(pid, resource.RLIMIT_AS, (limit, limit))


def test_out_of_memory_rules_out_larger_batches_also_after_resuming(
    demo_model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "journal.jsonl"
    spec = study_spec(
        demo_model,
        batch_sizes=(1, 512, 1024),
        workloads=(Workload(input_len=256, output_len=2),),
    )
    records = run(spec, path, OutOfMemory())
    assert [(r.batch_size, r.status) for r in records] == [
        (1, "completed"),
        (512, "out_of_memory"),
    ]
    assert records[1].output_throughput is None
    assert records[1].notes
    assert not workers()
    again = Follower()
    assert run(spec, path, again) == records
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


def test_a_crash_is_tried_once_more_and_then_recorded(demo_model: Path, tmp_path: Path) -> None:
    follower = Crashes(times=2)
    records = run(study_spec(demo_model, batch_sizes=(1, 2)), tmp_path / "j.jsonl", follower)
    assert [(r.batch_size, r.status) for r in records] == [(1, "crashed"), (2, "completed")]
    assert "SIGABRT" in (records[0].notes or "")
    assert [c.batch_size for c in follower.trials] == [1, 1, 2]
    assert len(follower.starts) == 3
    assert not workers()


def test_an_engine_that_will_not_start_ends_its_group_after_two_attempts(tmp_path: Path) -> None:
    model = tmp_path / "broken"
    model.mkdir()
    config = (
        '{"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 64,'
        ' "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2,'
        ' "vocab_size": 100, "max_position_embeddings": 64, "hidden_act": "no such function"}'
    )
    (model / "config.json").write_text(config)
    follower = Follower()
    records = run(study_spec(model), tmp_path / "j.jsonl", follower)
    assert [(r.batch_size, r.status) for r in records] == [(1, "load_failed")]
    assert records[0].engine_start_s is None
    assert "no such function" in (records[0].notes or "")
    assert "Traceback" in next((tmp_path / "logs").iterdir()).read_text()
    assert len(follower.starts) == 2


class SmallHost:
    """Stands in for a bench on a host where no start for more than ``room`` sequences fits."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.starts: list[int] = []

    def run(self, start: Start, workload: Workload, batch_size: int) -> RunRecord:
        if start.max_batch_size not in self.starts:
            self.starts.append(start.max_batch_size)
        outcome: dict[str, Any] = {"status": "out_of_memory"}
        if start.max_batch_size <= self.room:
            outcome = {"status": "completed", "output_throughput": 1.0, "engine_start_s": 1.0}
        configuration = configuration_of(start.config, workload, batch_size)
        values = {name: getattr(configuration, name) for name in CONFIGURATION_FIELDS}
        return RunRecord(**values, source="autotune", **outcome)


@pytest.mark.parametrize("room", [0, 1, 2, 5, 8, 64, 512])
def test_a_start_that_runs_out_of_memory_is_charged_to_its_largest_batch(
    demo_model: Path, tmp_path: Path, room: int
) -> None:
    sizes = [2**k for k in range(10)]
    spec = study_spec(demo_model, batch_sizes=tuple(sizes))
    bench = SmallHost(room)
    with open_journal(tmp_path / "j.jsonl", resume=True) as journal:
        study = Study(spec, journal, groups=plan(spec), session_id="s", log_dir=tmp_path)
        for group in study.groups:
            for record in study._run_group(cast(Bench, bench), group):
                journal.append(record)
        records = journal.records
    fits = [size for size in sizes if size <= room]
    assert sorted(r.batch_size for r in records if r.status == "completed") == fits
    assert all(r.batch_size > room for r in records if r.status == "out_of_memory")
    smallest_failure = min((size for size in sizes if size > room), default=None)
    assert (smallest_failure in {r.batch_size for r in records}) or smallest_failure is None
    assert len({r.run_key for r in records}) == len(records)
    assert len(bench.starts) <= 8
