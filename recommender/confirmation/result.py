"""What confirmatory runs said: predicted beside measured, the winner, what is still open."""

import math
from dataclasses import dataclass
from typing import Any

from autotune.schema.record import RunRecord
from autotune.views.pages.document import InNotebook
from autotune.views.wording import outcome
from recommender.decision.certificate import Certificate
from recommender.recommendation.candidates import Candidate, place_in_words, place_of
from recommender.recommendation.plans import count_gpus
from recommender.recommendation.ranking import score
from recommender.recommendation.recommendation import Recommendation


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmedRun:
    """A confirmatory run beside what was predicted just before it.

    Attributes:
        error: measured / predicted - 1; ``None`` when the run failed.
        role: ``recommended``, ``kept`` or ``challenger``.
    """

    role: str
    predicted: Candidate
    record: RunRecord
    error: float | None

    @property
    def is_covered(self) -> bool | None:
        """Whether the measurement lies in the predicted interval."""
        measured = self.record.output_throughput
        if measured is None or self.error is None:
            return None
        return self.predicted.low <= measured <= self.predicted.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation(InNotebook):
    """What the runs said.

    Attributes:
        winner: The best measured configuration, by the recommendation's objective and tolerance;
            ``None`` when every run failed.
        remaining: The best configuration not run and its prediction after the runs, if it is
            predicted to beat the winner.
        certificate: How far from the best the winner can be; ``None`` without a winner.
        remarks: What else the user should know, a sentence each.
    """

    recommendation: Recommendation
    runs: tuple[ConfirmedRun, ...]
    winner: Candidate | None
    remaining: Candidate | None
    certificate: Certificate | None
    remarks: tuple[str, ...] = ()

    @property
    def close_runs(self) -> tuple[ConfirmedRun, ...]:
        """The runs whose throughput the scatter of the passes does not tell from the winner's.

        By the 95 % intervals of both means; a run of a single pass has none and is not among them.
        """
        if self.winner is None:
            return ()
        place = place_of(self.winner)
        won = next(run.record for run in self.runs if place_of(run.predicted) == place)
        rest = (run for run in self.runs if run.record is not won)
        return tuple(run for run in rest if _is_close(run.record, won))

    def __repr__(self) -> str:
        return f"<Confirmation of {self.recommendation.recommendation_id}: {self.summary}>"

    @property
    def summary(self) -> str:
        """The result in a few sentences."""
        if self.winner is None:
            return "Every confirmatory run failed; see their notes."
        query, gpu, winner = self.recommendation.query, self.recommendation.target_gpu, self.winner
        parts = [
            f"Winner after {len(self.runs)} run{'s' if len(self.runs) > 1 else ''}: "
            f"{place_in_words(winner, gpu)}, measured {winner.output_throughput:,.1f} tok/s."
        ]
        if winner.replicas > 1:
            parts.append(
                f"That is one replica; {winner.replicas} of them, which share nothing, give "
                f"{winner.total_output_throughput:,.0f} tok/s on {count_gpus(winner.total_gpus)}."
            )
        close = [
            f"{place_in_words(run.predicted, gpu)} ({outcome(run.record)})"
            for run in self.close_runs
        ]
        if close:
            parts.append(
                f"The passes scatter too much to tell it from {' and '.join(close)}; a longer time "
                "budget would."
            )
        if not winner.is_feasible:
            parts.append("No configuration that was run meets the latency limits.")
        if self.certificate is not None:
            parts.append(self.certificate.text)
        if self.remaining is not None:
            gain = score(self.remaining, query.objective) / score(winner, query.objective) - 1
            parts.append(
                f"Not run: {self.remaining.n_gpus} GPUs at batch size {self.remaining.batch_size}, "
                f"predicted {gain:+.1%} of it; another run would tell."
            )
        return " ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            "recommendation_id": self.recommendation.recommendation_id,
            "model": self.recommendation.query.model,
            "target_gpu": self.recommendation.target_gpu,
            "winner": None if self.winner is None else self.winner.to_dict(),
            "remaining": None if self.remaining is None else self.remaining.to_dict(),
            "certificate": None if self.certificate is None else self.certificate.to_dict(),
            "runs": [
                {
                    "role": run.role,
                    "predicted": run.predicted.to_dict(),
                    "measured": run.record.to_dict(),
                    "error": run.error,
                    "is_covered": run.is_covered,
                }
                for run in self.runs
            ],
            "summary": self.summary,
        }


def _is_close(run: RunRecord, won: RunRecord) -> bool:
    if run.throughput_ci95 is None or won.throughput_ci95 is None:
        return False
    measured, best = run.output_throughput or 0.0, won.output_throughput or 0.0
    scatter = math.hypot(run.throughput_ci95 * measured, won.throughput_ci95 * best)
    return abs(measured - best) <= scatter
