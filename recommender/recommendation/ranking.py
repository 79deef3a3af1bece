"""Which of the configurations is best by an objective, and what the objective is in words."""

from collections.abc import Sequence

from recommender.decision.acquisition import INCUMBENT_MARGIN, cautious
from recommender.recommendation.candidates import Candidate, place_of
from recommender.recommendation.query import Query

_WORDS = {
    "throughput": "{:,.0f} tok/s",
    "replica": "{:,.0f} tok/s",
    "per-gpu": "{:,.0f} tok/s a GPU",
    "cost": "${:.3f} a million tokens",
    "energy": "{:.3f} J a token",
    "goodput": "{:,.0f} tok/s within the limits",
}


def recommended(
    landscape: Sequence[Candidate], query: Query, incumbent: Candidate | None = None
) -> Candidate | None:
    """Return what is recommended of a landscape; ``None`` where nothing is feasible."""
    feasible = [candidate for candidate in landscape if candidate.is_feasible]
    ranked = rank(feasible, query, incumbent) if feasible else []
    return prefer_incumbent(ranked, incumbent, query)[0] if ranked else None


def rank(
    feasible: Sequence[Candidate], query: Query, incumbent: Candidate | None = None
) -> list[Candidate]:
    """Order by ``worth``; the first is the cheapest of those within the tolerance of the best.

    Cheaper means fewer GPUs a replica, then the smaller batch: the same throughput at a lower
    latency. The tolerance never gives up what the kept configuration was measured to bring: advice
    is not worse than doing nothing.
    """
    ordered = sorted(feasible, key=lambda c: -worth(c, query.objective))
    floor = worth(ordered[0], query.objective) * (1 - query.tolerance)
    kept = _same_place(ordered, incumbent)
    if kept is not None and kept.status == "measured" and query.keeps_what_was_measured:
        floor = max(floor, worth(kept, query.objective))
    plateau = [c for c in ordered if worth(c, query.objective) >= floor]
    first = min(plateau, key=lambda c: (c.n_gpus, c.batch_size))
    return [first, *(c for c in ordered if c is not first)]


def prefer_incumbent(
    ranked: Sequence[Candidate], incumbent: Candidate | None, query: Query
) -> list[Candidate]:
    """Put the kept configuration first where changing is not expected to bring enough.

    The best of many predictions is partly the luckiest: less than INCUMBENT_MARGIN expected is no
    reason to change. Fewer GPUs are one, and so is having measured both.
    """
    first, kept = ranked[0], _same_place(ranked, incumbent)
    if kept is None or first.n_gpus < kept.n_gpus or first.status == kept.status == "measured":
        return list(ranked)
    if worth(kept, query.objective) < (1 - INCUMBENT_MARGIN) * worth(first, query.objective):
        return list(ranked)
    return [kept, *(c for c in ranked if c is not kept)]


def _same_place(ranked: Sequence[Candidate], incumbent: Candidate | None) -> Candidate | None:
    """Return the kept configuration as it is among those ranked; ``None`` where it is not."""
    if incumbent is None:
        return None
    return next((c for c in ranked if place_of(c) == place_of(incumbent)), None)


def worth(candidate: Candidate, objective: str) -> float:
    """Return the objective with caution, as sure as the throughput that it grows with.

    What was measured needs none: its interval is that of few passes, no surprise to come.
    """
    if candidate.status == "measured":
        return score(candidate, objective)
    return score(candidate, objective) * cautious(candidate) / candidate.output_throughput


def score(candidate: Candidate, objective: str) -> float:
    """Return what the objective maximises; it grows in proportion to a candidate's throughput.

    For cost that is tok/s a GPU (on one kind of GPU, which costs what it costs), for energy tokens
    a joule.
    """
    if objective in ("per-gpu", "cost"):
        return candidate.output_throughput_per_gpu
    if objective == "energy" and candidate.energy_j_per_token is not None:
        return 1 / candidate.energy_j_per_token
    if objective == "goodput":
        return candidate.total_output_throughput * candidate.p_within_limits
    return candidate.total_output_throughput


def amount(candidate: Candidate, objective: str) -> float | None:
    """Return the objective as people count it; ``None`` where price or power is unknown.

    Tokens/s (of a GPU, within the limits), dollars a million tokens, or joules a token.
    """
    if objective == "cost":
        return candidate.cost_per_mtok
    if objective == "energy":
        return candidate.energy_j_per_token
    return score(candidate, objective)


def describe(candidate: Candidate, objective: str) -> str:
    """Return the amount with its unit; the throughput where it is unknown."""
    value = amount(candidate, objective)
    if value is None:
        return _WORDS["throughput"].format(candidate.output_throughput)
    return _WORDS[objective].format(value)
