"""``autotune recommend``: gather what is known, recommend, write the answer down."""

from typing import Any

from autotune.local_models import is_model_directory
from autotune.spec import Workload
from recommender import ledger
from recommender.context import open_context
from recommender.query import Query
from recommender.recommend import Recommendation, recommend


def advise(
    model: str, tracking_uri: str, *, workload: Workload, log: bool = False, **options: Any
) -> Recommendation:
    """Recommend and journal the recommendation; MLflow is opened only for ``log``.

    Args:
        options: Further fields of ``Query``.

    Raises:
        UsageError: For an unknown model, GPU or engine.
        NothingFitsError: When no configuration fits the target.
    """
    context = open_context(model, tracking_uri)
    query = Query(
        model=context.model,
        model_path=model if is_model_directory(model) else None,
        workload=workload,
        **options,
    )
    made = recommend(query, context.predictor, context.known)
    ledger.save(made, context.directory)
    if log:
        from autotune.tracking import Store

        ledger.log_pending(Store(tracking_uri))
    return made
