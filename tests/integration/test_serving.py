"""vLLM's real server under its real benchmark client, through an EngineSession."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from autotune.engines.knobs import engine_version
from autotune.errors import TrialError
from autotune.importers.scrapes.take import read_load
from autotune.processes import members
from autotune.runner.session import EngineSession
from autotune.schema.engine_config import EngineConfig
from autotune.schema.workload import MeasurePolicy, Slo, Workload
from tests.support.passes import on_first_pass

pytestmark = [
    pytest.mark.engine,
    pytest.mark.slow,
    pytest.mark.skipif(engine_version("vllm") is None, reason="vLLM is not installed"),
]
ONCE = MeasurePolicy(min_repeats=1, max_repeats=1)
SERVING = Workload(mode="serving", input_len=24, output_len=8, num_prompts=10)
EAGER = {"enforce_eager": True}


def command_lines(group: int) -> list[str]:
    """Return what the processes of a group call themselves."""
    lines = []
    for pid in members(group):
        path = Path(f"/proc/{pid}/cmdline")
        lines.append(path.read_bytes().decode().replace("\0", " ") if path.exists() else "")
    return lines


def listening(group: int) -> dict[str, str]:
    """Return the address of every socket a group listens on, in the kernel's hexadecimal."""
    owned = set()
    for pid in members(group):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            owned.add(str(descriptor.readlink()))
    found = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in owned:
                address, _, port = fields[1].partition(":")
                found[port] = address
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("serving")


@pytest.fixture(scope="module")
def bare(demo_model: Path, folder: Path) -> Path:
    """The demo model's config.json alone: neither weights nor tokenizer."""
    directory = folder / "bare"
    directory.mkdir()
    (directory / "config.json").write_bytes((demo_model / "config.json").read_bytes())
    return directory


@pytest.fixture(scope="module")
def session(bare: Path, cpu: str, folder: Path) -> Iterator[EngineSession]:
    """One server that all tests share; the last one kills its engine."""
    config = EngineConfig(engine="vllm", model=str(bare), gpu=cpu, knobs=EAGER, serving=True)
    with EngineSession(config, log_path=folder / "server.log") as session:
        session.start(max_batch_size=4, max_model_len=64)
        yield session


def test_a_started_server_tells_all_about_itself(session: EngineSession) -> None:
    started = session.started
    assert started is not None
    version = engine_version("vllm")
    assert started.engine_version == version
    assert (started.dtype, started.weights, started.vocab_size) == ("bfloat16", "random", 2048)
    assert started.kv_cache_tokens is not None
    assert started.kv_cache_tokens > 64
    assert started.settings["measuring_tool"] == f"vllm bench serve {version}"
    assert all(isinstance(value, str) and value for value in started.settings.values())


def port_of(group: int) -> int:
    """Return the port that a session's server was told to listen on."""
    server = next(line for line in command_lines(group) if "api_server" in line)
    return int(server.split("--port=")[1].split()[0])


def test_it_listens_on_the_loopback_interface_alone(session: EngineSession) -> None:
    port = port_of(session.pid)
    addresses = listening(session.pid)
    assert addresses[f"{port:04X}"] == "0100007F"
    assert set(addresses.values()) == {"0100007F"}


@pytest.mark.parametrize("in_flight", [1, 4])
def test_one_start_serves_any_number_of_clients_token_by_token(
    session: EngineSession, in_flight: int
) -> None:
    row = session.measure(
        batch_size=in_flight, workload=SERVING, policy=ONCE, slo=Slo(max_ttft_ms=600_000.0)
    )
    n = SERVING.n_requests(in_flight)
    assert row["request_throughput"] * row["measure_s"] == pytest.approx(n)
    assert row["output_throughput"] * row["measure_s"] == pytest.approx(n * SERVING.output_len)
    assert row["total_throughput"] * row["measure_s"] == pytest.approx(n * SERVING.max_len)
    assert row["mean_ttft_ms"] < row["mean_e2el_ms"]
    decode_ms = row["mean_e2el_ms"] - row["mean_ttft_ms"]
    assert row["mean_tpot_ms"] == pytest.approx(decode_ms / (SERVING.output_len - 1))
    # Never more in flight than asked: together the requests take at least so long.
    assert row["measure_s"] * 1e3 * in_flight >= n * row["mean_e2el_ms"]


def test_a_request_rate_is_kept(session: EngineSession) -> None:
    rate, n = 5.0, 10
    workload = Workload(
        mode="serving", input_len=24, output_len=2, num_prompts=n, request_rate=rate
    )
    row = session.measure(batch_size=4, workload=workload, policy=ONCE)
    assert row["measure_s"] >= 0.9 * (n - 1) / rate


def test_lengths_may_vary_from_request_to_request(session: EngineSession) -> None:
    workload = Workload(
        mode="serving",
        input_len=24,
        output_len=8,
        num_prompts=10,
        length_distribution="uniform",
        length_spread=0.5,
    )
    assert session.measure(batch_size=4, workload=workload, policy=ONCE)["repeats"] == 1


def test_its_metrics_tell_the_load_that_it_served(session: EngineSession) -> None:
    passes: list[Mapping[str, Any]] = []

    def put_load(_: float) -> None:
        session.measure(batch_size=2, workload=SERVING, policy=ONCE, on_pass=passes.append)

    began = time.monotonic()
    seen = read_load([f"http://127.0.0.1:{port_of(session.pid)}"], wait=put_load)
    assert 0 < seen.window_s <= time.monotonic() - began
    n = len(passes) * SERVING.n_requests(2)
    assert len(passes) >= 1
    assert (seen.n_engines, seen.n_requests) == (1, n)
    assert sum(seen.finished.values()) == seen.finished["length"] == n
    assert (seen.input_len, seen.output_len) == (SERVING.input_len, SERVING.output_len)
    assert seen.output_throughput == pytest.approx(n * SERVING.output_len / seen.window_s)
    assert seen.total_throughput == pytest.approx(n * SERVING.max_len / seen.window_s)
    ttft_ms, tpot_ms, e2el_ms = seen.mean_ttft_ms, seen.mean_tpot_ms, seen.mean_e2el_ms
    assert ttft_ms is not None
    assert tpot_ms is not None
    assert e2el_ms is not None
    assert 0 < ttft_ms < e2el_ms
    assert 0 < tpot_ms * (SERVING.output_len - 1) < e2el_ms
    assert seen.in_flight is not None
    assert 0 < seen.in_flight <= 2
    assert (seen.running, seen.waiting, seen.preemptions) == (0, 0, 0)


def kill_engine(group: int) -> None:
    """Kill what vLLM's server has started."""
    for pid in members(group):
        if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"VLLM::"):
            os.kill(pid, signal.SIGKILL)


def test_an_engine_that_dies_behind_its_server_is_a_result_and_leaves_nothing(
    session: EngineSession,
) -> None:
    without_end = MeasurePolicy(min_repeats=1000, max_repeats=1000, time_budget_s=300)
    group = session.pid
    with pytest.raises(TrialError, match=r"requests failed|the server ended") as caught:
        session.measure(
            batch_size=4,
            workload=SERVING,
            policy=without_end,
            on_pass=on_first_pass(lambda: kill_engine(group)),
        )
    assert caught.value.status == "crashed"
    session.close()
    assert not members(group)


@pytest.mark.parametrize(
    ("knobs", "max_model_len", "status", "says", "log_says"),
    [
        ({}, 4096, "load_failed", "vLLM refuses the configuration.*4096", ""),
        ({"num_gpu_blocks_override": 1}, 2048, "out_of_memory", "its log", "KV cache"),
    ],
)
def test_a_server_that_cannot_start_says_why_and_leaves_nothing(
    demo_model: Path,
    cpu: str,
    tmp_path: Path,
    knobs: dict[str, Any],
    max_model_len: int,
    status: str,
    says: str,
    log_says: str,
) -> None:
    config = EngineConfig(
        engine="vllm", model=str(demo_model), gpu=cpu, knobs=EAGER | knobs, serving=True
    )
    with EngineSession(config, log_path=tmp_path / "log") as session:
        group = session.pid
        with pytest.raises(TrialError, match=f"(?s){says}") as caught:
            session.start(max_batch_size=2, max_model_len=max_model_len)
        assert not any("api_server" in line for line in command_lines(group))
    assert caught.value.status == status
    assert log_says in (tmp_path / "log").read_text()
    assert not members(group)


PARENT = """
import sys
from pathlib import Path
from autotune.schema.engine_config import EngineConfig
from autotune.runner.session import EngineSession

model, gpu, log = sys.argv[1:]
config = EngineConfig(engine="vllm", model=model, gpu=gpu, serving=True)
with EngineSession(config, log_path=Path(log)) as session:
    print(session.pid, flush=True)
    session.start(max_batch_size=2, max_model_len=32)
"""


def wait_for(is_so: Callable[[], bool], *, limit_s: float) -> bool:
    """Wait until something is so; whether it ever was."""
    deadline = time.monotonic() + limit_s
    while not (there := is_so()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return there


def test_the_server_goes_with_the_workers_parent(demo_model: Path, cpu: str, folder: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(demo_model), cpu, str(folder / "parent.log")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert parent.stdout is not None
    group = int(parent.stdout.readline())

    def server_is_there() -> bool:
        return any("api_server" in line for line in command_lines(group))

    assert wait_for(server_is_there, limit_s=400)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert wait_for(lambda: not members(group), limit_s=120)
