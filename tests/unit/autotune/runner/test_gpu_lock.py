"""A GPU in use is refused by name, and no two studies hold the same one."""

import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from autotune.errors import GpuBusyError
from autotune.runner.gpu_lock import GpuUse, hold, hold_gpus, wait_until_free

FREE = GpuUse(uuid="GPU-a", name="NVIDIA H200", used_gb=0.6, total_gb=140.0)
FULL = GpuUse(uuid="GPU-b", name="NVIDIA H200", used_gb=30.0, total_gb=140.0)
SHARED = GpuUse(
    uuid="GPU-c", name="NVIDIA L4", used_gb=0.2, total_gb=22.5, processes=("process 7 (python)",)
)


@pytest.fixture
def gpu() -> Iterator[str]:
    name = f"GPU-{uuid.uuid4()}"
    yield name
    (Path(tempfile.gettempdir()) / f"autotune-{name}.lock").unlink(missing_ok=True)


def test_a_gpu_is_free_without_processes_and_with_next_to_nothing_in_use() -> None:
    assert FREE.is_free
    assert not FULL.is_free
    assert not SHARED.is_free


def test_free_gpus_are_not_waited_for() -> None:
    wait_until_free(lambda: [FREE], patience_s=0)
    wait_until_free(list, patience_s=0)


def test_a_busy_gpu_is_named_with_its_memory_and_its_processes() -> None:
    with pytest.raises(GpuBusyError) as raised:
        wait_until_free(lambda: [FREE, FULL, SHARED], patience_s=0)
    assert "NVIDIA H200 has 30.0 of 140.0 GB in use;" in str(raised.value)
    assert "NVIDIA L4 has 0.2 of 22.5 GB in use by process 7 (python)" in str(raised.value)
    assert "CUDA_VISIBLE_DEVICES" in str(raised.value)


def test_memory_that_is_being_given_back_is_waited_for() -> None:
    uses = iter([[FULL], [FREE]])
    wait_until_free(lambda: next(uses), patience_s=5)


HOLDER = """
import sys
from autotune.runner.gpu_lock import hold
with hold(sys.argv[1], "NVIDIA H200"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_study_on_the_same_gpu_is_refused_and_told_who_holds_it(gpu: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, gpu], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(GpuBusyError, match=f"another study \\(process {holder.pid}\\)"),
            hold(gpu, "NVIDIA H200"),
        ):
            pass
        with hold(f"{gpu}-other", "NVIDIA H200"):
            pass
        holder.kill()
    (Path(tempfile.gettempdir()) / f"autotune-{gpu}-other.lock").unlink()
    # The hold of a killed study ends with it.
    with hold(gpu, "NVIDIA H200"):
        path = Path(tempfile.gettempdir()) / f"autotune-{gpu}.lock"
        assert path.read_text() == str(os.getpid())


def test_a_lock_file_that_is_a_link_is_not_followed(gpu: str, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    link = Path(tempfile.gettempdir()) / f"autotune-{gpu}.lock"
    link.symlink_to(victim)
    with pytest.raises(OSError, match="symbolic"), hold(gpu, "NVIDIA H200"):
        pass
    assert victim.read_text() == "precious"


def test_a_host_without_gpus_holds_nothing() -> None:
    with hold_gpus(0):
        pass
