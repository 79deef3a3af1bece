"""The runs that would help a decision most."""

import numpy as np
import pytest

from recommender.decision.informative import _joint, most_informative
from recommender.surrogate.predictor import PRETRAINED, Predictor
from tests.support.records import record

PREDICTOR = Predictor.load(PRETRAINED)
LARGE = [record(gpu="H100-80GB", n_gpus=n, batch_size=b) for n in (1, 2) for b in (64, 512)]
QUESTIONS = [run.configuration for run in LARGE]


def test_two_rivals_are_measured_and_not_what_is_far_behind() -> None:
    value = np.log([1.0, 100.0, 1.0, 99.0])
    assert set(most_informative(PREDICTOR, QUESTIONS, value, [])) == {1, 3}


def test_what_was_measured_is_not_asked_for_first() -> None:
    value = np.log([1.0, 100.0, 1.0, 99.0])
    first, *_ = most_informative(PREDICTOR, QUESTIONS, value, [])
    again = most_informative(PREDICTOR, QUESTIONS, value, [LARGE[first]], n_runs=1)
    assert again != [first]


def test_the_runs_find_more_than_the_same_number_by_chance() -> None:
    grid = [(n, 2**k) for n in (1, 2, 4, 8) for k in range(0, 11, 2)]
    asked = [
        record(gpu="MI300X", model="google/gemma-7b", n_gpus=n, batch_size=b).configuration
        for n, b in grid
    ]
    value = np.log([p.output_throughput for p in PREDICTOR.predict(asked)])
    joint, noise = _joint(PREDICTOR, asked, [])
    rng = np.random.default_rng(0)
    root = np.linalg.cholesky(joint + 1e-9 * np.eye(len(grid)))
    mine = most_informative(PREDICTOR, asked, value, [])
    lost: dict[str, list[float]] = {"mine": [], "chance": []}
    for _ in range(400):
        truth = value + root @ rng.normal(size=len(grid))
        for name, runs in (("mine", mine), ("chance", rng.choice(len(grid), 2, replace=False))):
            seen = truth[runs] + rng.normal(0, np.sqrt(noise[runs]))
            gram = joint[np.ix_(runs, runs)] + np.diag(noise[runs])
            now = value + joint[:, runs] @ np.linalg.solve(gram, seen - value[runs])
            lost[name].append(1 - np.exp(truth[now.argmax()] - truth.max()))
    assert np.mean(lost["mine"]) < 0.8 * np.mean(lost["chance"])


def test_engines_err_independently() -> None:
    other = record(engine="hf", gpu="H100-80GB", n_gpus=1, batch_size=64)
    asked = [QUESTIONS[1], other.configuration]
    assert set(most_informative(PREDICTOR, asked, np.log([10.0, 9.9]), [])) == {0, 1}


@pytest.mark.parametrize("n_runs", [1, 2, 4])
def test_each_run_is_named_once(n_runs: int) -> None:
    value = np.log([90.0, 100.0, 95.0, 99.0])
    found = most_informative(PREDICTOR, QUESTIONS, value, [], n_runs=n_runs)
    assert len(found) == len(set(found)) == n_runs


def test_where_there_is_no_choice_the_only_one_is_named() -> None:
    assert most_informative(PREDICTOR, QUESTIONS[:1], np.log([5.0]), []) == [0]
