"""What a recommendation was decided on."""

from collections.abc import Sequence
from dataclasses import dataclass

from autotune.schema.record import RunRecord
from recommender.recommendation.candidates import Candidate
from recommender.recommendation.migration import Migration
from recommender.recommendation.query import Query
from recommender.surrogate.artifact import Meta


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """Everything that the reasons speak of.

    Attributes:
        gpu: Catalogue name of the target.
        ranked: What may be recommended, best first.
        landscape: Every configuration considered.
        known: Runs known of the model; ``beside`` those of other models.
        evidence: The surrogate's constants, which say what it learned from.
        helpful: The runs that would help most; empty unless the evidence is far.
    """

    query: Query
    gpu: str
    ranked: Sequence[Candidate]
    landscape: Sequence[Candidate]
    keep: Candidate | None
    migration: Migration | None
    known: Sequence[RunRecord]
    beside: Sequence[RunRecord]
    evidence: Meta
    helpful: Sequence[Candidate]

    @property
    def best(self) -> Candidate:
        """What is recommended."""
        return self.ranked[0]
