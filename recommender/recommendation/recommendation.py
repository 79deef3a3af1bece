"""The answer: what is recommended, what else could be, and why."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autotune.views.pages.document import InNotebook
from recommender.recommendation.candidates import Candidate
from recommender.recommendation.migration import Migration
from recommender.recommendation.query import Query
from recommender.recommendation.ranking import Deployment, deploy


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation(InNotebook):
    """The answer.

    Attributes:
        candidates: What may be recommended, best first.
        landscape: Every configuration considered.
        migration: Before and after, with a verdict; ``None`` without another GPU to come from, and
            where nothing runs on that.
    """

    recommendation_id: str
    created_at: str
    query: Query
    target_gpu: str
    best: Candidate
    candidates: tuple[Candidate, ...]
    keep_source: Candidate | None
    baselines: Mapping[str, Candidate]
    landscape: tuple[Candidate, ...]
    explanation: str
    remarks: tuple[str, ...]
    n_known_runs: int
    migration: Migration | None = None

    def __repr__(self) -> str:
        best = self.best
        return (
            f"<Recommendation {self.recommendation_id}: {self.query.model} on {best.n_gpus} x "
            f"{self.target_gpu} with {best.engine} at batch size {best.batch_size}, "
            f"{best.output_throughput:,.0f} tok/s ({best.low:,.0f} to {best.high:,.0f})>"
        )

    @property
    def deployment(self) -> Deployment:
        """How the best is spread over the GPUs."""
        return deploy(self.best, self.query)

    def to_dict(self) -> dict[str, Any]:
        """Return the contract's JSON object."""
        return {
            "model": self.query.model,
            "engine": self.best.engine,
            "target_gpu": self.target_gpu,
            "workload": dataclasses.asdict(self.query.workload),
            "objective": self.query.objective,
            "best": self.best.to_dict(),
            "deployment": dataclasses.asdict(self.deployment),
            "candidates": [candidate.to_dict() for candidate in self.candidates],
            "keep_source": None if self.keep_source is None else self.keep_source.to_dict(),
            "baselines": {name: c.to_dict() for name, c in self.baselines.items()},
            "migration": None if self.migration is None else self.migration.to_dict(),
            "explanation": self.explanation,
            "remarks": list(self.remarks),
            "recommendation_id": self.recommendation_id,
        }
