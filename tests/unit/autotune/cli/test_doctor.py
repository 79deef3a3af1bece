"""``autotune doctor``: what it finds here, and what it would say of other hosts."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from autotune.cli import doctor, main
from autotune.cli.doctor import Check, check_table, examine
from autotune.runner.gpu_lock import GpuUse
from autotune.store.tracking.store import Store
from tests.support.gpu_files import NAME, gpu_toml, write_gpus
from tests.support.records import record

H100 = GpuUse(uuid="u", name="NVIDIA H100 80GB HBM3", used_gb=0.5, total_gb=80.0)


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def test_it_looks_at_everything_and_changes_nothing(tmp_path: Path) -> None:
    found = by_name(examine(f"sqlite:///{tmp_path}/mlruns/mlflow.db"))
    assert {"Python", "engine vllm", "engine hf", "disk", "MLflow", "store"} <= found.keys()
    assert found["Python"].state == found["MLflow"].state == "ok"
    assert found["store"].state == "note"
    assert "autotune demo" in found["store"].advice
    assert list(tmp_path.iterdir()) == []


def test_a_store_is_counted_and_a_damaged_one_is_a_problem(
    tmp_path: Path, new_store: Callable[..., str]
) -> None:
    uri = new_store(tmp_path, "mlflow.db")
    Store(uri).log([record()])
    assert by_name(examine(uri))["store"].found.startswith("1 runs in sqlite")
    bad = tmp_path / "bad.db"
    bad.write_text("no database" * 100)
    assert by_name(examine(f"sqlite:///{bad}"))["store"].state == "problem"


def test_a_gpu_in_use_is_a_problem_and_says_who_uses_it() -> None:
    free = doctor._gpu("GPU 0", H100)
    assert (free.state, free.found) == ("ok", "H100-80GB, 80.0 GB, free")
    used = GpuUse(uuid="u", name=H100.name, used_gb=40, total_gb=80, processes=("process 7 (x)",))
    busy = doctor._gpu("GPU 0", used)
    assert busy.state == "problem"
    assert "process 7" in busy.found
    strange = GpuUse(uuid="u", name="Voodoo 2", used_gb=0, total_gb=8)
    assert "catalogue" in doctor._gpu("GPU 0", strange).advice


@pytest.mark.usefixtures("no_own_gpus")
def test_the_users_own_gpus_are_told_and_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    path = write_gpus(tmp_path / "config/autotune/gpus.toml", gpu_toml(tdp_w=0.3))
    (bad,) = doctor._own_gpus()
    assert bad.state == "problem"
    assert str(path) in bad.found
    strange = GpuUse(uuid="u", name="Voodoo 2", used_gb=0, total_gb=8)
    assert doctor._gpu("GPU 0", strange).state == "problem"
    write_gpus(path)
    (good,) = doctor._own_gpus()
    assert (good.state, good.found) == ("ok", NAME)
    named = GpuUse(uuid="u", name="NVIDIA ZX 500 Turbo", used_gb=0, total_gb=28.5)
    assert doctor._gpu("GPU 0", named).found.startswith(f"{NAME}, 28.5 GB")


def test_hidden_gpus_are_told_from_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "unset CUDA_VISIBLE_DEVICES" in doctor._no_gpu().advice
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert "nvidia-ml-py" in doctor._no_gpu().advice
    monkeypatch.setenv("PATH", "")
    assert doctor._no_gpu().state == "note"


def test_the_table_shows_brackets_and_states_as_words() -> None:
    console = Console(width=200, file=io.StringIO())
    advice = "pip install 'autotune-serving[hf]'"
    with console.capture() as captured:
        console.print(check_table([Check(name="x", state="problem", found="-", advice=advice)]))
    text = captured.get()
    assert advice in text
    assert "problem" in text


def test_the_command_prints_json_and_fails_on_a_problem(tmp_path: Path) -> None:
    bad = tmp_path / "bad.db"
    bad.write_text("no database" * 100)
    done = CliRunner().invoke(main, ["doctor", "--json", "--tracking-uri", f"sqlite:///{bad}"])
    assert done.exit_code == 1
    states = {check["name"]: check["state"] for check in json.loads(done.stdout)}
    assert states["store"] == "problem"
    assert states["surrogate"] == "ok"
