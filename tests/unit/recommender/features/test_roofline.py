"""The arithmetic of a round, against cases worked by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotune.catalog.gpus import find_gpu, load_gpus
from autotune.catalog.models import catalogue_names, find_model
from autotune.schema.configuration import Configuration
from recommender.features.roofline import (
    BOTTLENECKS,
    CONSTANTS,
    IDEAL,
    experts_touched,
    peak_throughput,
    roofline,
)
from recommender.features.table import COLUMNS, ConfigurationTable, collect

MODEL_NAMES = st.sampled_from(catalogue_names())
GPU_NAMES = st.sampled_from(sorted(load_gpus()))
BATCHES = st.sampled_from([1, 2, 8, 64, 512, 4096])
N_GPUS = st.sampled_from([1, 2, 4, 8])


def _ask(model="meta-llama/Llama-2-7b-hf", gpu="A100-80GB", n_gpus=1, batch_size=1, **other):
    fields = {"engine": "vllm", "input_len": 512, "output_len": 128, "dtype": "float16", **other}
    return Configuration(model=model, gpu=gpu, n_gpus=n_gpus, batch_size=batch_size, **fields)


def _share(line, name):
    return line.shares_s[0, BOTTLENECKS.index(name)]


def test_7b_on_one_a100_reads_its_weights_once_a_step():
    inputs = collect([_ask()])
    profile, gpu = find_model("meta-llama/Llama-2-7b-hf"), find_gpu("A100-80GB")
    touched = 2 * (profile.n_params - profile.vocab_size * profile.hidden_size)
    by_hand = touched / (gpu.bandwidth_gbs * 1e9)
    assert by_hand == pytest.approx(0.0065, rel=0.05)  # 13.2 GB at 2.04 TB/s
    assert _share(roofline(inputs, IDEAL), "weights") == pytest.approx(127 * by_hand, rel=0.01)


def test_kv_reads_of_7b_grow_with_batch_and_length():
    inputs = collect([_ask(batch_size=16)])
    a_token = 2 * 32 * 4096 * 2  # keys and values x layers x hidden x 2 bytes
    by_hand = 16 * (512 + 64) * a_token / (find_gpu("A100-80GB").bandwidth_gbs * 1e9)
    assert _share(roofline(inputs, IDEAL), "kv_reads") == pytest.approx(127 * by_hand, rel=0.01)


def test_70b_over_eight_gpus_splits_weights_and_pays_for_the_links():
    inputs = collect([_ask("meta-llama/Llama-2-70b-hf", n_gpus=8, batch_size=4)])
    line = roofline(inputs, IDEAL)
    weights = 2 * 69e9 / (8 * find_gpu("A100-80GB").bandwidth_gbs * 1e9)
    assert _share(line, "weights") / 127 == pytest.approx(weights, rel=0.03)
    link = find_gpu("A100-80GB").interconnect_gbs * 1e9 / 2
    all_reduces = 2 * 80 * 2 * 7 / 8 * 4 * 8192 * 2 / link
    prefill_too = all_reduces * (127 + 512)
    assert _share(line, "communication") == pytest.approx(prefill_too, rel=0.01)


def test_mixtral_touches_more_experts_in_a_larger_batch():
    eight, two = np.array([8.0]), np.array([2.0])
    touched = [experts_touched(eight, two, np.array([float(n)]))[0] for n in (1, 2, 4, 64)]
    assert touched == pytest.approx([2.0, 8 * (1 - 0.75**2), 8 * (1 - 0.75**4), 8.0], rel=1e-6)
    assert experts_touched(np.zeros(1), np.zeros(1), np.ones(1))[0] == 0


def test_multi_query_starcoder_reads_a_48th_of_the_cache():
    rows = [_ask("bigcode/starcoder", batch_size=8)]
    inputs = collect(rows)
    assert inputs["kv_bytes_per_token"][0] == 2 * 40 * 128 * 2
    many = collect([_ask("bigcode/starcoder", n_gpus=8, batch_size=8)])
    reads = [_share(roofline(f, IDEAL), "kv_reads") for f in (inputs, many)]
    assert reads[1] == pytest.approx(reads[0])  # one KV head cannot be split


def test_huggingface_shards_work_one_after_another():
    one, four = (
        roofline(collect([_ask(engine="hf", n_gpus=n)]), CONSTANTS).throughput[0] for n in (1, 4)
    )
    assert four <= one


def test_what_does_not_fit_is_read_over_pcie():
    fits, offloaded = (
        roofline(collect([_ask(engine="hf", gpu=gpu, dtype="float32")]), CONSTANTS).throughput[0]
        for gpu in ("A100-80GB", "V100-16GB")
    )
    assert offloaded < fits / 10


def test_more_sequences_than_memory_holds_wait():
    inputs = collect([_ask(gpu="A100-40GB", batch_size=b, input_len=2048) for b in (512, 4096)])
    line = roofline(inputs, CONSTANTS)
    assert line.in_flight[0] < 512
    assert line.throughput[1] == pytest.approx(line.throughput[0], rel=0.05)


@pytest.mark.parametrize(
    ("model", "asked", "launches"),
    [
        ("meta-llama/Llama-2-7b-hf", {"batch_size": 512}, 0),
        ("meta-llama/Llama-2-7b-hf", {"batch_size": 513}, 32),
        ("Qwen/Qwen3-30B-A3B", {"batch_size": 513}, 4 * 48),
        (
            "meta-llama/Llama-2-7b-hf",
            {"batch_size": 513, "knobs": {"max_cudagraph_capture_size": 1024}},
            0,
        ),
        ("meta-llama/Llama-2-7b-hf", {"knobs": {"enforce_eager": True}}, 32),
        ("meta-llama/Llama-2-7b-hf", {"batch_size": 513, "engine_version": "0.5.0"}, 0),
        ("meta-llama/Llama-2-7b-hf", {"batch_size": 513, "engine": "hf"}, 0),
        ("meta-llama/Llama-2-7b-hf", {"gpu": "CPU:some-2c", "knobs": {"enforce_eager": True}}, 0),
    ],
)
def test_a_step_of_more_sequences_than_graphs_were_captured_for_launches_each_layer(
    model, asked, launches
):
    inputs = collect([_ask(model, **{"gpu": "B200", "n_gpus": 2, "input_len": 32, **asked})])
    without = roofline(inputs, {**CONSTANTS, "uncaptured_layer_s": 0.0})
    more = roofline(inputs, CONSTANTS).tpot_s[0] - without.tpot_s[0]
    assert more == pytest.approx(launches * CONSTANTS["uncaptured_layer_s"])


def test_a_closed_batch_beyond_the_engines_cap_goes_in_waves():
    asked = [_ask(batch_size=b, knobs={"max_num_seqs": 64}) for b in (64, 32, 160)]
    line = roofline(collect(asked), CONSTANTS)
    full, half = 64 * 128 / line.throughput[0], 32 * 128 / line.throughput[1]
    assert line.throughput[2] == pytest.approx(160 * 128 / (2 * full + half))
    waits = 64 * line.ttft_s[0] + 64 * (full + line.ttft_s[0]) + 32 * (2 * full + line.ttft_s[1])
    assert line.ttft_s[2] == pytest.approx(waits / 160)


def test_a_served_request_takes_the_place_of_one_that_ended():
    asked = [_ask(batch_size=b, knobs={"max_num_seqs": 64}, mode="serving") for b in (64, 96)]
    line = roofline(collect(asked), CONSTANTS)
    assert line.throughput[1] == pytest.approx(line.throughput[0])


@pytest.mark.parametrize(
    ("gpu", "version", "times"),
    [("V100-32GB", "0.5.0", 4), ("MI300X", "0.5.0", 4), ("V100-32GB", "0.9.0", 1),
     ("A100-80GB", "0.5.0", 1)],
)  # fmt: skip
def test_without_flash_attention_shared_kv_heads_are_read_again(gpu, version, times):
    """Llama-3.1-8B: 32 query heads share 8 KV heads."""
    asked = _ask("meta-llama/Llama-3.1-8B", gpu, engine_version=version)
    inputs = collect([asked])
    ideal = _share(roofline(inputs, {**CONSTANTS, "rereads": 0.0}), "kv_reads")
    assert _share(roofline(inputs, CONSTANTS), "kv_reads") == pytest.approx(times * ideal)


def _faster(inputs, column):
    table = inputs.table.copy()
    table[:, COLUMNS.index(column)] *= 2
    return ConfigurationTable(table=table)


@settings(max_examples=60, deadline=None)
@given(MODEL_NAMES, GPU_NAMES, N_GPUS, BATCHES, st.sampled_from(["vllm", "hf", "trtllm"]))
def test_more_bandwidth_flops_or_link_is_never_slower(model, gpu, n_gpus, batch_size, engine):
    inputs = collect([_ask(model, gpu, n_gpus, batch_size, engine=engine, dtype="auto")])
    before = roofline(inputs, CONSTANTS)
    assert np.isfinite(before.throughput[0])
    assert before.throughput[0] > 0
    assert before.throughput[0] <= peak_throughput(inputs)[0]
    for column in ("bandwidth", "flops", "interconnect"):
        after = roofline(_faster(inputs, column), CONSTANTS)
        assert after.throughput[0] >= before.throughput[0] * (1 - 1e-12)
        assert after.tpot_s[0] <= before.tpot_s[0] * (1 + 1e-12)
