"""Memory arithmetic: cases worked by hand, and what must hold for every model and GPU."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.catalog.compatibility import DTYPE_BYTES
from autotune.catalog.gpus import find_gpu, load_gpus
from autotune.catalog.memory import (
    MemoryPlan,
    activation_bytes,
    kv_bytes_per_sequence,
    kv_bytes_per_token,
    plan_memory,
    weight_bytes,
)
from autotune.catalog.models import catalogue_names, find_model

GIB = 2**30
models = st.sampled_from(catalogue_names())
gpus = st.sampled_from(list(load_gpus()))
engines = st.sampled_from(["vllm", "hf"])


def plan(
    model: str,
    gpu: str,
    engine: str = "vllm",
    *,
    n_gpus: int = 1,
    batch_size: int = 1,
    sequence_len: int = 1024,
    dtype: str = "auto",
    kv_dtype: str = "auto",
) -> MemoryPlan:
    return plan_memory(
        find_model(model),
        find_gpu(gpu),
        engine=engine,
        n_gpus=n_gpus,
        batch_size=batch_size,
        sequence_len=sequence_len,
        dtype=dtype,
        kv_dtype=kv_dtype,
    )


@pytest.mark.parametrize(
    ("name", "kv_dtype", "expected"),
    [
        ("meta-llama/Llama-2-7b-hf", "float16", 524_288),
        ("meta-llama/Meta-Llama-3-8B", "bfloat16", 131_072),
        ("meta-llama/Meta-Llama-3-8B", "fp8", 65_536),
        ("bigcode/starcoder", "float16", 40 * 2 * 128 * 2),
        ("deepseek-ai/DeepSeek-V3", "auto", 61 * (512 + 64) * 2),
        ("google/flan-t5-xl", "auto", 24 * 2 * 32 * 64 * 4),
    ],
)
def test_cache_of_a_token(name: str, kv_dtype: str, expected: int) -> None:
    assert kv_bytes_per_token(find_model(name), kv_dtype) == expected


def test_window_bounds_its_layers() -> None:
    mistral, gemma = find_model("mistralai/Mistral-7B-v0.1"), find_model("google/gemma-2-9b")
    full = kv_bytes_per_sequence(mistral, 4096, "auto")
    assert kv_bytes_per_sequence(mistral, 20_000, "auto") == full
    half = kv_bytes_per_token(gemma, "auto") / 2
    assert kv_bytes_per_sequence(gemma, 6000, "auto") == half * (6000 + 4096)


def test_recurrent_state_does_not_grow() -> None:
    profile = find_model("nvidia/NVIDIA-Nemotron-Nano-9B-v2")
    state = kv_bytes_per_sequence(profile, 0, "auto")
    assert state == profile.state_elements * 4
    grown = kv_bytes_per_sequence(profile, 100, "auto") - state
    assert grown == 100 * kv_bytes_per_token(profile, "auto")


@pytest.mark.parametrize(
    ("name", "dtype", "expected_gb"),
    [
        ("meta-llama/Llama-3.1-8B", "bfloat16", 8_030_261_248 * 2 / GIB),
        ("meta-llama/Llama-3.1-8B", "fp8", (8_030_261_248 + 2 * 128_256 * 4096) / GIB),
        ("openai/gpt-oss-20b", "auto", 13.76e9 / GIB),
        ("openai/gpt-oss-120b", "auto", 65.2e9 / GIB),
    ],
)
def test_weights(name: str, dtype: str, expected_gb: float) -> None:
    assert weight_bytes(find_model(name), dtype) / GIB == pytest.approx(expected_gb, rel=0.02)


def test_unknown_dtype_lists_the_known() -> None:
    with pytest.raises(ValueError, match="bfloat16"):
        weight_bytes(find_model("meta-llama/Llama-3.1-8B"), "float7")


@pytest.mark.parametrize(
    ("model", "gpu", "engine", "kwargs", "fits"),
    [
        ("meta-llama/Llama-2-13b-hf", "V100-16GB", "vllm", {}, False),
        ("meta-llama/Llama-2-7b-hf", "V100-32GB", "vllm", {"batch_size": 512}, True),
        ("meta-llama/Llama-2-7b-hf", "V100-32GB", "hf", {"batch_size": 512}, False),
        ("meta-llama/Llama-2-7b-hf", "V100-32GB", "hf", {"dtype": "float32"}, True),
        ("meta-llama/Llama-2-13b-hf", "V100-32GB", "hf", {"dtype": "float32"}, False),
        ("meta-llama/Llama-2-70b-hf", "A100-80GB", "vllm", {"n_gpus": 1}, False),
        ("meta-llama/Llama-2-70b-hf", "A100-80GB", "vllm", {"n_gpus": 2}, True),
        ("meta-llama/Llama-2-70b-hf", "A100-40GB", "vllm", {"n_gpus": 2}, False),
        ("deepseek-ai/DeepSeek-R1", "H200", "vllm", {"n_gpus": 8}, True),
        ("deepseek-ai/DeepSeek-R1", "H100-80GB", "vllm", {"n_gpus": 8}, False),
        ("openai/gpt-oss-120b", "H100-80GB", "vllm", {}, True),
    ],
)
def test_what_fits(
    model: str, gpu: str, engine: str, kwargs: dict[str, object], fits: bool
) -> None:
    assert plan(model, gpu, engine, **kwargs).fits is fits  # type: ignore[arg-type]


def test_kv_heads_are_replicated_beyond_their_number() -> None:
    two, eight, sixteen = (
        plan("meta-llama/Llama-2-70b-hf", "B200", n_gpus=n, batch_size=8) for n in (2, 8, 16)
    )
    assert two.kv_gb == pytest.approx(4 * eight.kv_gb)
    assert sixteen.kv_gb == pytest.approx(eight.kv_gb)
    latent = [plan("deepseek-ai/DeepSeek-R1", "B200", n_gpus=n).kv_gb for n in (8, 16)]
    assert latent[0] == latent[1]


def test_float32_weights_are_narrowed_by_vllm_only() -> None:
    profile = find_model("bigcode/starcoder2-3b")
    assert profile.dtype == "float32"
    narrow, wide = (plan(profile.name, "A100-40GB", engine) for engine in ("vllm", "hf"))
    assert wide.weights_gb == pytest.approx(2 * narrow.weights_gb)


@given(model=models, gpu=gpus, engine=engines, n_gpus=st.sampled_from([1, 2, 4, 8]))
def test_more_sequences_need_more_memory(model: str, gpu: str, engine: str, n_gpus: int) -> None:
    plans = [plan(model, gpu, engine, n_gpus=n_gpus, batch_size=b) for b in (1, 2, 16, 128)]
    for fewer, more in pairwise(plans):
        assert more.total_gb >= fewer.total_gb or more.max_sequences < fewer.max_sequences
        assert more.max_sequences <= fewer.max_sequences
        assert fewer.fits or not more.fits


@given(model=models, gpu=gpus, engine=engines, length=st.integers(16, 8192))
def test_plan_adds_up(model: str, gpu: str, engine: str, length: int) -> None:
    one = plan(model, gpu, engine, sequence_len=length)
    parts = one.weights_gb + one.kv_gb + one.activations_gb
    assert one.total_gb == pytest.approx(parts)
    assert one.fits == (one.max_sequences >= 1)
    assert one.total_gb <= one.available_gb * (1 + 1e-9) or not one.fits


@given(model=models, engine=engines, n_gpus=st.sampled_from([1, 2, 4]))
def test_more_gpus_never_stop_it_from_fitting(model: str, engine: str, n_gpus: int) -> None:
    fewer = plan(model, "A100-80GB", engine, n_gpus=n_gpus, batch_size=8)
    more = plan(model, "A100-80GB", engine, n_gpus=2 * n_gpus, batch_size=8)
    assert more.weights_gb < fewer.weights_gb
    assert more.fits or not fewer.fits


@given(model=models, tokens=st.integers(1, 100_000))
def test_longer_sequences_cache_more(model: str, tokens: int) -> None:
    profile = find_model(model)
    shorter = kv_bytes_per_sequence(profile, tokens, "auto")
    assert shorter <= kv_bytes_per_sequence(profile, tokens + 1, "auto")
    assert activation_bytes(profile, tokens, "auto") < activation_bytes(profile, tokens + 1, "auto")


@given(model=models, dtype=st.sampled_from(sorted(DTYPE_BYTES)))
def test_quantised_weights_are_smaller(model: str, dtype: str) -> None:
    profile = find_model(model)
    assert 0 < weight_bytes(profile, dtype) <= weight_bytes(profile, "float32")
