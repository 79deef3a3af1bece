"""The answer in a line, and why: a few sentences for a person."""

from collections.abc import Sequence
from dataclasses import dataclass

from autotune.schema.record import RunRecord
from autotune.schema.workload import describe_limits
from autotune.views.wording import speed
from recommender.decision.acquisition import INCUMBENT_MARGIN
from recommender.recommendation.candidates import Candidate, place_of
from recommender.recommendation.migration import Migration
from recommender.recommendation.plans import count_gpus, plan_in_words
from recommender.recommendation.query import Query
from recommender.recommendation.ranking import describe, score
from recommender.recommendation.versions import version_drift
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
    "weights": "Reading the weights once a step limits it, so larger batches still pay",
    "kv_reads": "Reading the KV cache limits it: larger batches add latency more than throughput",
    "prefill": "Computing the prompts limits it, so more batching gains little",
    "communication": "Moving activations between the GPUs limits it",
    "overhead": "Launching each step limits it, not the GPU itself",
}


def headline(best: Candidate, query: Query) -> str:
    """Return the answer in a line of words: the plan, its throughput, how sure that is."""
    a_replica = " a replica" if best.replicas > 1 else ""
    place = f"{count_gpus(best.n_gpus)}{a_replica}, batch size {best.batch_size}, {best.engine}"
    rate = f"{speed(best.output_throughput)} tok/s"
    if best.replicas > 1:
        rate += (
            f" each; {best.replicas} replicas on {count_gpus(best.total_gpus)}: "
            f"{speed(best.total_output_throughput)} tok/s"
        )
    if query.objective not in ("throughput", "replica"):
        rate += f", {describe(best, query.objective)}"
    sure = "measured" if best.status == "measured" else f"confidence {best.confidence}"
    interval = f"{speed(best.total_low)} to {speed(best.total_high)}"
    return f"{place}: {rate} (90 % interval {interval}, {sure})"


def reasons(grounds: Grounds) -> list[str]:
    """Return why: of the plan, the limits, the rivals, the evidence, and what is open."""
    parts = (
        (_split(grounds), _plateau(grounds), f"{_BOTTLENECK[grounds.best.bottleneck]}."),
        (_limits(grounds), _idle(grounds)),
        (_other_engine(grounds), _versus_keep(grounds), _migration(grounds.migration)),
        (_evidence(grounds),),
        (version_drift(grounds.known, grounds.best.engine) or "", _what_would_help(grounds)),
    )
    return [text for texts in parts if (text := " ".join(filter(None, texts)))]


def _split(grounds: Grounds) -> str:
    """Return what the same GPUs give when the model lies on more or fewer of them."""
    best, objective = grounds.best, grounds.query.objective
    others = [c for c in grounds.ranked if c.engine == best.engine and c.n_gpus != best.n_gpus]
    if not others:
        return ""
    other = max(others, key=lambda c: score(c, objective))
    share = score(other, objective) / score(best, objective)
    if share > 1:
        return ""
    how = "Splitting the model further" if other.n_gpus > best.n_gpus else "A smaller replica"
    return f"{how} gives less: {share:.0%} of it with {plan_in_words(other)}."


def _limits(grounds: Grounds) -> str:
    best, n_all = grounds.best, len(grounds.landscape)
    unfit = sum(not c.can_run for c in grounds.landscape)
    late = n_all - unfit - len(grounds.ranked)
    texts = []
    if grounds.query.slo.is_set:
        limits = describe_limits(grounds.query.slo)
        texts.append(f"It meets {limits} with a chance of {best.p_within_limits:.0%}.")
        if late:
            texts.append(f"{late} of {n_all} configurations are expected to miss {limits}.")
    if unfit:
        texts.append(f"{unfit} of {n_all} configurations would not fit.")
    return " ".join(texts)


def _idle(grounds: Grounds) -> str:
    best, query = grounds.best, grounds.query
    idle = query.max_gpus - best.total_gpus
    if query.most_replicas == 1 or idle <= 0:
        return ""
    return f"{count_gpus(idle)} of {query.max_gpus} {'stays' if idle == 1 else 'stay'} idle."


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
        return f"{own}{more}{last}."
    seen = learned_from(
        grounds.evidence, best.engine, grounds.query.workload.mode, grounds.gpu, model
    )
    more = f"; {len(others)} known runs of others, {there} of them on {grounds.gpu}, correct it"
    return (
        f"No run of this model is known: the surrogate learned from {seen.n_models} models "
        f"({_among(seen.has_model)}) on {seen.n_gpus} GPUs ({_among(seen.has_gpu)})"
        f"{more * bool(others)}. Three confirmatory runs narrow the interval."
    )


def _among(is_there: bool) -> str:
    return f"this one {'' if is_there else 'not '}among them"


def _what_would_help(grounds: Grounds) -> str:
    if not grounds.helpful:
        return ""
    runs = " and ".join(f"{c.engine} on {place(c)}" for c in grounds.helpful)
    return f"The runs that would help the decision most: {runs}."


def _plateau(grounds: Grounds) -> str:
    best, query = grounds.best, grounds.query
    first = max(grounds.ranked, key=lambda c: score(c, query.objective))
    gain = score(first, query.objective) / score(best, query.objective) - 1
    if first is best or not 0 < gain <= query.tolerance * 1.5:
        return ""
    engine = "" if first.engine == best.engine else f"{first.engine} on "
    return (
        f"The very best, {engine}{place(first)}, gains only {gain:.1%}: within "
        f"{query.tolerance:.0%} fewer GPUs a replica and then the smaller batch win."
    )


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
    plan = f" in {incumbent.replicas} replicas" if incumbent.replicas > 1 else ""
    return (
        f"Keeping the source's {place(incumbent)}{plan} would give "
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
    return f"{count_gpus(candidate.n_gpus)} at batch size {candidate.batch_size}"
