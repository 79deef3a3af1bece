"""Moving pays, or it does not, or nobody can tell."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.schema.workload import Slo
from recommender.recommendation.candidates import Candidate
from recommender.recommendation.migration import Migration, judge
from recommender.recommendation.query import Query
from tests.support.candidates import candidate


def query(**changes: Any) -> Query:
    values: dict[str, Any] = {"model": "m", "target_gpu": "H100", "source_gpu": "A100", **changes}
    return Query(**values)


def side(throughput: float, *, spread: float = 1.01, n_gpus: int = 1, **changes: Any) -> Candidate:
    return candidate(
        n_gpus,
        64,
        throughput,
        low=throughput / spread,
        high=throughput * spread,
        **changes,
    )


def verdict(before: Candidate, after: Candidate, **changes: Any) -> Migration:
    return judge(query(**changes), "A100-80GB", "H100-80GB", before, after)


def test_twice_as_fast_pays() -> None:
    made = verdict(side(1000), side(2000))
    assert (made.verdict, made.gain, made.is_certain) == ("move", 1.0, True)
    assert made.reason == "2,000 tok/s after, 1,000 tok/s before, +100.0%"


@pytest.mark.parametrize("after", [1019.0, 1000.0, 700.0])
def test_what_is_within_the_tolerance_does_not_pay(after: float) -> None:
    made = verdict(side(1000, spread=1.0001), side(after, spread=1.0001))
    assert made.verdict == "stay"
    assert made.gain == pytest.approx(after / 1000 - 1)
    assert "tolerance of 2%" in made.reason


def test_twice_as_fast_at_three_times_the_price_does_not_pay() -> None:
    before = side(1000, cost_per_mtok=1.0)
    after = side(2000, cost_per_mtok=1.5)
    made = verdict(before, after, objective="cost")
    assert made.verdict == "stay"
    assert made.gain == pytest.approx(1.0 / 1.5 - 1)
    assert verdict(before, after).verdict == "move"


def test_energy_counts_tokens_a_joule() -> None:
    made = verdict(
        side(1000, energy_j_per_token=0.2),
        side(900, energy_j_per_token=0.1),
        objective="energy",
    )
    assert (made.verdict, made.gain) == ("move", 1.0)


def test_per_gpu_eight_gpus_must_each_be_better() -> None:
    before, after = side(1000), side(4000, n_gpus=8)
    assert verdict(before, after).verdict == "move"
    assert "a GPU gives 500 tok/s after, 1,000 before" in verdict(before, after).reason
    made = verdict(before, after, objective="per-gpu")
    assert (made.verdict, made.gain) == ("stay", -0.5)


def test_intervals_that_overlap_say_so() -> None:
    made = verdict(side(1000, spread=2.0), side(1100, spread=2.0))
    assert made.verdict == "move"
    assert not made.is_certain
    assert "overlap too much to tell" in made.reason
    assert made.reason.endswith("measure on A100-80GB and H100-80GB")
    measured = verdict(side(1000, spread=2.0, status="measured"), side(1100, spread=2.0))
    assert measured.reason.endswith("measure on H100-80GB")
    # log(1.1 / 1.02) over sqrt(2) * log(2) / 1.6449
    z = math.log(1.1 / 1.02) / (math.sqrt(2) * math.log(2) / 1.6449)
    assert made.p_pays == pytest.approx(0.5 * math.erfc(-z / math.sqrt(2)))


def test_an_unknown_price_leaves_it_open() -> None:
    made = verdict(side(1000), side(2000, cost_per_mtok=1.0), objective="cost")
    assert (made.verdict, made.gain, made.p_pays) == ("unknown", None, None)
    assert "--price A100=" in made.reason


def test_a_source_that_misses_the_limits_is_left() -> None:
    made = verdict(
        side(3000, p_within_limits=0.1), side(1000), slo=Slo(max_ttft_ms=100), objective="goodput"
    )
    assert made.verdict == "move"
    assert "latency limits" in made.reason


def test_it_comes_back_from_json() -> None:
    made = verdict(side(1000), side(2000))
    assert Migration.from_dict(json.loads(json.dumps(made.to_dict()))) == made


speeds = st.floats(1.0, 1e6)


@given(before=speeds, after=speeds, spread=st.floats(1.0, 4.0))
def test_a_faster_source_never_makes_moving_pay_more(
    before: float, after: float, spread: float
) -> None:
    made = verdict(side(before, spread=spread), side(after, spread=spread))
    other = verdict(side(before * 1.5, spread=spread), side(after, spread=spread))
    assert made.gain is not None
    assert other.gain is not None
    assert other.gain < made.gain
    assert (made.verdict == "move") == (made.gain > 0.02)
