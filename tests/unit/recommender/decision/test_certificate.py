"""The bound on regret, against cases worked by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotune.schema.configuration import Configuration
from recommender.decision.certificate import (
    RELATIVE_WIDTH,
    Certificate,
    best_bound90,
    regret_bound90,
)
from recommender.features.table import collect
from recommender.surrogate.gaussian_process import Hyper, cells_of, joint_covariance, posterior
from recommender.surrogate.predictor import PRETRAINED, Predictor, correlation
from tests.support.beliefs import believed
from tests.support.records import record

T_2 = 1.8856  # 90 % quantile of a t distribution with two degrees of freedom (one run)
T_4 = 1.5332
ONE = np.eye(1)


def test_with_nothing_left_to_run_the_best_is_the_best_measured() -> None:
    assert best_bound90([], np.zeros((0, 0)), [80.0, 100.0]) == 100.0
    assert regret_bound90(100.0, 100.0) == 0.0


def test_regret_is_the_share_of_the_best_that_is_given_up() -> None:
    assert regret_bound90(80.0, 100.0) == pytest.approx(0.2)
    assert regret_bound90(0.0, 100.0) == 1.0
    assert regret_bound90(0.0, 0.0) == 1.0
    assert regret_bound90(101.0, 100.0) == 0.0


@pytest.mark.parametrize(("measured", "t"), [([1.0], T_2), ([1.0, 1.0, 1.0, 0.0], T_4)])
def test_a_single_one_is_bounded_by_its_quantile(measured: list[float], t: float) -> None:
    """Median 100, upper end 200: a deviation of log(2) / 1.6449."""
    deviation = math.log(2) / 1.6449
    expected = 100 * math.exp(RELATIVE_WIDTH * deviation * t)
    bound = best_bound90([believed(100.0, factor=2.0)], ONE, measured)
    assert bound == pytest.approx(expected, rel=0.06)


def test_what_is_certain_is_bounded_by_itself() -> None:
    assert best_bound90([believed(100.0, factor=1.0)], ONE, [50.0]) == pytest.approx(
        100.0, rel=1e-5
    )


def test_what_hardly_runs_does_not_count_and_what_may_run_does() -> None:
    assert best_bound90([believed(900.0, p_feasible=0.05)], ONE, [50.0]) == 50.0
    assert best_bound90([believed(900.0, p_feasible=0.5)], ONE, [50.0]) > 900.0


def test_copies_that_err_together_are_as_uncertain_as_one() -> None:
    belief = [believed(100.0, factor=2.0)] * 20
    together = best_bound90(belief, np.ones((20, 20)), [50.0])
    assert together == pytest.approx(best_bound90(belief[:1], ONE, [50.0]), rel=0.08)
    assert best_bound90(belief, np.eye(20), [50.0]) > 1.2 * together


def test_the_objective_scales_the_best() -> None:
    belief = [believed(100.0, factor=1.0), believed(60.0, factor=1.0)]
    assert best_bound90(belief, np.eye(2), [1.0], [0.25, 1.0]) == pytest.approx(60.0, rel=1e-5)


BELIEFS = st.lists(
    st.builds(
        believed,
        st.floats(1e-2, 1e6),
        factor=st.floats(1.0, 10.0),
        p_feasible=st.floats(0.0, 1.0),
    ),
    max_size=6,
)


@settings(max_examples=40, deadline=None)
@given(BELIEFS, st.lists(st.floats(0.0, 1e6), min_size=1, max_size=4), st.floats(0.0, 1.0))
def test_a_bound_is_a_share_and_never_below_what_was_measured(
    beliefs: list, measured: list[float], likeness: float
) -> None:
    n = len(beliefs)
    together = likeness * np.ones((n, n)) + (1 - likeness) * np.eye(n)
    best = best_bound90(beliefs, together, measured)
    assert best >= max(measured)
    assert 0.0 <= regret_bound90(max(measured), best) <= 1.0
    if not beliefs and max(measured) > 0:
        assert regret_bound90(max(measured), best) == 0.0


@settings(max_examples=30, deadline=None)
@given(BELIEFS, st.floats(1.0, 1e5), st.floats(1.0, 10.0))
def test_a_better_measurement_never_loosens_the_bound(
    beliefs: list, held: float, better: float
) -> None:
    n = len(beliefs)
    first, second = (
        regret_bound90(value, best_bound90(beliefs, np.eye(n), [value]))
        for value in (held, held * better)
    )
    assert second <= first + 1e-12


CASES = [
    (0.12, True, "kept configuration: 12.0% slower."),
    (-0.01, True, "kept configuration: 1.0% faster."),
    (0.0, True, "kept configuration: the winner."),
    (1.0, True, "kept configuration: failed."),
    (0.12, False, "kept configuration: 12.0% slower (predicted)."),
    (None, False, "kept configuration: none."),
]


@pytest.mark.parametrize(("slowdown", "is_measured", "end"), CASES)
def test_the_certificate_reads_as_a_sentence(
    slowdown: float | None, is_measured: bool, end: str
) -> None:
    made = Certificate(
        runs=3, regret_bound90=0.0314, kept_slowdown=slowdown, is_kept_measured=is_measured
    )
    assert made.text == f"Within 3.1% of the best with 90 % confidence after 3 runs; {end}"
    assert made.to_dict()["regret_bound90"] == 0.0314


def asked(*places: tuple[str, int]) -> list[Configuration]:
    return [
        record(engine=engine, batch_size=batch, engine_version=None).configuration
        for engine, batch in places
    ]


def test_the_joint_posterior_has_the_deviations_of_the_single_ones() -> None:
    rows = asked(("vllm", 8), ("vllm", 16), ("vllm", 64), ("vllm", 512))
    cells = cells_of(rows, collect(rows))
    known, wanted = cells.take(np.array([0, 3])), cells.take(np.array([1, 2]))
    hyper = Hyper()
    residual = np.array([0.1, -0.2])
    _, deviation = posterior(hyper, known, residual, wanted)
    joint = joint_covariance(hyper, known, wanted)
    assert np.sqrt(np.diag(joint)) == pytest.approx(deviation)
    _, alone = posterior(hyper, known.take(np.array([], dtype=int)), np.zeros(0), wanted)
    prior = joint_covariance(hyper, known.take(np.array([], dtype=int)), wanted)
    assert np.sqrt(np.diag(prior)) == pytest.approx(alone)


def test_neighbours_correlate_more_and_engines_not_at_all() -> None:
    predictor = Predictor.load(PRETRAINED)
    rows = asked(("vllm", 8), ("vllm", 16), ("vllm", 512), ("hf", 8))
    found = correlation(predictor, rows, [])
    assert np.diag(found) == pytest.approx(np.ones(4))
    assert found == pytest.approx(found.T)
    assert np.linalg.eigvalsh(found).min() > 0
    assert found[0, 1] > found[0, 2] > 0
    assert found[:3, 3] == pytest.approx(np.zeros(3))
    known = [record(batch_size=32)]
    assert correlation(predictor, rows, known)[0, 2] < found[0, 2]
    assert correlation(predictor, [], known).shape == (0, 0)
