"""Why there is no recommendation: the error that says what is missing and what to do."""

from collections.abc import Sequence

from autotune.catalog.architecture.profile import ModelProfile
from autotune.catalog.compatibility import DTYPE_BYTES, canonical_dtype
from autotune.catalog.gpus import GpuSpec
from autotune.errors import InvalidConfigError, LimitsNotMetError, NothingFitsError
from autotune.schema.workload import describe_limits
from recommender.decision.acquisition import by_chance_to_run
from recommender.features.table import plan_of
from recommender.recommendation.candidates import Candidate, configuration_of, powers_of_two
from recommender.recommendation.objectives import excess, misses
from recommender.recommendation.query import Query


def check_price(query: Query, gpu: GpuSpec) -> None:
    """Refuse to minimise cost without the target's price.

    Raises:
        InvalidConfigError: Saying what to pass.
    """
    if query.objective == "cost" and gpu.name not in query.prices:
        given = f" (prices were given for {', '.join(query.prices)})" if query.prices else ""
        raise InvalidConfigError(
            f"objective=cost needs the price of {gpu.name}{given}: give "
            f"--price {query.target_gpu}=DOLLARS_AN_HOUR_OF_ONE_GPU or --price-file FILE"
        )


def check_choice_left(
    query: Query, profile: ModelProfile, gpu: GpuSpec, landscape: Sequence[Candidate]
) -> list[Candidate]:
    """Return what may be recommended.

    Raises:
        NothingFitsError: When nothing runs; says how much memory is missing.
        LimitsNotMetError: When nothing meets the limits; names the nearest.
        InvalidConfigError: When energy is asked for where no power is known.
    """
    runnable = [candidate for candidate in landscape if candidate.can_run]
    if not runnable:
        raise NothingFitsError(_why_nothing_fits(query, profile, gpu, landscape))
    feasible = [candidate for candidate in runnable if candidate.is_feasible]
    if not feasible:
        raise LimitsNotMetError(_why_none_meets(query, profile, gpu, runnable))
    if query.objective == "energy" and any(c.energy_j_per_token is None for c in feasible):
        raise InvalidConfigError(
            f"objective=energy: the catalogue has no power (TDP) of {gpu.name}; "
            "choose a GPU (`autotune gpus`) or another objective"
        )
    return feasible


def _why_nothing_fits(
    query: Query, profile: ModelProfile, gpu: GpuSpec, landscape: Sequence[Candidate]
) -> str:
    n_gpus = powers_of_two(min(query.max_gpus, gpu.max_gpus))[-1]
    smallest = configuration_of(query, gpu.name, query.engines[0], n_gpus, batch_size=1)
    plan = plan_of(smallest)
    if plan.fits:
        return _why_nothing_runs(profile, gpu, landscape)
    return (
        f"{profile.name} does not fit on {n_gpus} x {gpu.name}: one sequence needs "
        f"{plan.total_gb:.0f} GB a GPU ({plan.weights_gb:.0f} GB of them weights), "
        f"{plan.available_gb:.0f} GB are usable; allow more GPUs (--max-gpus), "
        f"{_quantise_further(query, profile)}or name a larger GPU"
    )


def _quantise_further(query: Query, profile: ModelProfile) -> str:
    """Return the next smaller format of the weights as advice; nothing where there is none."""
    dtype = profile.dtype if query.dtype == "auto" else query.dtype
    size = DTYPE_BYTES[canonical_dtype(query.quantization or dtype)]
    if size > DTYPE_BYTES["fp8"]:
        return "quantise (--quantization fp8), "
    return "take a 4-bit checkpoint (--quantization awq), " if size > DTYPE_BYTES["awq"] else ""


def _why_nothing_runs(profile: ModelProfile, gpu: GpuSpec, landscape: Sequence[Candidate]) -> str:
    first = max(landscape, key=by_chance_to_run)
    return (
        f"{profile.name} should fit on {gpu.name} by arithmetic, but runs like it failed. The "
        f"likeliest to run is {first.engine} on {first.n_gpus} x {gpu.name} at batch size "
        f"{first.batch_size} (chance {first.p_feasible:.0%}); see whether it does: autotune run "
        f"--model {profile.name} --engine {first.engine} --n-gpus {first.n_gpus} --batch-sizes "
        f"{first.batch_size}"
    )


def _why_none_meets(
    query: Query, profile: ModelProfile, gpu: GpuSpec, runnable: Sequence[Candidate]
) -> str:
    nearest = min(runnable, key=lambda c: (excess(c, query.slo), c.n_gpus, c.batch_size))
    missed = ", ".join(
        f"{name} {value:,.1f} ms ({value / limit - 1:.0%} over {limit:g} ms)"
        for name, value, limit in misses(nearest, query.slo)
    )
    return (
        f"none of the {len(runnable)} configurations of {profile.name} that fit on up to "
        f"{query.max_gpus} x {gpu.name} is expected to meet {describe_limits(query.slo)}: the "
        f"nearest, {nearest.engine} on {nearest.n_gpus} GPUs at batch size {nearest.batch_size}, "
        f"has {missed}; allow more time or more GPUs, shorten the prompts, or name a faster GPU"
    )
