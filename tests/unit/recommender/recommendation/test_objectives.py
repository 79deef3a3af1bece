"""The chance to meet latency limits, and by how much they are missed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.schema.workload import Slo
from recommender.recommendation.objectives import chance_measured, chance_within, excess, misses
from recommender.surrogate.predictor import Prediction
from tests.support.records import record


def prediction(**changes: float | None) -> Prediction:
    values = {"output_throughput": 1000.0, "low": 500.0, "high": 2000.0, "p_feasible": 1.0}
    return Prediction(
        **(values | {"memory_gb": 1.0, "ttft_ms": 100.0, "tpot_ms": 10.0} | changes),
        fits=True,
        roofline_throughput=1000.0,
        bottleneck="weights",
        confidence="low",
    )


@pytest.mark.parametrize(
    ("slo", "expected"),
    [
        (Slo(), 1.0),
        (Slo(max_ttft_ms=100), 0.5),
        (Slo(max_ttft_ms=200), 0.95),
        (Slo(max_tpot_ms=5), 0.05),
    ],
)
def test_the_chance_to_meet_the_limits_follows_the_interval(slo: Slo, expected: float) -> None:
    assert chance_within(prediction(), slo) == pytest.approx(expected, abs=1e-3)


def test_limits_are_missed_together() -> None:
    assert chance_within(prediction(), Slo(max_ttft_ms=100, max_tpot_ms=10)) == pytest.approx(0.5)
    tight = Slo(max_ttft_ms=200, max_tpot_ms=5)
    assert chance_within(prediction(), tight) == pytest.approx(0.05, abs=1e-3)


def test_a_latency_that_is_not_there_cannot_be_missed() -> None:
    assert chance_within(prediction(tpot_ms=None), Slo(max_tpot_ms=1e-3)) == 1.0


limits = st.none() | st.floats(1.0, 1000.0)


@given(ttft=limits, tpot=limits, factor=st.floats(0.1, 1.0))
def test_another_or_a_tighter_limit_is_never_met_more_likely(
    ttft: float | None, tpot: float | None, factor: float
) -> None:
    loose = chance_within(prediction(), Slo(max_ttft_ms=ttft))
    both = chance_within(prediction(), Slo(max_ttft_ms=ttft, max_tpot_ms=tpot))
    assert both <= loose
    if ttft is not None:
        assert chance_within(prediction(), Slo(max_ttft_ms=ttft * factor)) <= loose


def test_the_worst_miss_counts() -> None:
    slo = Slo(max_ttft_ms=80, max_tpot_ms=4)
    assert misses(prediction(), slo) == [("TTFT", 100.0, 80), ("TPOT", 10.0, 4)]
    assert excess(prediction(), slo) == pytest.approx(1.5)
    assert excess(prediction(), Slo(max_ttft_ms=100)) == 0.0


def test_a_measured_latency_is_sure_and_an_unmeasured_one_is_not() -> None:
    slo = Slo(max_ttft_ms=90, max_tpot_ms=10)
    run = record(output_throughput=1000.0, mean_ttft_ms=80.0, mean_tpot_ms=9.0)
    assert chance_measured(prediction(), run, slo) == 1.0
    slow = record(output_throughput=1000.0, mean_ttft_ms=95.0, mean_tpot_ms=9.0)
    assert chance_measured(prediction(), slow, slo) == 0.0
    half = record(output_throughput=1000.0, mean_ttft_ms=80.0, mean_tpot_ms=None)
    assert chance_measured(prediction(), half, slo) == pytest.approx(0.5)
