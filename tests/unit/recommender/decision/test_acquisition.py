"""Which configuration to run next, and which to keep."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.decision.acquisition import (
    by_chance_to_run,
    cautious,
    expected_improvement,
    next_run,
)
from tests.support.beliefs import believed

BELIEF = [believed(10.0), believed(30.0), believed(20.0)]


def apart(rows: Sequence[int]) -> np.ndarray:
    return np.eye(len(rows))


def alike(rows: Sequence[int]) -> np.ndarray:
    return np.ones((len(rows), len(rows)))


def test_where_nothing_is_expected_to_run_the_least_demanding_is_chosen() -> None:
    unlikely = [
        believed(300, p_feasible=0.02, memory_gb=30),
        believed(200, p_feasible=0.02, memory_gb=16),
        believed(900, p_feasible=0.01, memory_gb=4),
    ]
    assert max(unlikely, key=by_chance_to_run) is unlikely[1]
    likelier = believed(100, p_feasible=0.5)
    assert max([*unlikely, likelier], key=by_chance_to_run) is likelier


def test_after_the_first_the_likeliest_to_be_the_best_is_run() -> None:
    assert next_run(BELIEF, {1: 25.0}, apart, incumbent=0) == 2
    assert next_run(BELIEF, {0: 9.0, 1: 25.0, 2: 1.0}, apart) is None


def test_caution_is_half_the_way_to_the_lower_bound() -> None:
    assert cautious(believed(33.0, factor=3.0)) == pytest.approx(33.0 / 3.0**0.5)
    assert cautious(believed(30.0, factor=1.0, p_feasible=0.5)) == pytest.approx(15.0)


@pytest.mark.parametrize("runs", [2, 3, 5, 50])
def test_the_kept_configuration_is_the_third_run_at_the_latest(runs: int) -> None:
    belief = [believed(1.0), *(believed(30.0 - i) for i in range(6))]
    measured = {1: 30.0}
    for _ in range(min(runs, 3) - 1):
        index = next_run(belief, measured, apart, incumbent=0, incumbent_by=runs)
        assert index is not None
        measured[index] = belief[index].output_throughput
    assert 0 in measured


def test_neighbours_that_err_together_leave_one_likeliest() -> None:
    """Of two that rise and fall together the better one wins always, however uncertain both are."""
    belief = [believed(10.0, factor=3), believed(9.9, factor=3), believed(1.0)]
    assert next_run(belief, {2: 1.0}, alike) == 0


def test_what_would_not_run_is_not_run() -> None:
    belief = [believed(99.0, p_feasible=0.01), believed(12.0), believed(10.0)]
    assert next_run(belief, {2: 10.0}, apart) == 1


def test_the_objective_decides_what_a_token_is_worth() -> None:
    belief = [believed(10.0), believed(30.0), believed(20.0)]
    assert next_run(belief, {0: 10.0}, apart) == 1
    assert next_run(belief, {0: 10.0}, apart, scale=[1.0, 0.25, 1.0]) == 2


@given(
    st.lists(st.floats(1, 1e5), min_size=1, max_size=8),
    st.data(),
)
def test_whatever_is_run_next_was_not_run_before(values: list[float], data: st.DataObject) -> None:
    belief = [believed(value) for value in values]
    done = data.draw(st.sets(st.integers(0, len(values) - 1), min_size=1))
    following = next_run(belief, dict.fromkeys(done, 5.0), apart)
    assert following is None if len(done) == len(values) else following not in done


def test_improvement_is_worth_more_where_more_is_unknown_and_nothing_where_it_fails() -> None:
    sure, unsure = believed(10.0, factor=1.05), believed(10.0, factor=2.0)
    assert expected_improvement(unsure, 12.0) > expected_improvement(sure, 12.0) >= 0
    assert expected_improvement(believed(99.0, p_feasible=0.0), 12.0) == 0
