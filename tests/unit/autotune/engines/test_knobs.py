"""A knob that the installed engine lacks is refused before anything starts, naming the nearest."""

import sys

import pytest

from autotune.engines.knobs import check_knobs, engine_version, require_engine, vllm_knobs
from autotune.errors import EngineUnavailableError, InvalidConfigError
from autotune.schema.configuration import Knob
from autotune.schema.engine_config import EngineConfig

needs_vllm = pytest.mark.skipif(engine_version("vllm") is None, reason="vLLM is not installed")
needs_hf = pytest.mark.skipif(engine_version("hf") is None, reason="transformers is not installed")


def config(engine: str, **knobs: Knob) -> EngineConfig:
    return EngineConfig(engine=engine, model="m", gpu="CPU", knobs=knobs)


@needs_vllm
@pytest.mark.parametrize(
    "knob", ["enforce_eager", "gpu_memory_utilization", "max_num_batched_tokens", "kv_cache_dtype"]
)
def test_vllms_own_arguments_are_known(knob: str) -> None:
    check_knobs(config("vllm", **{knob: 1}))
    assert knob in vllm_knobs()


@needs_vllm
def test_looking_at_vllms_arguments_does_not_import_it() -> None:
    vllm_knobs()
    assert "vllm" not in sys.modules


@pytest.mark.parametrize(
    ("engine", "knob", "nearest"),
    [
        pytest.param("vllm", "enforce_eagre", "enforce_eager", marks=needs_vllm),
        pytest.param("vllm", "max_num_batch_tokens", "max_num_batched_tokens", marks=needs_vllm),
        pytest.param("hf", "attn_implementaton", "attn_implementation", marks=needs_hf),
        pytest.param("hf", "gpu_memory_utilization", "'gpu_memory_utilization'", marks=needs_hf),
    ],
)
def test_an_unknown_knob_is_refused_with_the_nearest(engine: str, knob: str, nearest: str) -> None:
    with pytest.raises(InvalidConfigError, match=f"{engine}.*no knob.*{nearest}"):
        check_knobs(config(engine, **{knob: 1}))


@needs_hf
@pytest.mark.parametrize(
    ("knob", "value"),
    [("device_map", "balance"), ("device_map", None), ("max_memory_gb", 0), ("max_memory_gb", "8")],
)
def test_a_value_that_a_knob_cannot_take_is_refused(knob: str, value: Knob) -> None:
    with pytest.raises(InvalidConfigError, match=knob):
        check_knobs(config("hf", **{knob: value}))


def test_an_engine_that_is_not_installed_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "meta_path", sys.meta_path[-1:])
    for name in [m for m in sys.modules if m.split(".")[0] in {"vllm", "transformers"}]:
        monkeypatch.delitem(sys.modules, name)
    assert engine_version("vllm") is None
    with pytest.raises(EngineUnavailableError, match="vllm, not installed here: install the extra"):
        require_engine("vllm")
