"""Features are named, finite and lined up with their configurations."""

import numpy as np
import pytest

from autotune.catalog.gpus import load_gpus
from autotune.catalog.models import catalogue_names
from autotune.errors import UnknownGpuError, UnknownModelError
from autotune.schema.configuration import Configuration
from recommender.features.encode import FEATURE_NAMES, encode
from recommender.features.spec_sheets import kv_format, weight_format
from recommender.features.table import COLUMNS, collect


def _ask(**changes):
    fields = {
        "engine": "vllm",
        "model": "meta-llama/Llama-3.1-8B",
        "gpu": "H100-80GB",
        "n_gpus": 1,
        "batch_size": 8,
        "input_len": 512,
        "output_len": 128,
    }
    return Configuration(**{**fields, **changes})


def _column(rows, name):
    return encode(rows)[:, FEATURE_NAMES.index(name)]


def test_one_row_a_configuration_one_column_a_name():
    rows = [_ask(batch_size=b) for b in (1, 2, 4)]
    assert encode(rows).shape == (3, len(FEATURE_NAMES))
    assert _column(rows, "log_in_flight") == pytest.approx(np.log([1, 2, 4]))
    assert encode([]).shape == (0, len(FEATURE_NAMES))
    assert len(set(FEATURE_NAMES)) == len(FEATURE_NAMES)


def test_only_an_unknown_version_is_missing():
    missing = {
        name
        for name, value in zip(FEATURE_NAMES, encode([_ask(input_len=None)])[0], strict=True)
        if np.isnan(value)
    }
    assert missing == {"version"}
    assert _column([_ask(input_len=None)], "input_len_unknown")[0] == 1
    assert _column([_ask(engine_version="0.26.0")], "version")[0] == 26


@pytest.mark.parametrize("gpu", sorted(load_gpus()))
def test_finite_for_every_gpu(gpu):
    rows = [_ask(gpu=gpu, model=model, engine_version="0.9.1") for model in catalogue_names()]
    assert np.isfinite(encode(rows)).all()


def test_the_host_cpu_has_features_too():
    assert np.isfinite(encode([_ask(gpu="cpu", engine_version="0.9.1")])).all()


def test_an_engine_setting_caps_the_sequences_in_flight():
    inputs = collect([_ask(batch_size=512, knobs={"max_num_seqs": 128})])
    assert inputs["in_flight"][0] == 128


def test_a_harness_cap_stays_with_its_harness():
    wide = _ask(batch_size=1024)
    assert collect([wide], source="infpop(2408.01050)")["in_flight"][0] == 256
    assert collect([wide])["in_flight"][0] == 1024
    assert collect([_ask(engine="hf", batch_size=1024)], source="infpop")["in_flight"][0] == 1024


def test_formats():
    assert weight_format(_ask(dtype="bfloat16", quantization="fp8")) == "fp8"
    assert weight_format(_ask()) == "auto"
    assert kv_format(_ask(dtype="fp8")) == "auto"
    assert kv_format(_ask(dtype="fp8", engine="trtllm")) == "fp8"
    assert kv_format(_ask(knobs={"kv_cache_dtype": "fp8"})) == "fp8"
    halves = collect([_ask(), _ask(knobs={"kv_cache_dtype": "fp8"})])["kv_bytes_per_token"]
    assert halves[1] == halves[0] / 2


def test_rates_follow_the_format_and_fall_back_to_16_bits():
    table = collect([_ask(dtype=dtype) for dtype in ("float32", "bfloat16", "fp8", "fp4")])
    float32, half, fp8, fp4 = table["flops"]
    assert float32 < half < fp8
    assert fp4 == fp8
    assert collect([_ask(gpu="V100-32GB", dtype="fp8")])["flops"][0] == pytest.approx(
        125e12, rel=0.2
    )


def test_unknown_names_are_refused():
    with pytest.raises(UnknownGpuError):
        encode([_ask(gpu="H1000")])
    with pytest.raises(UnknownModelError):
        encode([_ask(model="nobody/nothing")])


def test_columns_are_distinct():
    assert len(set(COLUMNS)) == len(COLUMNS)
