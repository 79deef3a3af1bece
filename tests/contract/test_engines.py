"""What every engine promises, asked of the real ones through an EngineSession."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from autotune.engines.knobs import engine_version
from autotune.engines.prompts.files import resolve_prompts
from autotune.errors import InvalidConfigError, TrialError
from autotune.processes import members
from autotune.runner.session import EngineSession
from autotune.schema.configuration import Knob
from autotune.schema.engine_config import EngineConfig
from autotune.schema.study_spec import StudySpec
from autotune.schema.workload import MeasurePolicy, Slo, Workload
from autotune.study.planning import plan
from tests.support.passes import on_first_pass

ONCE = MeasurePolicy(min_repeats=1, max_repeats=1)
WITHOUT_END = MeasurePolicy(min_repeats=1000, max_repeats=1000, time_budget_s=300)
SHORT = Workload(input_len=24, output_len=8)
# Compiling a model this small takes longer than all tests together.
KNOBS: Mapping[str, Mapping[str, Knob]] = {"vllm": {"enforce_eager": True}, "hf": {}}
EAGER_ATTENTION: Mapping[str, Knob] = {"attn_implementation": "eager"}


pytestmark = pytest.mark.engine


@pytest.fixture(scope="module", params=["hf", "vllm"])
def engine(request: pytest.FixtureRequest) -> str:
    if engine_version(request.param) is None:
        pytest.skip(f"{request.param} is not installed here")
    return str(request.param)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engines")


@pytest.fixture(scope="module")
def ending(demo_model: Path, folder: Path) -> Path:
    """A model that would end at any token."""
    directory = folder / "ending"
    if not directory.exists():
        shutil.copytree(demo_model, directory)
        settings = json.loads((directory / "config.json").read_text())
        settings["eos_token_id"] = list(range(settings["vocab_size"]))
        (directory / "config.json").write_text(json.dumps(settings))
    return directory


@pytest.fixture(scope="module")
def session(engine: str, ending: Path, cpu: str, folder: Path) -> Iterator[EngineSession]:
    """One engine start that all tests of its kind share; the last one kills it.

    Its model would end at any token, so that all that is measured here shows that none does.
    """
    config = EngineConfig(engine=engine, model=str(ending), gpu=cpu, knobs=KNOBS[engine])
    with EngineSession(config, log_path=folder / f"{engine}.log") as session:
        session.start(max_batch_size=8, max_model_len=64)
        yield session


def test_a_started_engine_tells_all_about_itself(session: EngineSession, engine: str) -> None:
    started = session.started
    assert started is not None
    assert started.engine_version == engine_version(engine)
    assert started.dtype == "bfloat16"
    assert started.weights == "checkpoint"
    assert started.vocab_size == 2048
    assert started.engine_start_s > 0
    assert (started.kv_cache_tokens is not None) == (engine == "vllm")
    assert started.settings
    assert all(isinstance(value, str) and value for value in started.settings.values())


@pytest.mark.parametrize("batch_size", [3, 8, 1])
def test_one_start_measures_every_batch_size_to_the_last_token(
    session: EngineSession, batch_size: int
) -> None:
    events: list[Mapping[str, Any]] = []
    row = session.measure(batch_size=batch_size, workload=SHORT, policy=ONCE, on_pass=events.append)
    generated = batch_size * SHORT.output_len
    assert row["output_throughput"] * row["measure_s"] == pytest.approx(generated)
    assert row["request_throughput"] * row["measure_s"] == pytest.approx(batch_size)
    all_tokens = batch_size * (SHORT.input_len + SHORT.output_len)
    assert row["total_throughput"] * row["measure_s"] == pytest.approx(all_tokens)
    assert [event["warmup"] for event in events] == [True, False]
    assert row["repeats"] == 1
    assert row["throughput_ci95"] is None
    assert row["peak_memory_gb"] > 0


@pytest.mark.parametrize("output_len", [1, 2, 16])
def test_latencies_follow_their_definitions(session: EngineSession, output_len: int) -> None:
    row = session.measure(
        batch_size=2, workload=Workload(input_len=16, output_len=output_len), policy=ONCE
    )
    assert 0 < row["mean_ttft_ms"] <= row["mean_e2el_ms"]
    assert row["p99_e2el_ms"] <= row["measure_s"] * 1e3 * 1.05
    if output_len == 1:
        assert "mean_tpot_ms" not in row
    else:
        decode_ms = row["mean_e2el_ms"] - row["mean_ttft_ms"]
        assert row["mean_tpot_ms"] == pytest.approx(decode_ms / (output_len - 1))


def test_a_stream_keeps_its_number_in_flight_and_counts_what_each_request_wanted(
    session: EngineSession,
) -> None:
    workload = Workload(
        mode="stream",
        input_len=16,
        output_len=6,
        length_distribution="uniform",
        length_spread=0.5,
        num_prompts=9,
    )
    slo = Slo(max_ttft_ms=1e9, max_tpot_ms=1e-6)
    row = session.measure(batch_size=3, workload=workload, policy=ONCE, slo=slo)
    around = row["circumstances"]
    assert row["request_throughput"] * row["measure_s"] == pytest.approx(9)
    assert row["output_throughput"] * row["measure_s"] == pytest.approx(
        9 * around["mean_output_tokens"], rel=0.01
    )
    assert 3 <= around["mean_output_tokens"] <= 9
    assert 8 <= around["mean_input_tokens"] <= 24
    assert row["request_goodput"] == 0
    # Three at a time: a request's own time is a third of the whole, waiting left out.
    assert row["mean_e2el_ms"] < row["measure_s"] * 1e3 * 0.75


@pytest.mark.parametrize("dataset_name", ["code_completion", "file"])
def test_prompts_of_other_kinds_run_to_their_exact_lengths(
    session: EngineSession, dataset_name: str, tmp_path: Path
) -> None:
    path = None
    if dataset_name == "file":
        path = tmp_path / "prompts.jsonl"
        rows = [{"prompt_token_ids": [7] * n, "output_len": n} for n in (4, 8, 12)]
        path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    workload = resolve_prompts(
        Workload(
            input_len=30,
            output_len=8,
            dataset_name=dataset_name,
            dataset_path=None if path is None else str(path),
        )
    )
    row = session.measure(
        batch_size=3, workload=workload, policy=ONCE, slo=Slo(max_ttft_ms=1e9, max_tpot_ms=1e9)
    )
    around = row["circumstances"]
    assert around["mean_input_tokens"] == (8 if path else 30)
    assert around["mean_output_tokens"] == 8
    assert row["request_goodput"] == pytest.approx(row["request_throughput"])


def test_repeats_narrow_the_interval_and_are_counted(session: EngineSession) -> None:
    policy = MeasurePolicy(min_repeats=3, max_repeats=3)
    row = session.measure(batch_size=2, workload=SHORT, policy=policy)
    assert row["repeats"] == 3
    assert row["throughput_ci95"] >= 0


@pytest.mark.parametrize(
    ("batch_size", "workload"), [(9, SHORT), (1, Workload(input_len=60, output_len=5))]
)
def test_more_than_the_engine_was_started_for_is_refused_and_leaves_it_up(
    session: EngineSession, batch_size: int, workload: Workload
) -> None:
    with pytest.raises(InvalidConfigError, match="beyond what the engine was started for"):
        session.measure(batch_size=batch_size, workload=workload, policy=ONCE)
    assert session.measure(batch_size=1, workload=SHORT, policy=ONCE)["repeats"] == 1


def test_a_worker_killed_in_flight_is_a_result_and_leaves_nothing(session: EngineSession) -> None:
    pid = session.pid
    assert pid in members(pid)
    with pytest.raises(TrialError) as caught:
        session.measure(
            batch_size=1,
            workload=SHORT,
            policy=WITHOUT_END,
            on_pass=on_first_pass(lambda: os.kill(pid, signal.SIGKILL)),
        )
    # The kernel counts whom it kills for memory, and did not kill this one.
    assert caught.value.status == "crashed"
    assert "ended by SIGKILL" in str(caught.value)
    session.close()
    assert not members(pid)


def test_a_config_alone_is_measured_and_a_hang_ends_it(
    engine: str,
    demo_model: Path,
    cpu: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """vLLM over two ranks and with the user's own VLLM_ variables: a process each; HF in eager."""
    monkeypatch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "1")
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    bare = folder / f"bare-{engine}"
    bare.mkdir()
    (bare / "config.json").write_bytes((demo_model / "config.json").read_bytes())
    n_gpus, knobs = (2, KNOBS["vllm"]) if engine == "vllm" else (1, EAGER_ATTENTION)
    config = EngineConfig(engine=engine, model=str(bare), gpu=cpu, n_gpus=n_gpus, knobs=knobs)
    assert config.parallel_sizes.tensor == n_gpus
    log = folder / f"bare-{engine}.log"
    with EngineSession(config, log_path=log, stall_timeout_s=10) as session:
        started = session.start(max_batch_size=2, max_model_len=64)
        pid = session.pid
        assert started.weights == "random"
        row = session.measure(batch_size=2, workload=SHORT, policy=ONCE)
        assert row["output_throughput"] * row["measure_s"] == pytest.approx(16)
        assert row["mean_tpot_ms"] > 0
        with pytest.raises(TrialError, match="no progress for 10 s") as caught:
            session.measure(
                batch_size=1,
                workload=SHORT,
                policy=WITHOUT_END,
                on_pass=on_first_pass(lambda: os.kill(pid, signal.SIGSTOP)),
            )
        assert caught.value.status == "timed_out"
        assert not members(pid)
        with pytest.raises(TrialError, match="not open"):
            session.measure(batch_size=1, workload=SHORT, policy=ONCE)
    assert [path.name for path in bare.iterdir()] == ["config.json"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"knobs": {"vllm.enforce_eagre": True, "hf.attn_implementaton": "sdpa"}},
            "Did you mean (enforce_eager|attn_implementation)",
        ),
        ({"workloads": (Workload(input_len=2000, output_len=49),)}, "2049 is beyond the 2048"),
        ({"n_gpus": (1, 64)}, "n_gpus=64"),
        ({"gpu": "H100"}, "not H100"),
    ],
)
def test_what_cannot_run_is_refused_before_any_start(
    engine: str, demo_model: Path, changes: dict[str, Any], says: str
) -> None:
    spec = StudySpec(**({"model": str(demo_model), "engines": (engine,)} | changes))
    with pytest.raises(InvalidConfigError, match=says):
        plan(spec)


def run_once(config: EngineConfig, folder: Path, workload: Workload = SHORT) -> dict[str, Any]:
    """Start an engine for 4 sequences and measure 2 and 4 of them; return the latter's metrics."""
    log = folder / f"{config.engine}-{'-'.join(config.knobs)}-{config.n_gpus}.log"
    with EngineSession(config, log_path=log) as session:
        session.start(max_batch_size=4, max_model_len=64)
        for batch_size in (2, 4):
            row = session.measure(batch_size=batch_size, workload=workload, policy=ONCE)
            n_requests = workload.n_requests(batch_size)
            assert row["request_throughput"] * row["measure_s"] == pytest.approx(n_requests)
    return row


@pytest.mark.slow
@pytest.mark.parametrize(
    "knobs",
    [
        {"cache_implementation": "static"},
        {"continuous_batching": True},
        {"torch_compile": True},
    ],
    ids=lambda knobs: next(iter(knobs)),
)
def test_hugging_face_runs_in_every_way_its_users_run_it(
    knobs: dict[str, Knob], demo_model: Path, cpu: str, folder: Path
) -> None:
    if engine_version("hf") is None:
        pytest.skip("hf is not installed here")
    config = EngineConfig(engine="hf", model=str(demo_model), gpu=cpu, knobs=knobs)
    stream = Workload(mode="stream", input_len=24, output_len=8)
    row = run_once(config, folder, stream if "continuous_batching" in knobs else SHORT)
    assert 0 < row["mean_itl_ms"] == pytest.approx(row["mean_tpot_ms"], rel=0.05)
    # A cache for the host's whole memory would starve everything else.
    assert row["peak_memory_gb"] < 8


PARENT = """
import sys
from pathlib import Path
from autotune.runner.session import EngineSession
from autotune.schema.engine_config import EngineConfig

engine, model, gpu, log = sys.argv[1:]
config = EngineConfig(engine=engine, model=model, gpu=gpu)
with EngineSession(config, log_path=Path(log)) as session:
    print(session.pid, flush=True)
    session.start(max_batch_size=2, max_model_len=32)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_the_worker_goes_with_its_parent_however_that_ends(
    engine: str, demo_model: Path, cpu: str, folder: Path, number: signal.Signals
) -> None:
    arguments = (engine, str(demo_model), cpu, str(folder / "parent.log"))
    command = [sys.executable, "-c", PARENT, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        group = int(parent.stdout.readline())
        deadline = time.monotonic() + 120
        # The guard is the second process of the group; the engine is still loading then.
        while len(members(group)) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(members(group)) >= 2
        parent.send_signal(number)
    deadline = time.monotonic() + 120
    while members(group) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not members(group)
