"""What a prediction is made of: the roofline's times, the trees' residual, the runs near it."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autotune.schema.configuration import Configuration
from autotune.schema.record import RunRecord
from recommender.features.efficiency import CLASSES
from recommender.features.encode import FEATURE_NAMES, encode_features
from recommender.features.roofline import BOTTLENECKS
from recommender.features.table import Array
from recommender.recommendation.candidates import Candidate
from recommender.recommendation.recommendation import Recommendation
from recommender.surrogate.evidence import gather
from recommender.surrogate.neighbours import Evidence, Neighbour, nearest_measured
from recommender.surrogate.predictor import Predictor


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What one candidate's prediction is made of.

    Attributes:
        shares: Cause -> share of the roofline's time; the largest is the bottleneck.
        contributions: Feature -> SHAP value of the trees' residual, a natural log of throughput,
            before shrinkage; with ``bias`` they sum to the residual.
        shrinkage: How much of the residual is believed.
        neighbours: The user's measured runs that say most about it, nearest first.
    """

    candidate: Candidate
    shares: dict[str, float]
    contributions: dict[str, float]
    bias: float
    shrinkage: float
    neighbours: tuple[Neighbour, ...]

    @property
    def residual(self) -> float:
        """What the trees say of log(measured / roofline), before shrinkage."""
        return self.bias + sum(self.contributions.values())

    def strongest(self, n: int) -> list[tuple[str, float]]:
        """Return the features that move the residual most."""
        return sorted(self.contributions.items(), key=lambda item: -abs(item[1]))[:n]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        c = self.candidate
        return {
            "engine": c.engine,
            "n_gpus": c.n_gpus,
            "batch_size": c.batch_size,
            "status": c.status,
            "output_throughput": c.output_throughput,
            "low": c.low,
            "high": c.high,
            "bottleneck": max(self.shares, key=lambda cause: self.shares[cause]),
            "shares": self.shares,
            "residual": {
                "value": self.residual,
                "shrinkage": self.shrinkage,
                "bias": self.bias,
                "shap": self.contributions,
            },
            "neighbours": [neighbour.to_dict() for neighbour in self.neighbours],
        }


def account_for(
    candidates: Sequence[Candidate],
    configurations: Sequence[Configuration],
    predictor: Predictor,
    surrogate: Path,
    known: Sequence[RunRecord],
) -> list[Account]:
    """Return what each candidate's prediction is made of.

    Args:
        candidates: n candidates.
        configurations: Theirs, in the same order.
        surrogate: Directory that the predictor was loaded from.
    """
    inputs = gather(configurations, known).inputs
    prior = predictor.prior(inputs)
    seconds = prior.roofline.shares_s
    shares = seconds / seconds.sum(axis=1, keepdims=True)
    # XGBoost takes seconds to import, and a node that only measures has none.
    from recommender.training.fit import contributions, load_booster

    shap = contributions(load_booster(surrogate), encode_features(inputs))
    believed = np.array([predictor.meta.shrinkage[name] for name in CLASSES])[prior.classes]
    near = nearest_measured(predictor, configurations, known)
    return [
        Account(
            candidate=candidate,
            shares=_named(BOTTLENECKS, shares[i]),
            contributions=_named(FEATURE_NAMES, shap[i, :-1]),
            bias=float(shap[i, -1]),
            shrinkage=float(believed[i]),
            neighbours=tuple(near[i]),
        )
        for i, candidate in enumerate(candidates)
    ]


def _named(names: Sequence[str], values: Array) -> dict[str, float]:
    return dict(zip(names, values.tolist(), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a recommendation says what it says.

    Attributes:
        accounts: Of its candidates, best first.
        evidence: Engine -> what the surrogate in force learned from.
        warnings: What makes the evidence less than it seems.
        helpful: The runs that would help the decision most.
    """

    recommendation: Recommendation
    accounts: tuple[Account, ...]
    evidence: dict[str, Evidence]
    warnings: tuple[str, ...]
    helpful: tuple[Candidate, ...]

    @property
    def further_warnings(self) -> tuple[str, ...]:
        """The warnings that the recommendation's own reasons do not say already."""
        said = self.recommendation.explanation
        return tuple(warning for warning in self.warnings if warning not in said)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        made = self.recommendation
        return {
            "recommendation_id": made.recommendation_id,
            "model": made.query.model,
            "target_gpu": made.target_gpu,
            "explanation": made.explanation,
            "candidates": [account.to_dict() for account in self.accounts],
            "evidence": {name: dataclasses.asdict(seen) for name, seen in self.evidence.items()},
            "warnings": list(self.warnings),
            "helpful_runs": [
                {"engine": c.engine, "n_gpus": c.n_gpus, "batch_size": c.batch_size}
                for c in self.helpful
            ],
        }
