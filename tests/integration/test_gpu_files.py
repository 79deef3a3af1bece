"""A GPU that the catalogue lacks, from one user's file to another's store."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from autotune.catalog import own_gpus
from autotune.schema.codec import to_json_line
from recommender.features.spec_sheets import gpu_of, static_numbers
from tests.support.gpu_files import NAME, gpu_toml, write_gpus
from tests.support.records import record
from tests.support.workspace import Workspace

pytestmark = pytest.mark.usefixtures("no_own_gpus")
MODEL = "meta-llama/Llama-3.1-8B"
ASK = ("recommend", "--model", MODEL, "--target-gpu", NAME, "--max-gpus", 1, "--json")


def elsewhere() -> None:
    """Forget what this process knows of GPUs, as another one on another host."""
    for forgotten in (own_gpus._known, own_gpus._short):
        forgotten.clear()
    for cached in (gpu_of, static_numbers):
        cached.cache_clear()


def write_runs(path: Path, gpu: str, factor: float = 1.0) -> Path:
    rows = [
        record(gpu=gpu, batch_size=2**k, output_throughput=factor * 40.0 * 1.7**k,
               mean_ttft_ms=None, mean_tpot_ms=None)
        for k in range(7)
    ]  # fmt: skip
    path.write_text("".join(to_json_line(row) + "\n" for row in rows))
    return path


def test_a_colleague_can_use_runs_of_a_gpu_that_only_a_file_knows(
    tmp_path: Path, new_store: Callable[..., str]
) -> None:
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    for folder in (mine, theirs):
        folder.mkdir()
        new_store(folder)
    gpus = write_gpus(tmp_path / "gpus.toml")
    runs = write_runs(tmp_path / "runs.jsonl", NAME)
    assert Workspace(mine).here("import", runs, "--gpu-file", gpus).code == 0
    assert Workspace(mine).here("export", tmp_path / "sent.jsonl").code == 0
    sent = [json.loads(line) for line in (tmp_path / "sent.jsonl").read_text().splitlines()]
    assert {row["environment"]["gpu_sheet"]["bandwidth_gbs"] for row in sent} == {640}

    elsewhere()
    colleague = Workspace(theirs)
    assert colleague.here(*ASK).code == 2
    assert colleague.here("import", tmp_path / "sent.jsonl").code == 0
    answer = colleague.here(*ASK).json()
    assert answer["best"]["status"] == "measured"
    assert "7 of them on ZX-500" in answer["explanation"]

    elsewhere()
    other = write_gpus(tmp_path / "other.toml", gpu_toml(memory_gb=20))
    told = colleague.here(*ASK, "--gpu-file", other).json()
    assert any("memory_gb 20 there, 28.5 here" in remark for remark in told["remarks"])


def test_runs_of_unlike_hardware_come_in_with_a_sheet(
    tmp_path: Path, new_store: Callable[..., str]
) -> None:
    new_store(tmp_path)
    gpus = write_gpus(tmp_path / "gpus.toml", gpu_toml("Gaudi 3", vendor="habana", aliases=[]))
    bench = {
        **{"backend": "vllm", "model_id": MODEL, "max_concurrency": 8, "num_prompts": 64},
        **{"completed": 64, "duration": 20.0, "total_input_tokens": 32768},
        **{"total_output_tokens": 8192, "output_throughput": 409.6, "request_throughput": 3.2},
        **{"mean_ttft_ms": 90.0, "mean_tpot_ms": 19.0, "mean_itl_ms": 19.0},
    }
    (tmp_path / "bench.json").write_text(json.dumps(bench))
    told = ("import", "bench.json", "--gpu", "Gaudi 3", "--n-gpus", 1, "--engine-version", "0.26.0")
    refused = Workspace(tmp_path).here(*told)
    assert refused.code == 2
    assert "is not supported" in refused.err
    taken = Workspace(tmp_path).here(*told, "--gpu-file", gpus)
    assert taken.code == 0, taken.err
    assert Workspace(tmp_path).here("export", "out.jsonl").code == 0
    (row,) = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert row["gpu"] == "Gaudi 3"
    assert row["environment"]["gpu_sheet"]["vendor"] == "habana"
