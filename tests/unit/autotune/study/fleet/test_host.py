"""What a host of the fleet knows of the driver's GPUs."""

from pathlib import Path

import pytest

from autotune.catalog.gpu_files import read_gpu_file
from autotune.catalog.gpus import add_gpus, find_gpu, own_gpus
from autotune.study.fleet.host import Refusal, seeing_all
from tests.support.gpu_files import NAME, gpu_toml, write_gpus

pytestmark = pytest.mark.usefixtures("no_own_gpus")


def test_a_host_looks_up_what_only_the_driver_s_file_holds(tmp_path: Path) -> None:
    sent = read_gpu_file(write_gpus(tmp_path / "drivers.toml")).gpus
    assert isinstance(seeing_all((), find_gpu, NAME), Refusal)
    assert seeing_all(sent, find_gpu, NAME) == sent[0]
    assert seeing_all(sent, find_gpu, "zx 500 turbo") == sent[0]
    assert [known.origin for known in own_gpus()] == ["the fleet's driver"]


def test_a_host_that_says_otherwise_of_a_gpu_refuses(tmp_path: Path) -> None:
    add_gpus(write_gpus(tmp_path / "hosts.toml", gpu_toml(memory_gb=20)))
    sent = read_gpu_file(write_gpus(tmp_path / "drivers.toml")).gpus
    refusal = seeing_all(sent, find_gpu, NAME)
    assert isinstance(refusal, Refusal)
    assert refusal.is_usage
    assert "memory_gb 20 there, 28.5 here" in refusal.text
