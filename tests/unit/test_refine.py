"""Learning from own runs on top of the shipped surrogate."""

import dataclasses

import pytest

from autotune.errors import SurrogateError
from autotune.records import Configuration
from recommender.predictor import PRETRAINED, Predictor
from recommender.refine import refine
from tests.records import record

SHIPPED = Predictor.load(PRETRAINED)
QUESTIONS = [record(batch_size=2**k).configuration for k in range(10)]
FAR = Configuration(
    engine="hf", model="google/gemma-2b", gpu="A10", n_gpus=1, batch_size=8, input_len=64,
    output_len=16,
)  # fmt: skip


def speeds(predictor: Predictor, questions: list[Configuration]) -> list[float]:
    return [prediction.output_throughput for prediction in predictor.predict(questions)]


def own_runs(factor: float) -> list:
    pairs = zip(QUESTIONS, speeds(SHIPPED, QUESTIONS), strict=True)
    return [record(batch_size=q.batch_size, output_throughput=speed * factor) for q, speed in pairs]


@pytest.mark.parametrize("named", [True, False], ids=["version named", "no version named"])
def test_ten_own_runs_move_their_landscape_and_leave_the_rest(named: bool) -> None:
    refined = refine(own_runs(0.5), PRETRAINED).predictor
    asked = QUESTIONS if named else [dataclasses.replace(q, engine_version=None) for q in QUESTIONS]
    for new, old in zip(speeds(refined, asked), speeds(SHIPPED, QUESTIONS), strict=True):
        assert new / old == pytest.approx(0.5, rel=0.3)
    assert speeds(refined, [FAR])[0] == pytest.approx(speeds(SHIPPED, [FAR])[0], rel=0.15)


def test_the_same_runs_give_the_same_surrogate() -> None:
    first, second = (speeds(refine(own_runs(0.7), PRETRAINED).predictor, QUESTIONS) for _ in "ab")
    assert first == second


def test_too_few_runs_say_how_many_there_are() -> None:
    with pytest.raises(SurrogateError, match="only 2 of 2"):
        refine(own_runs(0.5)[:2], PRETRAINED)
