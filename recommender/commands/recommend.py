"""``autotune recommend``: gather what is known, recommend, write the answer down."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autotune.catalog.gpus import find_gpu
from autotune.catalog.models import is_model_directory
from autotune.schema.workload import Slo, Workload
from recommender.commands.context import open_context
from recommender.recommendation.objectives import gather_prices
from recommender.recommendation.query import Query
from recommender.recommendation.recommend import recommend
from recommender.recommendation.recommendation import Recommendation
from recommender.reports import ledger
from recommender.reports.tracking import log_pending


def advise(
    model: str,
    tracking_uri: str,
    *,
    workload: Workload,
    max_ttft_ms: float | None = None,
    max_tpot_ms: float | None = None,
    price: Sequence[str] = (),
    price_file: Path | None = None,
    log: bool = False,
    **options: Any,
) -> Recommendation:
    """Recommend and journal the recommendation; MLflow is opened only for ``log``.

    Args:
        price: ``H100=2.9`` each, dollars an hour of one GPU; wins over the file.
        price_file: YAML or JSON, a mapping of the same.
        options: Further fields of ``Query``.

    Raises:
        UsageError: For an unknown model, GPU or engine, a price that is none, and an objective
            that lacks what it needs.
        NothingFitsError: When no configuration fits the target.
        LimitsNotMetError: When none that fits is expected to meet the limits.
    """
    prices = gather_prices(price, price_file)
    context = open_context(model, tracking_uri)
    query = Query(
        model=context.model,
        model_path=model if is_model_directory(model) else None,
        workload=workload,
        slo=Slo(max_ttft_ms=max_ttft_ms, max_tpot_ms=max_tpot_ms),
        prices=prices,
        **options,
    )
    known = context.evidence(find_gpu(query.target_gpu).name, query.engines)
    made = recommend(query, context.predictor, known)
    made = dataclasses.replace(made, remarks=(*made.remarks, *context.remarks))
    ledger.save(made, context.directory)
    if log:
        from autotune.store.tracking.store import Store

        log_pending(Store(tracking_uri))
    return made
