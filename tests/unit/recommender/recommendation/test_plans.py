"""Plans: replicas that the GPUs hold, on which hosts, and the line that starts them."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.catalog.gpus import detect_cpu, find_gpu
from recommender.recommendation.plans import (
    OnHosts,
    as_measured,
    command,
    count_gpus,
    frontier,
    how_often,
    on_hosts,
    plan_in_words,
    replicas_held,
)
from recommender.recommendation.query import Query
from tests.support.candidates import candidate
from tests.support.records import record

H100 = find_gpu("H100")


def query(**changes: Any) -> Query:
    return Query(**({"model": "meta-llama/Llama-3.1-8B", "target_gpu": "H100"} | changes))


@pytest.mark.parametrize(
    ("max_gpus", "n_gpus", "replicas"),
    [(8, 1, 8), (8, 2, 4), (8, 8, 1), (6, 4, 1), (7, 2, 3), (16, 8, 2), (12, 8, 1), (20, 4, 5)],
)
def test_the_gpus_hold_so_many_replicas(max_gpus: int, n_gpus: int, replicas: int) -> None:
    assert replicas_held(query(max_gpus=max_gpus), H100, n_gpus) == replicas


def test_no_replica_lies_across_hosts() -> None:
    """Of hosts with four GPUs each, three replicas of three fit on twelve, not four."""
    of_four = dataclasses.replace(H100, max_gpus=4)
    assert replicas_held(query(max_gpus=12), of_four, 3) == 3


@pytest.mark.parametrize(
    "changes", [{"objective": "replica"}, {"max_replicas": 1}, {"max_gpus": 1}]
)
def test_one_replica_is_one(changes: dict[str, Any]) -> None:
    assert replicas_held(query(**changes), H100, 1) == 1


def test_replicas_can_be_limited_and_a_processor_is_one() -> None:
    assert replicas_held(query(max_replicas=3), H100, 1) == 3
    assert replicas_held(query(max_replicas=3), H100, 8) == 1
    assert replicas_held(query(), detect_cpu(), 1) == 1


@given(
    max_gpus=st.integers(1, 64), n_gpus=st.sampled_from([1, 2, 4, 8]), host=st.sampled_from([4, 8])
)
def test_hosts_hold_all_replicas_and_no_more_than_their_gpus(
    max_gpus: int, n_gpus: int, host: int
) -> None:
    gpu = dataclasses.replace(H100, max_gpus=host)
    if n_gpus > min(max_gpus, host):
        return
    replicas = replicas_held(query(max_gpus=max_gpus), gpu, n_gpus)
    places = on_hosts(replicas, n_gpus, gpu)
    assert sum(place.hosts * place.replicas for place in places) == replicas
    assert all(place.replicas * n_gpus <= host for place in places)
    assert replicas * n_gpus <= max_gpus


def test_the_line_starts_all_replicas_of_a_host() -> None:
    one = record(gpu="H100-80GB", n_gpus=2, batch_size=64).configuration
    line = command(one, 4)
    assert "--tensor-parallel-size 2" in line
    assert "--data-parallel-size 4" in line
    assert "--max-num-seqs 64" in line
    assert "--data-parallel-size" not in command(one)


def test_experts_are_not_shared_among_replicas() -> None:
    moe = record(model="mistralai/Mixtral-8x7B-v0.1", gpu="H100-80GB", n_gpus=2).configuration
    line = command(moe, 4)
    assert "--data-parallel-size" not in line
    plan = candidate(2, 8, 1000.0, replicas=4, command=line)
    assert how_often(plan, "H100").startswith("one server for each of the 4 replicas")


def test_a_configuration_is_deployed_as_it_was_measured() -> None:
    asked = record(gpu="H100-80GB", engine_version=None).configuration
    run = record(source="autotune", gpu="H100-80GB", knobs={"block_size": 32})
    assert as_measured(asked, None) == asked
    deployed = as_measured(asked, run)
    assert (dict(deployed.knobs), deployed.engine_version) == ({"block_size": 32}, "0.26.0")
    line = command(deployed, 2)
    assert "--block-size 32" in line
    assert "--data-parallel-size 2" in line


@pytest.mark.parametrize(
    ("replicas", "engine", "words"),
    [
        (1, "vllm", ""),
        (8, "vllm", ""),
        (16, "vllm", "on each of 2 hosts"),
        (19, "vllm", "on each of 2 hosts, and with --data-parallel-size 3 on one more"),
        (9, "vllm", "on one host, and with --data-parallel-size 1 on one more"),
        (2, "hf", "one program for each of the 2 replicas, each with its own GPUs"),
    ],
)
def test_hosts_are_said(replicas: int, engine: str, words: str) -> None:
    line = "vllm serve m --data-parallel-size 8" if engine == "vllm" else "pipeline()"
    plan = candidate(1, 8, 1000.0, replicas=replicas, engine=engine, command=line)
    assert how_often(plan, "H100") == words


def test_plans_in_words() -> None:
    assert plan_in_words(candidate(2, 64, 1000.0, replicas=4)) == "4 x 2 GPUs"
    assert plan_in_words(candidate(1, 64, 1000.0)) == "1 x 1 GPU"
    assert count_gpus(3) == "3 GPUs"


def test_totals_are_of_all_replicas() -> None:
    plan = candidate(2, 64, 1000.0, replicas=4, low=900.0, high=1200.0, tpot_ms=20.0)
    assert (plan.total_gpus, plan.total_output_throughput) == (8, 4000.0)
    assert (plan.total_low, plan.total_high) == (3600.0, 4800.0)
    assert plan.tok_s_per_user == 50.0
    assert candidate(1, 1, 10.0).tok_s_per_user is None
    assert type(plan).from_dict(plan.to_dict()) == plan


def test_the_frontier_is_thinned_to_its_ends_and_what_lies_between() -> None:
    ranked = [
        candidate(1, 2**k, 1000.0 * 2**k, tpot_ms=float(2 ** (k / 2))) for k in reversed(range(10))
    ]
    shown = frontier(ranked, "throughput", 4)
    assert [c.batch_size for c in shown] == [512, 64, 8, 1]
    assert frontier(ranked, "throughput", 1) == ranked[:1]
    assert len(frontier(ranked, "throughput", 99)) == 10


def test_what_is_slower_in_all_and_to_each_is_left_out() -> None:
    best = candidate(1, 64, 1000.0, tpot_ms=20.0)
    worse = candidate(2, 64, 900.0, tpot_ms=21.0)
    hardly = candidate(2, 32, 800.0, tpot_ms=18.0)
    faster = candidate(4, 32, 700.0, tpot_ms=10.0)
    assert frontier([best, worse, hardly, faster], "throughput", 5) == [best, faster]


class TestOnHosts:
    def test_full_hosts_come_first(self) -> None:
        assert on_hosts(19, 1, H100) == [OnHosts(2, 8), OnHosts(1, 3)]
