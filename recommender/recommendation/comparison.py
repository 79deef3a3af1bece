"""Several targets beside each other: the best plan of each, and which of them is the best."""

from dataclasses import dataclass
from typing import Any

from recommender.recommendation.query import Query
from recommender.recommendation.ranking import amount, score
from recommender.recommendation.recommendation import SCHEMA, Recommendation


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A target for which there is no answer.

    Attributes:
        reason: What is missing, a sentence.
    """

    target_gpu: str
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {"target_gpu": self.target_gpu, "error": self.reason}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The answers for several targets to one question.

    Attributes:
        query: The question; its target is the first.
        answers: In the order that was asked for, one at least.
        refusals: The targets on which nothing runs, or nothing within the limits.
    """

    query: Query
    answers: tuple[Recommendation, ...]
    refusals: tuple[Refusal, ...] = ()

    @property
    def best(self) -> Recommendation:
        """The answer whose plan is best by the objective, the first of equals."""
        return max(self.answers, key=_worth)

    def to_dict(self) -> dict[str, Any]:
        """Return the contract's JSON object: every answer whole, and the best target's name."""
        return {
            "schema": SCHEMA,
            "targets": [
                *(answer.to_dict() for answer in self.answers),
                *(refusal.to_dict() for refusal in self.refusals),
            ],
            "best_target": self.best.target_gpu,
        }


def _worth(made: Recommendation) -> float:
    """Return what is the greater the better, across kinds of GPUs."""
    objective = made.query.objective
    if objective != "cost":
        return score(made.best, objective)
    dollars = amount(made.best, objective)
    return 0.0 if dollars is None else 1 / dollars
