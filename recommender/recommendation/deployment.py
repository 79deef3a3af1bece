"""How many replicas of a configuration the GPUs hold, and what they give together."""

from dataclasses import dataclass

from recommender.recommendation.candidates import Candidate
from recommender.recommendation.query import Query

# A ratio (a GPU, a dollar, a joule) is the same for one replica and for as many as the GPUs hold.
_REPLICATED = ("per-gpu", "cost", "energy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Replicas of one configuration.

    Attributes:
        n_gpus: GPUs of one replica.
        output_throughput: Generated tokens/s of all replicas together.
    """

    replicas: int
    n_gpus: int
    output_throughput: float

    @property
    def text(self) -> str:
        """The plan in words: 4 replicas x 2 GPUs."""
        replicas = "replica" if self.replicas == 1 else "replicas"
        return f"{self.replicas} {replicas} x {self.n_gpus} {'GPU' if self.n_gpus == 1 else 'GPUs'}"


def deploy(candidate: Candidate, query: Query) -> Deployment:
    """Return as many replicas as ``max_gpus`` holds where the objective is a ratio, else one."""
    replicas = query.max_gpus // candidate.n_gpus if query.objective in _REPLICATED else 1
    return Deployment(
        replicas=max(replicas, 1),
        n_gpus=candidate.n_gpus,
        output_throughput=max(replicas, 1) * candidate.output_throughput,
    )
