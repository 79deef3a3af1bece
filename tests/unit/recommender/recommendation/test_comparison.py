"""Several targets beside each other."""

from typing import Any

import pytest

from recommender.recommendation.comparison import Comparison, Refusal
from recommender.recommendation.query import Query
from recommender.recommendation.recommend import recommend
from recommender.recommendation.recommendation import Recommendation
from recommender.surrogate.predictor import PRETRAINED, Predictor

PREDICTOR = Predictor.load(PRETRAINED)
PRICES = {"H100-80GB": 2.9, "L4": 0.3}


def answer(gpu: str, **changes: Any) -> Recommendation:
    query = Query(**({"model": "mistralai/Mistral-7B-v0.1", "target_gpu": gpu} | changes))
    return recommend(query, PREDICTOR)


def compared(**changes: Any) -> Comparison:
    answers = tuple(answer(gpu, **changes) for gpu in ("L4", "H100"))
    refusal = Refusal(target_gpu="T4", reason="it does not fit")
    return Comparison(query=answers[0].query, answers=answers, refusals=(refusal,))


@pytest.mark.parametrize(
    ("changes", "best"),
    [
        ({}, "H100-80GB"),
        ({"objective": "per-gpu"}, "H100-80GB"),
        ({"objective": "cost", "prices": PRICES}, "H100-80GB"),
        ({"objective": "cost", "prices": PRICES | {"L4": 0.01}}, "L4"),
    ],
)
def test_the_best_target_is_that_of_the_objective(changes: dict[str, Any], best: str) -> None:
    made = compared(**changes)
    assert made.best.target_gpu == best
    if changes.get("objective") == "cost":
        dollars = [one.best.cost_per_mtok or 0.0 for one in made.answers]
        assert made.best.best.cost_per_mtok == min(dollars)


def test_every_answer_is_there_whole_and_a_refusal_says_why() -> None:
    made = compared()
    document = made.to_dict()
    assert document["best_target"] == "H100-80GB"
    assert document["targets"] == [
        *(one.to_dict() for one in made.answers),
        {"target_gpu": "T4", "error": "it does not fit"},
    ]
