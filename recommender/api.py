"""The recommender from Python: the same questions and answers as on the command line."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autotune.schema.record import RunRecord
from autotune.schema.workload import MeasurePolicy, Slo, Workload
from autotune.store.location import default_uri
from autotune.views.pages.document import notebook_html
from recommender.commands.recommend import advise
from recommender.confirmation.result import Confirmation
from recommender.recommendation.objectives import gather_prices
from recommender.recommendation.query import Query
from recommender.recommendation.recommendation import Recommendation


def recommend(
    model: str,
    target_gpu: str,
    *,
    like: str | None = None,
    source_gpu: str | None = None,
    engine: str = "vllm",
    max_gpus: int = 8,
    max_batch_size: int = 1024,
    max_replicas: int | None = None,
    input_len: int = 512,
    output_len: int = 128,
    from_metrics: Sequence[Path | str] | Path | str = (),
    scrape_seconds: float | None = None,
    dtype: str = "auto",
    quantization: str | None = None,
    kv_cache_dtype: str = "auto",
    objective: str = "throughput",
    max_ttft_ms: float | None = None,
    max_tpot_ms: float | None = None,
    prices: Mapping[str, float] | None = None,
    price_file: Path | None = None,
    tolerance: float = 0.02,
    top: int = 5,
    log: bool = False,
    tracking_uri: str | None = None,
) -> Recommendation:
    """Recommend the batch size and GPU count for a model on a GPU, as ``autotune recommend`` does.

    Args:
        model: A model's name, or a directory with a config.json.
        like: Model whose architecture it has, where only its name is known.
        max_replicas: Most replicas; ``None`` for as many as ``max_gpus`` hold.
        from_metrics: Two scrapes of a vLLM server's /metrics, or its address alone: what it serves
            has the lengths then, and they replace ``input_len`` and ``output_len``.
        scrape_seconds: Time between the two; ``None`` as on the command line.
        prices: GPU -> dollars an hour of one of them; they win over ``price_file``'s.
        log: Log to MLflow at once.

    Raises:
        UsageError: For an unknown model, GPU, engine or objective.
        NothingFitsError: When no configuration fits the target.
        LimitsNotMetError: When none that fits is expected to meet the limits.
    """
    query = Query(
        model=model,
        like=like,
        target_gpu=target_gpu,
        source_gpu=source_gpu,
        engine=engine,
        max_gpus=max_gpus,
        max_batch_size=max_batch_size,
        max_replicas=max_replicas,
        workload=Workload(input_len=input_len, output_len=output_len),
        dtype=dtype,
        quantization=quantization,
        kv_cache_dtype=kv_cache_dtype,
        objective=objective,
        slo=Slo(max_ttft_ms=max_ttft_ms, max_tpot_ms=max_tpot_ms),
        prices=gather_prices(
            [f"{gpu}={price}" for gpu, price in (prices or {}).items()], price_file
        ),
        tolerance=tolerance,
        top=top,
    )
    served = None
    if from_metrics:
        from autotune.importers.scrapes.take import read_load

        places = [from_metrics] if isinstance(from_metrics, Path | str) else from_metrics
        served = read_load([str(place) for place in places], scrape_seconds)
    return advise(query, tracking_uri or default_uri(), log=log, served=served)


def confirm(
    recommendation: Recommendation | str,
    *,
    runs: int = 3,
    stop_regret: float = 0.0,
    replay: Path | str | Sequence[RunRecord] | None = None,
    time_budget: float = 60.0,
    knobs: Mapping[str, Mapping[str, Any]] | None = None,
    tracking_uri: str | None = None,
) -> Confirmation:
    """Prove a recommendation with a few runs on this host, or by runs recorded elsewhere.

    Args:
        recommendation: What ``recommend`` returned, or its id or file.
        runs: Most runs to spend.
        stop_regret: Stop before, once nothing left is better by more than this share.
        replay: Recorded runs, or a file of them, to take as the measuring device.
        time_budget: Seconds of repeats a configuration.
        knobs: Engine -> further engine arguments.

    Raises:
        InvalidConfigError: When there is no such recommendation, or it is not for this host.
    """
    from autotune.importers.run import read_file
    from recommender.commands.confirm import confirm_by_records, confirm_here

    reference = (
        recommendation if isinstance(recommendation, str) else recommendation.recommendation_id
    )
    uri = tracking_uri or default_uri()
    if replay is None:
        return confirm_here(
            reference,
            uri,
            runs=runs,
            stop_regret=stop_regret,
            policy=MeasurePolicy(time_budget_s=time_budget),
            knobs=knobs,
        )
    records = read_file(Path(replay)).records if isinstance(replay, Path | str) else replay
    return confirm_by_records(reference, records, uri, runs=runs, stop_regret=stop_regret)


@notebook_html.register
def _(made: Recommendation) -> str:
    from recommender.reports.document import recommendation_html

    return recommendation_html(made)


@notebook_html.register
def _(proof: Confirmation) -> str:
    from recommender.reports.document import confirmation_html

    return confirmation_html(proof)
