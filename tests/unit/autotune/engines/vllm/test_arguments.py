"""One list of arguments for measuring and deploying, and the options it may name."""

import re
from typing import Any

import pytest

from autotune.engines.knobs import vllm_knobs
from autotune.engines.vllm.arguments import (
    SERVER_DEFAULTS,
    engine_arguments,
    flags,
    serve_arguments,
    serve_flags,
    serve_flags_version,
    start_arguments,
)
from autotune.engines.weights import Weights
from autotune.errors import EngineUnavailableError
from autotune.schema.engine_config import DTYPES, EngineConfig
from tests.support.records import record

RANDOM = Weights(kind="random", config={}, directory=None)
# Every knob that the code, the pages or an importer name.
KNOBS: dict[str, Any] = {
    "pipeline_parallel_size": 2,
    "data_parallel_size": 2,
    "kv_cache_dtype": "fp8",
    "max_model_len": 4096,
    "max_num_batched_tokens": 8192,
    "gpu_memory_utilization": 0.85,
    "block_size": 32,
    "max_cudagraph_capture_size": 1024,
    "distributed_executor_backend": "ray",
    "enable_expert_parallel": True,
    "trust_remote_code": True,
}
SWITCHES = ("enforce_eager", "enable_prefix_caching", "enable_chunked_prefill", "async_scheduling")


def named(words: list[str]) -> set[str]:
    return {word.partition("=")[0] for word in words if word.startswith("--")}


@pytest.mark.parametrize("is_on", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("gpu", ["L4", "H200"])
def test_every_option_of_the_line_is_vllm_s(gpu: str, dtype: str, is_on: bool) -> None:
    knobs = KNOBS | dict.fromkeys(SWITCHES, is_on)
    for given in (knobs, {}):
        run = record(n_gpus=8, gpu=gpu, dtype=dtype, quantization="fp8", knobs=given)
        assert named(serve_arguments(run)) <= serve_flags()


@pytest.mark.parametrize("is_on", [True, False])
def test_every_option_of_a_start_to_measure_is_vllm_s(is_on: bool) -> None:
    knobs = {k: v for k, v in KNOBS.items() if k != "trust_remote_code"}
    config = EngineConfig(
        engine="vllm", model="m", gpu="H100", n_gpus=4, serving=True, quantization="awq",
        knobs=knobs | dict.fromkeys(SWITCHES, is_on), trust_remote_code=is_on,
    )  # fmt: skip
    started = engine_arguments(config, RANDOM, max_batch_size=8, max_model_len=64)
    assert named(flags({**SERVER_DEFAULTS, **started, "served_model_name": "m"})) <= serve_flags()


def test_the_knobs_of_an_installed_vllm_are_options_but_for_its_own() -> None:
    try:
        knobs = vllm_knobs()
    except EngineUnavailableError:
        pytest.skip("vLLM is not installed")
    common = {"--" + name.replace("_", "-") for name in knobs} & serve_flags()
    assert len(common) > 150, "field names of EngineArgs are the options' names"


def test_the_list_is_of_the_version_that_the_reference_was_measured_with() -> None:
    assert serve_flags_version() == "0.26.0"
    assert len(serve_flags()) > 300
    assert all(re.fullmatch(r"--[a-z][a-z0-9-]*", flag) for flag in serve_flags())
    assert {"--no-enable-prefix-caching", "--data-parallel-size"} < serve_flags()


def test_measuring_and_deploying_differ_by_what_measuring_adds() -> None:
    config = EngineConfig(
        engine="vllm", model="m", gpu="H100", n_gpus=4, serving=True, dtype="bfloat16",
        knobs={"data_parallel_size": 2, "block_size": 32},
    )  # fmt: skip
    run = record(n_gpus=4, batch_size=6, dtype="bfloat16", knobs=dict(config.knobs))
    measured = engine_arguments(config, RANDOM, max_batch_size=6, max_model_len=64)
    deployed = start_arguments(run, 6)
    assert deployed.items() <= measured.items()
    assert set(measured) - set(deployed) == {
        *("max_model_len", "enable_prefix_caching", "load_format", "seed", "trust_remote_code")
    }


def test_an_option_is_given_once_and_the_recorded_start_s_wins() -> None:
    line = serve_arguments(record(batch_size=64, knobs={"max_num_seqs": 256}))
    assert line.count("--max-num-seqs") == 1
    assert line[line.index("--max-num-seqs") + 1] == "256"


def test_a_switch_that_cannot_be_turned_off_is_left_out() -> None:
    assert flags({"disable_log_stats": False, "enforce_eager": False}) == ["--no-enforce-eager"]
    assert flags({"disable_log_stats": True}) == ["--disable-log-stats"]
    assert flags({"of_tomorrow": False}) == ["--no-of-tomorrow"]
