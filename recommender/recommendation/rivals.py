"""How the recommended configuration compares: with its neighbours, other engines, what is kept."""

from recommender.decision.acquisition import KEPT_MARGIN
from recommender.grounds import Grounds
from recommender.recommendation.candidates import Candidate, place_of
from recommender.recommendation.migration import Migration
from recommender.recommendation.ranking import describe, score


def comparisons(grounds: Grounds) -> list[str]:
    """Return a sentence or two on each rival; empty texts where there is none."""
    return [
        _plateau(grounds),
        _neighbours(grounds),
        _other_engine(grounds),
        _versus_keep(grounds),
        _migration(grounds.migration),
    ]


def _plateau(grounds: Grounds) -> str:
    best, query = grounds.best, grounds.query
    first = max(grounds.ranked, key=lambda c: score(c, query.objective))
    gain = score(first, query.objective) / score(best, query.objective) - 1
    if first is best or not 0 < gain <= query.tolerance * 1.5:
        return ""
    engine = "" if first.engine == best.engine else f"{first.engine} on "
    return (
        f"The very best, {engine}{place(first)}, gains only {gain:.1%}: within "
        f"{query.tolerance:.0%} fewer GPUs and then the smaller batch win, for about as much at a "
        "lower latency."
    )


def _neighbours(grounds: Grounds) -> str:
    best = grounds.best
    by_cell = {place_of(c): c for c in grounds.ranked}
    fewer = by_cell.get((best.engine, best.n_gpus // 2, best.batch_size))
    if fewer is None:
        return ""
    share = fewer.output_throughput / best.output_throughput
    return f"Half the GPUs at the same batch size give {share:.0%} of it."


def _other_engine(grounds: Grounds) -> str:
    query, best = grounds.query, grounds.best
    texts = []
    for engine in query.engines:
        if engine == best.engine:
            continue
        rivals = [c for c in grounds.ranked if c.engine == engine]
        if not rivals:
            texts.append(f"Nothing with {engine} fits and meets what is asked.")
            continue
        rival = max(rivals, key=lambda c: score(c, query.objective))
        ratio = score(best, query.objective) / score(rival, query.objective)
        texts.append(
            f"{engine} at its best, {place(rival)}, gives {describe(rival, query.objective)}: "
            f"{best.engine} is {ratio:.1f} times as good."
        )
    return " ".join(texts)


def _versus_keep(grounds: Grounds) -> str:
    best, keep, objective = grounds.best, grounds.keep, grounds.query.objective
    if keep is None:
        return ""
    if not keep.is_feasible:
        fails = "meet the limits" if keep.can_run else "fit"
        return f"The configuration kept from the source, {place(keep)}, would not {fails} here."
    if place_of(best) == place_of(keep):
        return f"It is the very configuration of the source GPU.{_foregone(grounds)}"
    gain = score(best, objective) / score(keep, objective) - 1
    return (
        f"Keeping the source's {place(keep)} would give "
        f"{describe(keep, objective)}, {gain:+.1%} to gain by changing."
    )


def _foregone(grounds: Grounds) -> str:
    """Return what the best other configuration would bring, where it is expected to bring more."""
    objective = grounds.query.objective
    others = [c for c in grounds.ranked if c is not grounds.best]
    other = max(others, key=lambda c: score(c, objective), default=grounds.best)
    gain = score(other, objective) / score(grounds.best, objective) - 1
    if gain <= 0:
        return ""
    return (
        f" {place(other)[0].upper()}{place(other)[1:]} is expected to bring {gain:+.1%}: a change "
        f"should promise {KEPT_MARGIN:.0%}."
    )


def _migration(migration: Migration | None) -> str:
    if migration is None:
        return ""
    place = f"from {migration.source_gpu} to {migration.target_gpu}"
    verdict = {
        "move": f"Moving {place} pays",
        "stay": f"Moving {place} does not pay, stay",
        "unknown": f"Whether moving {place} pays is open",
    }[migration.verdict]
    return f"{verdict}: {migration.reason}."


def place(candidate: Candidate) -> str:
    """Return GPUs and batch size in words."""
    gpus = "GPU" if candidate.n_gpus == 1 else "GPUs"
    return f"{candidate.n_gpus} {gpus} at batch size {candidate.batch_size}"
