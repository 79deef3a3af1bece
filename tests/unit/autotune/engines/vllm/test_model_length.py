"""The length a deployed vLLM is told: less than the model's own where that does not fit."""

from pathlib import Path
from typing import Any

import pytest

from autotune.catalog.gpus import find_gpu
from autotune.catalog.memory import plan_memory
from autotune.catalog.models import find_model
from autotune.engines.vllm.model_length import _SPARE, shortened
from autotune.schema.configuration import Configuration
from autotune.schema.record import RunRecord
from autotune.store.bundled import CHECKOUT
from autotune.store.journal import read_journal
from tests.support.records import record

LLAMA = find_model("meta-llama/Llama-3.1-8B")


def on(gpu: str, n_gpus: int = 1, **changes: Any) -> Configuration:
    return record(gpu=gpu, n_gpus=n_gpus, batch_size=64, **changes).configuration


def test_a_cache_too_small_for_the_model_s_own_length_shortens_it() -> None:
    found = shortened(on("L4"))
    assert found is not None
    assert found.own_len == 131_072
    assert found.needed_gb == pytest.approx(16.0)
    assert found.max_model_len == 26_624
    cache_gb = found.max_model_len / found.own_len * found.needed_gb
    assert 0.85 * found.left_gb < cache_gb <= found.left_gb
    assert found.reason.startswith("--max-model-len 26624: a sequence of the model's own 131,072")


@pytest.mark.parametrize("configuration", [on("H200"), on("L4", 4), on("L40S")])
def test_where_the_model_s_own_length_fits_nothing_is_told(configuration: Configuration) -> None:
    assert shortened(configuration) is None


def test_a_narrower_cache_or_format_leaves_room_for_more() -> None:
    plain, cache, weights, less = (
        shortened(on("L4", **changes))
        for changes in (
            {},
            {"knobs": {"kv_cache_dtype": "fp8"}},
            {"quantization": "fp8"},
            {"knobs": {"gpu_memory_utilization": 0.85}},
        )
    )
    assert plain is not None
    assert cache is not None
    assert weights is not None
    assert less is not None
    assert cache.max_model_len == 2 * plain.max_model_len
    assert less.max_model_len < plain.max_model_len < weights.max_model_len


def test_replicas_have_each_their_own_gpus() -> None:
    four = on("L4", 4, knobs={"data_parallel_size": 4})
    found, alone = shortened(four), shortened(on("L4"))
    assert found is not None
    assert alone is not None
    # Each has a quarter of the sequences in flight, so a little more of its memory is left.
    assert alone.max_model_len <= found.max_model_len < 1.1 * alone.max_model_len


def test_what_was_asked_for_is_never_shortened() -> None:
    found = shortened(on("L4", input_len=28_000, output_len=700))
    assert found is not None
    assert found.max_model_len == 28_700


@pytest.mark.parametrize(
    "configuration",
    [
        on("L4", knobs={"max_model_len": 4096}),
        on("L4", engine="hf"),
        on("CPU:some-2c"),
        on("L4", model="nobody/knows-it"),
        on("L4", knobs={"kv_cache_dtype": "of-tomorrow"}),
        on("H100", 2, model="mistralai/Mixtral-8x7B-v0.1", knobs={"data_parallel_size": 2}),
    ],
)
def test_nothing_is_told_of_what_is_not_known(configuration: Configuration) -> None:
    assert shortened(configuration) is None


def reference() -> list[RunRecord]:
    folder: Path = CHECKOUT / "mlruns" / "reference"
    names = ("h100-vllm-qwen3-30b-a3b", "h100-vllm-codellama-34b", "h200-vllm-codellama-13b")
    runs = [run for name in names for run in read_journal(folder / f"{name}.jsonl")]
    return [run for run in runs if run.kv_cache_tokens and run.mode == "closed_batch"]


def test_vllm_had_room_for_what_the_arithmetic_says_is_left() -> None:
    """The caches that vLLM 0.26 reported hold what would be promised, by no great margin."""
    for run in reference():
        gpu = find_gpu(run.gpu)
        promised = plan_memory(
            find_model(run.model),
            gpu,
            engine="vllm",
            n_gpus=run.n_gpus,
            batch_size=1024,
            sequence_len=1,
            dtype="auto",
            kv_dtype="auto",
            gpu_memory_utilization=0.9 - _SPARE,
        ).max_sequences
        assert run.kv_cache_tokens is not None
        assert 0.5 * run.kv_cache_tokens < promised < run.kv_cache_tokens, run.model
