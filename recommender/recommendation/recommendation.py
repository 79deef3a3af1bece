"""The answer: what is recommended, what else could be, and why."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from autotune.schema.served_load import ServedLoad
from autotune.views.pages.document import InNotebook
from recommender.recommendation.alternatives import Alternative
from recommender.recommendation.candidates import Candidate
from recommender.recommendation.migration import Migration
from recommender.recommendation.query import Query

# Of the documents: 1 (without a key) knew no plans, an answer was one replica's.
SCHEMA: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation(InNotebook):
    """The answer.

    Attributes:
        candidates: What may be recommended, best first.
        frontier: The best, then what gives up some of the objective for speed to the single user.
        alternatives: What smaller formats would bring.
        landscape: Every configuration considered.
        reasons: Why, five sentences or pairs of them at most; ``explanation`` is the answer in a
            sentence and these after it.
        migration: Before and after, with a verdict; ``None`` without another GPU to come from, and
            where nothing runs on that.
        engine_version: Of the engine that the figures of the best hold for; ``None`` where no run
            is known and none is installed.
        served_load: What a server's metrics showed; its lengths are the workload's.
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
    frontier: tuple[Candidate, ...] = ()
    reasons: tuple[str, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    engine_version: str | None = None
    served_load: ServedLoad | None = None

    def __repr__(self) -> str:
        best = self.best
        times = f"{best.replicas} x " if best.replicas > 1 else ""
        return (
            f"<Recommendation {self.recommendation_id}: {self.query.model} on "
            f"{times}{best.n_gpus} x {self.target_gpu} with {best.engine} at batch size "
            f"{best.batch_size}, {best.total_output_throughput:,.0f} tok/s "
            f"({best.total_low:,.0f} to {best.total_high:,.0f})>"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the contract's JSON object."""
        return {
            "schema": SCHEMA,
            "model": self.query.model,
            "engine": self.best.engine,
            "engine_version": self.engine_version,
            "target_gpu": self.target_gpu,
            "workload": dataclasses.asdict(self.query.workload),
            "served_load": None if self.served_load is None else self.served_load.to_dict(),
            "objective": self.query.objective,
            "best": self.best.to_dict(),
            "deployment": {
                "replicas": self.best.replicas,
                "n_gpus": self.best.n_gpus,
                "output_throughput": self.best.total_output_throughput,
            },
            "candidates": [candidate.to_dict() for candidate in self.candidates],
            "frontier": [candidate.to_dict() for candidate in self.frontier],
            "keep_source": None if self.keep_source is None else self.keep_source.to_dict(),
            "baselines": {name: c.to_dict() for name, c in self.baselines.items()},
            "migration": None if self.migration is None else self.migration.to_dict(),
            "alternatives": [alternative.to_dict() for alternative in self.alternatives],
            "explanation": self.explanation,
            "reasons": list(self.reasons),
            "remarks": list(self.remarks),
            "recommendation_id": self.recommendation_id,
        }
