"""What an engine, a GPU and a format can do together."""

import pytest

from autotune.catalog.compatibility import check_quantization, how_it_runs
from autotune.catalog.gpus import find_gpu
from autotune.errors import InvalidConfigError


@pytest.mark.parametrize(
    ("quantization", "gpu", "expected"),
    [
        ("fp8", "H100", "native"),
        ("fp8", "MI300X", "native"),
        ("fp8", "A100", "weight-only"),
        ("fp8", "T4", "weight-only"),
        ("fp8", "V100", None),
        ("awq", "V100", None),
        ("gptq", "V100", "weight-only"),
        ("awq", "H100", "weight-only"),
        ("int8", "A100", "native"),
        ("nvfp4", "B200", "native"),
        ("nvfp4", "H100", "weight-only"),
        ("awq", "MI300X", None),
        ("fp8", "MI210", None),
    ],
)
def test_formats_run_as_the_gpu_can(quantization: str, gpu: str, expected: str | None) -> None:
    assert how_it_runs(quantization, find_gpu(gpu)) == expected


def test_only_what_vllm_cannot_run_is_refused() -> None:
    with pytest.raises(InvalidConfigError, match="take gptq or bitsandbytes there"):
        check_quantization("awq", "vllm", find_gpu("V100"))
    for quantization, engine, gpu in (
        ("gptq", "vllm", "V100"),
        ("fp8", "hf", "V100"),
        (None, "vllm", "V100"),
        ("fp8", "vllm", "A100"),
    ):
        check_quantization(quantization, engine, find_gpu(gpu))
