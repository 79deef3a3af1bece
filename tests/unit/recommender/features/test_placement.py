"""Where weights lie on GPUs and host, against what was measured of such placements."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.catalog.gpus import load_gpus
from autotune.catalog.models import catalogue_names
from autotune.schema.configuration import Configuration
from recommender.features.placement import gap_gb, layer_bytes, outside_bytes
from recommender.features.table import ConfigurationTable, collect

GB = 2.0**30


def _placed(model: str, gpu: str, n_gpus: int, engine: str = "hf") -> ConfigurationTable:
    asked = Configuration(
        engine=engine, model=model, gpu=gpu, n_gpus=n_gpus, batch_size=1, dtype="float32"
    )
    return collect([asked])


@pytest.mark.parametrize(
    ("model", "gpu", "n_gpus", "expected_gb"),
    [
        # In float32: 48.5 GB in 0.9 x 40 GB, room for another layer of 1.2 GB kept.
        ("codellama/CodeLlama-13b-hf", "A100-40GB", 1, 48.5 - 36 + 1.2),
        # 82.9 GB in 0.97 x 80 GB, a layer is 1.5 GB
        ("mistralai/Codestral-22B-v0.1", "A100-40GB", 2, 82.9 - 77.6 + 1.5),
        # 125.7 GB in 0.97 x 128 GB, a layer is 2.6 GB
        ("codellama/CodeLlama-34b-hf", "V100-32GB", 4, 125.7 - 124.2 + 2.6),
        ("mistralai/Codestral-22B-v0.1", "V100-32GB", 4, 0.0),
    ],
)
def test_what_is_left_for_the_host(model: str, gpu: str, n_gpus: int, expected_gb: float) -> None:
    outside = outside_bytes(_placed(model, gpu, n_gpus)) / GB
    assert outside == pytest.approx([expected_gb], abs=0.1)


def test_only_a_pipeline_leaves_weights_on_the_host() -> None:
    assert outside_bytes(_placed("meta-llama/Llama-2-70b-hf", "A100-40GB", 1, "vllm")) == [0.0]
    assert outside_bytes(_placed("meta-llama/Llama-2-70b-hf", "cpu", 1)) == [0.0]


def test_a_lone_gpu_keeps_a_tenth_and_several_half_a_layer() -> None:
    lone, four = (_placed("codellama/CodeLlama-34b-hf", "V100-32GB", n) for n in (1, 4))
    layer = layer_bytes(lone) / GB
    assert layer == pytest.approx([2.6], abs=0.1)
    assert gap_gb(lone) == pytest.approx(0.07 * 32 + layer)
    assert gap_gb(four) == pytest.approx(layer / 2)


@given(st.sampled_from(catalogue_names()), st.sampled_from(sorted(load_gpus())))
def test_more_gpus_hold_more(model: str, gpu: str) -> None:
    outside = [float(outside_bytes(_placed(model, gpu, n))[0]) for n in (1, 2, 4, 8)]
    assert np.isfinite(outside).all()
    assert outside == sorted(outside, reverse=True)
    assert outside[0] <= float(_placed(model, gpu, 1)["weight_bytes"][0]) + 1e12
