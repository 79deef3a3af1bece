"""What is served now and what most people configure; whether moving from it pays."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from autotune.catalog.architecture.profile import ModelProfile
from autotune.catalog.gpus import GpuSpec
from autotune.schema.record import RunRecord
from recommender.recommendation.candidates import (
    Candidate,
    configuration_of,
    enumerate_configurations,
)
from recommender.recommendation.evaluate_candidates import evaluate_candidates
from recommender.recommendation.query import Query
from recommender.recommendation.ranking import amount, describe, rank, score
from recommender.surrogate.predictor import Predictor

# What serving guides name first for each engine: vLLM's long-standing default, the pipeline's.
POPULAR_BATCH = {"vllm": 256, "hf": 1}


def serving_now(
    query: Query,
    profile: ModelProfile,
    source: GpuSpec,
    predictor: Predictor,
    known: Sequence[RunRecord],
) -> Candidate | None:
    """Return the best configuration on the source GPU, a measured one if there is any.

    Limits hold there too, unless nothing meets them; ``None`` when nothing runs at all.
    """
    there = evaluate_candidates(
        enumerate_configurations(query, profile, source), predictor, known, query
    )
    runnable = [c for c in there if c.can_run]
    measured = [c for c in runnable if c.status == "measured"] or runnable
    within = [c for c in measured if c.is_feasible] or measured
    if not within:
        return None
    if query.objective == "energy" and any(c.energy_j_per_token is None for c in within):
        return rank(within, dataclasses.replace(query, objective="throughput"))[0]
    return rank(within, query)[0]


def incumbent(
    query: Query,
    target: GpuSpec,
    now: Candidate,
    predictor: Predictor,
    known: Sequence[RunRecord],
) -> Candidate:
    """Return the source's configuration as it would do on the target."""
    place = configuration_of(query, target.name, now.engine, now.n_gpus, now.batch_size)
    return evaluate_candidates([place], predictor, known, query)[0]


def usual(query: Query, landscape: Sequence[Candidate]) -> dict[str, Candidate]:
    """Return the largest configuration and the most popular one, whether they run or not."""
    engine = query.engines[0]
    own = [c for c in landscape if c.engine == engine]
    fitting = [c for c in own if c.fits] or own
    largest = max(fitting, key=lambda c: (c.n_gpus, c.batch_size))
    fewest = min(c.n_gpus for c in fitting)
    batch = max(c.batch_size for c in own if c.batch_size <= POPULAR_BATCH[engine])
    popular = next(c for c in own if c.n_gpus == fewest and c.batch_size == batch)
    return {"largest": largest, "most_popular": popular}


_NORMAL_95: Final = 1.6449
_SURE: Final = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """Before on the source, after on the target.

    Attributes:
        before: The configuration served on the source GPU, measured if there is any.
        after: What is recommended on the target.
        gain: How much more the objective gives (tokens/s, tokens a dollar, tokens a joule), as a
            share; ``None`` where one side's price or power is unknown.
        p_pays: Chance that the gain is above the tolerance, the two errors taken as independent.
        verdict: ``move``, ``stay`` (what is gained is within the tolerance), or ``unknown``.
        reason: The verdict in words.
    """

    source_gpu: str
    target_gpu: str
    before: Candidate
    after: Candidate
    gain: float | None
    p_pays: float | None
    verdict: str
    reason: str

    @property
    def is_certain(self) -> bool:
        """Whether the intervals are apart enough to tell, with 90 %."""
        return self.p_pays is not None and not 1 - _SURE < self.p_pays < _SURE

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            "source_gpu": self.source_gpu,
            "target_gpu": self.target_gpu,
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
            "gain": self.gain,
            "p_pays": self.p_pays,
            "is_certain": self.is_certain,
            "verdict": self.verdict,
            "reason": self.reason,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Migration":
        """Read what ``to_dict`` wrote."""
        values = {name: value for name, value in data.items() if name != "is_certain"}
        sides = {name: Candidate.from_dict(data[name]) for name in ("before", "after")}
        return cls(**(values | sides))


def judge(
    query: Query, source_gpu: str, target_gpu: str, before: Candidate, after: Candidate
) -> Migration:
    """Return whether to move.

    Args:
        source_gpu, target_gpu: Catalogue names.
        before: The configuration served on the source GPU.
        after: The one recommended on the target.
    """
    gain = _gain(query.objective, before, after)
    chance = None if gain is None else _chance(gain, query.tolerance, before, after)
    if not before.is_feasible:
        verdict, reason = "move", f"{source_gpu} is not expected to meet the latency limits"
    elif gain is None:
        verdict, reason = "unknown", _what_is_missing(query, source_gpu)
    else:
        verdict = "move" if gain > query.tolerance else "stay"
        reason = _compare(query, gain, before, after, verdict)
    made = Migration(
        source_gpu=source_gpu,
        target_gpu=target_gpu,
        before=before,
        after=after,
        gain=gain,
        p_pays=chance,
        verdict=verdict,
        reason=reason,
    )
    if chance is None or made.is_certain or not before.is_feasible:
        return made
    return dataclasses.replace(made, reason=f"{reason}; {_doubt(made, chance)}")


def _doubt(made: Migration, chance: float) -> str:
    sides = ((made.source_gpu, made.before), (made.target_gpu, made.after))
    guessed = [gpu for gpu, side in sides if side.status == "predicted"]
    what = f"measure on {' and '.join(guessed)}" if guessed else "measure both for longer"
    return f"the intervals overlap too much to tell ({chance:.0%} that moving pays): {what}"


def _gain(objective: str, before: Candidate, after: Candidate) -> float | None:
    """Return the gain as a share; a cost or an energy is better the smaller it is."""
    if objective in ("cost", "energy"):
        was, becomes = amount(before, objective), amount(after, objective)
        return None if was is None or becomes is None else was / becomes - 1
    was_score = score(before, objective)
    return score(after, objective) / was_score - 1 if was_score > 0 else None


def _chance(gain: float, tolerance: float, before: Candidate, after: Candidate) -> float:
    """Return the probability that log-normals that far apart differ by more than the tolerance."""
    deviation = math.hypot(*(math.log(c.high / c.output_throughput) for c in (before, after)))
    z = (math.log1p(gain) - math.log1p(tolerance)) / max(deviation / _NORMAL_95, 1e-6)
    return 0.5 * math.erfc(-z / math.sqrt(2))


def _what_is_missing(query: Query, source_gpu: str) -> str:
    if query.objective == "cost":
        return f"the price of {source_gpu} is not known: give --price {query.source_gpu}=DOLLARS"
    return f"no power is known of {source_gpu}"


def _compare(query: Query, gain: float, before: Candidate, after: Candidate, verdict: str) -> str:
    now, was = (describe(side, query.objective) for side in (after, before))
    what = {"cost": " tokens a dollar", "energy": " tokens a joule"}.get(query.objective, "")
    text = f"{now} after, {was} before, {gain:+.1%}{what}"
    if verdict == "stay":
        text += f", not above the tolerance of {query.tolerance:.0%}"
    if query.objective in ("throughput", "goodput") and before.n_gpus != after.n_gpus:
        a_gpu = (after.output_throughput_per_gpu, before.output_throughput_per_gpu)
        text += f" (a GPU gives {a_gpu[0]:,.0f} tok/s after, {a_gpu[1]:,.0f} before)"
    return text
