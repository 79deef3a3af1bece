"""Replicas behind one server: one of them is learned from and predicted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.schema.configuration import Configuration
from recommender.evaluation.protocols import scorable
from recommender.features.placement import (
    busy_replicas,
    one_replica,
    replicas_of,
    run_of_one_replica,
)
from recommender.recommendation.candidates import cell
from recommender.surrogate.energy import joules_per_token
from recommender.surrogate.predictor import PRETRAINED, Predictor
from recommender.training.dataset import prepare
from tests.support.records import record

PREDICTOR = Predictor.load(PRETRAINED)
MIXTURE = "Qwen/Qwen3-30B-A3B"
PLACE = {"model": "mistralai/Mistral-7B-v0.1", "mode": "serving", "input_len": 200}


def served(replicas: int, n_gpus: int, batch_size: int, **changes: object) -> Configuration:
    values = {
        "engine": "vllm",
        "model": "mistralai/Mistral-7B-v0.1",
        "gpu": "H200",
        "input_len": 200,
        "output_len": 100,
        "mode": "serving",
        "knobs": {"data_parallel_size": replicas, "max_num_batched_tokens": 4096},
    }
    return Configuration(**(values | {"n_gpus": n_gpus, "batch_size": batch_size} | changes))


@given(
    replicas=st.sampled_from([1, 2, 4, 8]),
    tensor_parallel=st.sampled_from([1, 2]),
    batch_size=st.integers(1, 600),
)
def test_what_replicas_do_together_is_what_one_does_as_often(
    replicas: int, tensor_parallel: int, batch_size: int
) -> None:
    asked = served(replicas, replicas * tensor_parallel, batch_size)
    busy = busy_replicas(asked)
    alone = one_replica(asked)
    assert busy == min(replicas, batch_size)
    assert (alone.n_gpus, replicas_of(alone)) == (tensor_parallel, 1)
    assert (alone.batch_size - 1) * busy < batch_size <= alone.batch_size * busy
    [together] = PREDICTOR.predict([asked])
    [single] = PREDICTOR.predict([alone])
    assert together.output_throughput == pytest.approx(busy * single.output_throughput)
    assert together.high == pytest.approx(busy * single.high)
    assert together.tpot_ms == single.tpot_ms
    assert together.memory_gb == single.memory_gb


def test_a_run_of_replicas_teaches_what_a_run_of_one_does() -> None:
    pair = record(
        n_gpus=2,
        batch_size=64,
        mode="serving",
        knobs={"data_parallel_size": 2},
        output_throughput=8000.0,
        energy_j_per_token=0.25,
        mean_power_w=2000.0,
        kv_cache_tokens=1000,
    )
    alone = run_of_one_replica(pair)
    assert (alone.n_gpus, alone.batch_size, dict(alone.knobs)) == (1, 32, {})
    assert (alone.output_throughput, alone.mean_power_w, alone.kv_cache_tokens) == (4000, 1000, 500)
    assert alone.energy_j_per_token == 0.25
    data = prepare([pair])
    assert data.records == [alone]
    assert np.exp(data.log_throughput) == pytest.approx([4000.0])
    asked = [alone.configuration, pair.configuration]
    assert PREDICTOR.predict(asked, [pair]) == PREDICTOR.predict(asked, [alone])


def test_an_idle_replica_s_power_is_nobody_s() -> None:
    lone = run_of_one_replica(
        record(
            n_gpus=2, batch_size=1, knobs={"data_parallel_size": 2}, output_throughput=200.0,
            energy_j_per_token=2.7, mean_power_w=540.0,
        )
    )  # fmt: skip
    assert (lone.batch_size, lone.output_throughput) == (1, 200.0)
    assert (lone.energy_j_per_token, lone.mean_power_w) == (None, None)


def test_energy_a_token_is_that_of_one_replica() -> None:
    pair = served(2, 2, 64)
    speed = np.array([8000.0])
    [together] = joules_per_token([pair], speed)
    [alone] = joules_per_token([one_replica(pair)], speed / 2)
    assert together == pytest.approx(alone)
    idle = record(
        n_gpus=2, batch_size=1, knobs={"data_parallel_size": 2}, energy_j_per_token=2.7, **PLACE
    )
    assert joules_per_token([pair], speed, [idle]) == pytest.approx([together])


def test_a_model_nobody_knows_counts_as_one() -> None:
    assert replicas_of(served(2, 2, 8, model="nobody/knows-this")) == 1


def test_replicas_of_a_mixture_share_its_experts() -> None:
    asked = served(2, 2, 8, model=MIXTURE)
    assert replicas_of(asked) == 1
    assert one_replica(asked) is asked


def test_they_are_a_place_of_their_own_and_no_landscape_s() -> None:
    split, pair = (record(n_gpus=2, knobs=knobs) for knobs in ({}, {"data_parallel_size": 2}))
    assert cell(split) != cell(pair)
    assert scorable([split, pair], "vllm") == [split]
