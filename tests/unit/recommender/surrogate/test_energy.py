"""Joules a token: the physics by hand, and what metered runs make of it."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotune.catalog.gpus import load_gpus
from autotune.schema.configuration import Configuration
from autotune.schema.record import RunRecord
from recommender.features.roofline import CONSTANTS
from recommender.features.table import collect
from recommender.surrogate.energy import (
    ARITHMETIC_SHARE,
    CONSTANT_SHARE,
    MEMORY_SHARE,
    joules_per_token,
    metered_energy,
    metered_power,
    power_w,
)
from tests.support.records import record

TDP_W = load_gpus()["H200"].tdp_w


def question(**changes: Any) -> Configuration:
    return record(**changes).configuration


def power(configuration: Configuration, throughput: float) -> float:
    return float(power_w([configuration], collect([configuration]), np.array([throughput]))[0])


def test_a_single_sequence_by_hand() -> None:
    one = question(batch_size=1, input_len=512, output_len=128)
    inputs = collect([one])
    read = inputs["active_params"][0] * inputs["weight_bytes"][0] / inputs["params"][0]
    weights_s = read / (4800e9 * CONSTANTS["weight_efficiency"])
    context = 512 + 128 / 2
    kv_s = context * inputs["kv_bytes_per_token"][0] / (4800e9 * CONSTANTS["kv_efficiency"])
    # at the roofline of the memory alone, the memory is busy all the time
    throughput = 128 / (128 * weights_s + 127 * kv_s)
    decode_s = (
        2 * inputs["active_params"][0] / (inputs["flops"][0] * CONSTANTS["decode_efficiency"])
    )
    busy = 127 * decode_s * throughput / 128
    assert 0 < busy < 0.02
    expected = TDP_W * (CONSTANT_SHARE + MEMORY_SHARE + ARITHMETIC_SHARE * busy)
    # the prompt's arithmetic comes on top
    assert expected < power(one, throughput) < expected + 0.05 * TDP_W


def test_a_gpu_that_hardly_works_draws_its_constant_power() -> None:
    assert power(question(), 1e-3) == pytest.approx(TDP_W * CONSTANT_SHARE, rel=1e-3)


def test_no_gpu_draws_more_than_its_board_allows() -> None:
    assert power(question(batch_size=1024), 1e9) == pytest.approx(TDP_W)


def test_tensor_parallel_gpus_work_together_and_a_pipelines_shards_in_turn() -> None:
    busy = 1e9
    assert power(question(n_gpus=4), busy) == pytest.approx(4 * TDP_W)
    shards = question(engine="hf", n_gpus=4)
    assert power(shards, busy) == pytest.approx(TDP_W * (4 * CONSTANT_SHARE + 1 - CONSTANT_SHARE))


def test_a_cpu_has_no_power() -> None:
    assert np.isnan(joules_per_token([question(gpu="cpu")], np.array([10.0]))).all()


def test_what_a_meter_said() -> None:
    assert metered_power(record(output_throughput=100.0, mean_power_w=350.0)) == 350.0
    assert metered_energy(record(output_throughput=100.0, mean_power_w=350.0)) == 3.5
    run = record(output_throughput=100.0, energy_j_per_token=4.0, mean_power_w=350.0)
    assert metered_power(run) == 400.0
    assert metered_energy(run) == 4.0
    assert metered_energy(record()) is None


def metered(factor: float, **changes: Any) -> RunRecord:
    """A run that draws so many times what the physics says."""
    run = record(**changes)
    physics = joules_per_token([run.configuration], np.array([run.output_throughput]))[0]
    return record(**changes, energy_j_per_token=float(physics) * factor)


def ratio(known: list[RunRecord], **changes: Any) -> float:
    asked, speed = [question(**changes)], np.array([2000.0])
    return float((joules_per_token(asked, speed, known) / joules_per_token(asked, speed))[0])


def test_metered_runs_correct_the_level_of_the_same_gpu_first() -> None:
    known = [metered(1.5, gpu="H200", batch_size=b) for b in (1, 8, 64)]
    here = ratio(known, gpu="H200", batch_size=16)
    elsewhere = ratio(known, gpu="A100-80GB", batch_size=16)
    assert 1.35 < here < 1.5
    assert 1.0 < elsewhere < 1.25
    one = ratio(known[:1], gpu="H200", batch_size=16)
    assert 1.0 < one < here


def test_runs_without_a_meter_and_suspect_runs_change_nothing() -> None:
    assert ratio([record(gpu="H200")], gpu="H200") == 1.0
    assert ratio([metered(3.0, gpu="H200", suspect=True)], gpu="H200") == 1.0


def test_a_metered_cpu_says_nothing_about_a_gpu() -> None:
    known = [metered(1.5, gpu="H200")]
    cpu = record(gpu="cpu", output_throughput=10.0, energy_j_per_token=5.0)
    assert ratio([*known, cpu], gpu="H200") == ratio(known, gpu="H200")


@settings(max_examples=50, deadline=None)
@given(
    gpu=st.sampled_from(sorted(load_gpus())),
    batch_size=st.sampled_from([1, 16, 256]),
    throughput=st.floats(1.0, 1e5),
    factor=st.floats(1.0, 10.0),
)
def test_power_is_within_the_board_and_faster_never_costs_more_a_token(
    gpu: str, batch_size: int, throughput: float, factor: float
) -> None:
    asked = question(gpu=gpu, batch_size=batch_size)
    tdp = load_gpus()[gpu].tdp_w
    slow, fast = power(asked, throughput), power(asked, throughput * factor)
    assert CONSTANT_SHARE * tdp <= slow <= tdp * (1 + 1e-9)
    assert fast / (throughput * factor) <= slow / throughput * (1 + 1e-9)
