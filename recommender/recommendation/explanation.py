"""Why: one paragraph for a person."""

from collections.abc import Sequence
from dataclasses import dataclass

from autotune.engines.knobs import engine_version
from autotune.schema.record import RunRecord
from autotune.schema.workload import describe_limits
from recommender.decision.acquisition import INCUMBENT_MARGIN
from recommender.recommendation.candidates import Candidate, place_in_words, place_of
from recommender.recommendation.migration import Migration
from recommender.recommendation.query import Query
from recommender.recommendation.ranking import deploy, describe, score
from recommender.surrogate.artifact import SurrogateMeta
from recommender.surrogate.neighbours import learned_from


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
    incumbent: Candidate | None
    migration: Migration | None
    known: Sequence[RunRecord]
    related: Sequence[RunRecord]
    evidence: SurrogateMeta
    helpful: Sequence[Candidate]

    @property
    def best(self) -> Candidate:
        """What is recommended."""
        return self.ranked[0]


_BOTTLENECK = {
    "weights": "reading the weights once a step limits it, so larger batches still pay",
    "kv_reads": "reading the KV cache limits it: larger batches add latency more than throughput",
    "prefill": "computing the prompts limits it, so more batching gains little",
    "communication": "moving activations between the GPUs limits it",
    "overhead": "launching each step limits it, not the GPU itself",
}


def explain(grounds: Grounds) -> str:
    """Return the reasons for the best, with its neighbours, its rivals and its evidence."""
    parts = (
        _what(grounds),
        _objective(grounds),
        f"At this size {_BOTTLENECK[grounds.best.bottleneck]}.",
        _excluded(grounds),
        *comparisons(grounds),
        _evidence(grounds),
        version_drift(grounds.known, grounds.best.engine) or "",
        _what_would_help(grounds),
    )
    return " ".join(part for part in parts if part)


def _what(grounds: Grounds) -> str:
    best, work = grounds.best, grounds.query.workload
    verb = "was measured to generate" if best.status == "measured" else "should generate"
    return (
        f"{grounds.query.model} on {place_in_words(best, grounds.gpu)} {verb} "
        f"{best.output_throughput:,.0f} tok/s for requests of {work.input_len} prompt and "
        f"{work.output_len} generated tokens "
        f"(90 % interval {best.low:,.0f} to {best.high:,.0f})."
    )


def _objective(grounds: Grounds) -> str:
    query, best = grounds.query, grounds.best
    parts = []
    if query.objective != "throughput":
        parts.append(f"That is {describe(best, query.objective)}.")
    plan = deploy(best, query)
    if plan.replicas > 1:
        parts.append(
            f"{plan.text} take {plan.replicas * plan.n_gpus} of up to {query.max_gpus} GPUs and "
            f"give {plan.output_throughput:,.0f} tok/s together."
        )
    if query.slo.is_set:
        parts.append(
            f"It meets {describe_limits(query.slo)} with a chance of {best.p_within_limits:.0%}."
        )
    return " ".join(parts)


def _excluded(grounds: Grounds) -> str:
    n_all = len(grounds.landscape)
    unfit = sum(not c.can_run for c in grounds.landscape)
    late = n_all - unfit - len(grounds.ranked)
    texts = []
    if unfit:
        texts.append(f"{unfit} of {n_all} configurations were left out: they would not fit.")
    if late:
        limits = describe_limits(grounds.query.slo)
        texts.append(f"{late} of {n_all} configurations are expected to miss {limits}.")
    return " ".join(texts)


def _evidence(grounds: Grounds) -> str:
    best, model = grounds.best, grounds.query.model
    runs = [r for r in grounds.known if r.is_measured and not r.suspect]
    others = [r for r in grounds.related if r.engine == best.engine and r.is_measured]
    there = sum(r.gpu == grounds.gpu for r in others)
    if runs:
        here = sum(r.gpu == grounds.gpu for r in runs)
        own = f"It rests on {len(runs)} known runs of {model}, {here} of them on {grounds.gpu}"
        more = f", and {len(others)} of other models, {there} of them there" if others else ""
        last = "; this configuration is among them" if best.status == "measured" else ""
        return f"{own}{more}{last}; confidence {best.confidence}."
    mode = grounds.query.workload.mode
    seen = learned_from(grounds.evidence, best.engine, mode, grounds.gpu, model)
    more = f"; {len(others)} known runs of others, {there} of them on {grounds.gpu}, correct it"
    return (
        f"No run of this model is known, so the interval is wide: with {best.engine} in this "
        f"mode the surrogate learned from {seen.n_models} models ({_among(seen.has_model)}) on "
        f"{seen.n_gpus} GPUs ({_among(seen.has_gpu)}){more * bool(others)}. Three confirmatory "
        f"runs on the target narrow it (`autotune confirm`). Confidence {best.confidence}."
    )


def _among(is_there: bool) -> str:
    return f"this one {'' if is_there else 'not '}among them"


def _what_would_help(grounds: Grounds) -> str:
    if not grounds.helpful:
        return ""
    runs = " and ".join(f"{c.engine} on {place(c)}" for c in grounds.helpful)
    return f"The runs that would help the decision most: {runs}."


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
    best, incumbent, objective = grounds.best, grounds.incumbent, grounds.query.objective
    if incumbent is None:
        return ""
    if not incumbent.is_feasible:
        fails = "meet the limits" if incumbent.can_run else "fit"
        return (
            f"The configuration kept from the source, {place(incumbent)}, would not {fails} here."
        )
    if place_of(best) == place_of(incumbent):
        return f"It is the very configuration of the source GPU.{_foregone(grounds)}"
    gain = score(best, objective) / score(incumbent, objective) - 1
    return (
        f"Keeping the source's {place(incumbent)} would give "
        f"{describe(incumbent, objective)}, {gain:+.1%} to gain by changing."
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
        f"should promise {INCUMBENT_MARGIN:.0%}."
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


def version_drift(known: Sequence[RunRecord], engine: str) -> str | None:
    """Return a warning when own runs were measured with another version than counts now.

    What counts is the version installed here; where the engine is not installed, the version of
    the last run.
    """
    runs = [r for r in known if r.engine == engine and r.is_measured and r.engine_version]
    if not runs:
        return None
    installed = engine_version(engine)
    last = max(runs, key=lambda run: run.started_at or "")
    now = installed or last.engine_version
    other = sorted({r.engine_version or "" for r in runs} - {now or ""})
    if not other:
        return None
    count = sum(r.engine_version != now for r in runs)
    which = "is installed here" if installed else "is that of the last run"
    return (
        f"{count} of {len(runs)} known {engine} runs were measured with {', '.join(other)}, "
        f"{now} {which}: speeds may have changed, so measure one of them again."
    )
