"""Why: one paragraph for a person."""

from collections.abc import Sequence

from autotune.gpus import GpuSpec
from autotune.models import ModelProfile
from recommender.candidates import Candidate
from recommender.query import Query

_BOTTLENECK = {
    "weights": "reading the weights once a step limits it, so larger batches still pay",
    "kv_reads": "reading the KV cache limits it: larger batches add latency more than throughput",
    "prefill": "computing the prompts limits it, so more batching gains little",
    "communication": "moving activations between the GPUs limits it",
    "overhead": "launching each step limits it, not the GPU itself",
}


def explain(
    query: Query,
    profile: ModelProfile,
    gpu: GpuSpec,
    ranked: Sequence[Candidate],
    feasible: Sequence[Candidate],
    keep: Candidate | None,
    *,
    n_known: int,
    n_all: int,
) -> str:
    """Return the reasons for the first of ``ranked``, with its neighbours and its evidence."""
    best = ranked[0]
    parts = [
        _what(query, profile, gpu, best),
        _why(best),
        _plateau(best, ranked, query.tolerance),
        _neighbours(best, feasible),
        _excluded(len(feasible), n_all),
        _versus_keep(best, keep),
        _evidence(best, n_known, profile),
    ]
    return " ".join(part for part in parts if part)


def _what(query: Query, profile: ModelProfile, gpu: GpuSpec, best: Candidate) -> str:
    verb = "was measured to generate" if best.status == "measured" else "should generate"
    work = query.workload
    return (
        f"{profile.name} on {best.n_gpus} x {gpu.name} with {best.engine} at batch size "
        f"{best.batch_size} {verb} {best.output_throughput:,.0f} tok/s for requests of "
        f"{work.input_len} prompt and {work.output_len} generated tokens "
        f"(90 % interval {best.low:,.0f} to {best.high:,.0f})."
    )


def _why(best: Candidate) -> str:
    return f"At this size {_BOTTLENECK[best.bottleneck]}."


def _plateau(best: Candidate, ranked: Sequence[Candidate], tolerance: float) -> str:
    fastest = max(ranked, key=lambda c: c.output_throughput)
    if fastest is best or fastest.output_throughput <= best.output_throughput:
        return ""
    gain = fastest.output_throughput / best.output_throughput - 1
    if gain > tolerance * 1.5:
        return ""
    return (
        f"The very fastest, {fastest.n_gpus} GPUs at batch size {fastest.batch_size}, gains only "
        f"{gain:.1%}: within {tolerance:.0%} fewer GPUs and then the smaller batch win, "
        "for the same throughput at a lower latency."
    )


def _neighbours(best: Candidate, feasible: Sequence[Candidate]) -> str:
    by_cell = {(c.engine, c.n_gpus, c.batch_size): c for c in feasible}
    fewer = by_cell.get((best.engine, best.n_gpus // 2, best.batch_size))
    if fewer is None:
        return ""
    share = fewer.output_throughput / best.output_throughput
    return f"Half the GPUs at the same batch size give {share:.0%} of it."


def _excluded(n_feasible: int, n_all: int) -> str:
    excluded = n_all - n_feasible
    return f"{excluded} of {n_all} configurations were left out: they would not fit." * bool(
        excluded
    )


def _versus_keep(best: Candidate, keep: Candidate | None) -> str:
    if keep is None:
        return ""
    if not keep.is_feasible:
        return (
            f"The configuration kept from the source ({keep.n_gpus} GPUs, batch size "
            f"{keep.batch_size}) would not fit here."
        )
    gain = best.output_throughput / keep.output_throughput - 1
    if (best.engine, best.n_gpus, best.batch_size) == (keep.engine, keep.n_gpus, keep.batch_size):
        return "It is the configuration of the source GPU: keep it."
    return (
        f"Keeping the source's {keep.n_gpus} GPUs and batch size {keep.batch_size} would give "
        f"{keep.output_throughput:,.0f} tok/s, {gain:+.1%} to gain by changing."
    )


def _evidence(best: Candidate, n_known: int, profile: ModelProfile) -> str:
    if best.status == "measured":
        return f"It rests on {n_known} own runs of {profile.name}, this configuration among them."
    if n_known:
        return f"It rests on {n_known} own runs of {profile.name}; confidence {best.confidence}."
    return (
        "No own run of this model is known, so the interval is wide; three confirmatory runs on "
        f"the target narrow it (`autotune confirm`). Confidence {best.confidence}."
    )
