"""Why: one paragraph for a person."""

from autotune.schema.limits import describe_limits
from recommender.grounds import Grounds
from recommender.recommendation.candidates import place_in_words
from recommender.recommendation.deployment import deploy
from recommender.recommendation.drift import version_drift
from recommender.recommendation.ranking import describe
from recommender.recommendation.rivals import comparisons, place
from recommender.surrogate.neighbours import learned_from

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
    others = [r for r in grounds.beside if r.engine == best.engine and r.is_measured]
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
