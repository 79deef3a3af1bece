"""What only a GPU can show: memory given back, memory that runs out, GPUs in use, power.

Needs a host with an NVIDIA GPU that nobody else uses, and the extra `hf` (vLLM's cases `vllm`).
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from autotune.engines.knobs import engine_version
from autotune.errors import GpuBusyError
from autotune.processes import members
from autotune.runner.gpu_lock import hold_gpus, read_uses
from autotune.store.journal import read_journal

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not read_uses(1), reason="needs an NVIDIA GPU"),
]
ROOT = Path(__file__).parents[2]
MODEL = "microsoft/phi-1_5"
ENGINES = ("hf", "vllm")


def used_gb() -> float:
    return sum(use.used_gb for use in read_uses(1))


@pytest.fixture(autouse=True)
def memory_before() -> Iterator[float]:
    """Every test must leave the GPU's memory as it found it."""
    before = used_gb()
    yield before
    deadline = time.monotonic() + 30
    while used_gb() > before + 0.5 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert used_gb() <= before + 0.5


def start_study(folder: Path, *options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "autotune.cli", "run", "--model", MODEL, *map(str, options)]
    return subprocess.Popen(
        [*command, "--journal", str(folder / "study.jsonl"), "--time-budget", "1"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"},
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_record(process: subprocess.Popen[str], journal: Path, timeout_s: float = 240) -> None:
    deadline = time.monotonic() + timeout_s
    while not (journal.exists() and journal.read_bytes().count(b"\n")):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.1)


ALLOCATE = "import torch; x = torch.ones(2**32, device='cuda'); print('held', flush=True); input()"


def test_a_gpu_that_someone_computes_on_is_refused_with_the_memory_in_use() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ALLOCATE], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        begin = time.monotonic()
        with pytest.raises(GpuBusyError, match=r"has 1[67]\.\d of \d+\.\d GB in use"), hold_gpus(1):
            pass
        assert time.monotonic() - begin < 40
        other.kill()
    with hold_gpus(1):
        pass


def test_a_second_study_on_the_same_gpu_is_refused(tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    first = start_study(tmp_path, "--engine", "hf", "--batch-sizes", "1:64")
    wait_for_record(first, tmp_path / "study.jsonl")
    second = start_study(tmp_path / "second", "--engine", "hf", "--batch-sizes", "1")
    error = second.communicate(timeout=60)[1]
    assert second.returncode == 1
    assert f"another study (process {first.pid})" in error
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=60)
    assert first.returncode == 130


@pytest.mark.parametrize("engine", ENGINES)
def test_a_killed_study_leaves_no_process_and_no_memory_and_resumes(
    engine: str, tmp_path: Path, memory_before: float
) -> None:
    if engine_version(engine) is None:
        pytest.skip(f"{engine} is not installed here")
    options = ("--engine", engine, "--batch-sizes", "1:4", "--input-len", 64, "--output-len", 16)
    process = start_study(tmp_path, *options)
    wait_for_record(process, tmp_path / "study.jsonl")
    assert used_gb() > memory_before + 1
    groups = {os.getpgid(int(p.name)) for p in Path("/proc").iterdir() if is_child(p, process.pid)}
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 30
    while any(map(members, groups)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(members, groups))
    before = read_journal(tmp_path / "study.jsonl")
    resumed = start_study(tmp_path, *options, "--resume")
    resumed.communicate(timeout=240)
    assert resumed.returncode == 0
    after = read_journal(tmp_path / "study.jsonl")
    assert after[: len(before)] == before
    assert sorted(record.batch_size for record in after) == [1, 2, 4]


def is_child(entry: Path, parent: int) -> bool:
    try:
        text = (entry / "stat").read_text()
    except OSError:
        return False
    return entry.name.isdigit() and int(text.rpartition(")")[2].split()[1]) == parent


def test_memory_that_runs_out_is_data_and_the_study_goes_on(tmp_path: Path) -> None:
    # A batch of 4,096 sequences of 1,024 tokens takes some 800 GB of keys and values.
    process = start_study(
        tmp_path,
        *("--engine", "hf", "--batch-sizes", "8,4096", "--input-len", 1008, "--output-len", 16),
    )
    process.communicate(timeout=240)
    failed, measured = read_journal(tmp_path / "study.jsonl")
    assert (failed.batch_size, failed.status) == (4096, "out_of_memory")
    assert "CUDA out of memory" in (failed.notes or "")
    assert list((tmp_path / "logs").glob("*.tail.log"))
    assert (measured.batch_size, measured.status) == (8, "completed")
    assert measured.mean_power_w is not None
    assert measured.energy_j_per_token is not None
    assert measured.environment["mean_sm_clock_mhz"] > 0
    assert 0 <= measured.environment["mean_gpu_utilization"] <= 100
