"""``autotune recommend``: gather what is known, recommend, write the answer down."""

import dataclasses

from autotune.catalog.gpus import find_gpu
from autotune.catalog.models import is_model_directory
from autotune.schema.served_load import ServedLoad, describe_load
from autotune.schema.workload import Workload
from recommender.commands.context import open_context
from recommender.recommendation.query import Query
from recommender.recommendation.recommend import recommend
from recommender.recommendation.recommendation import Recommendation
from recommender.reports import ledger
from recommender.reports.tracking import log_pending


def advise(
    query: Query, tracking_uri: str, *, log: bool = False, served: ServedLoad | None = None
) -> Recommendation:
    """Recommend and journal the recommendation; MLflow is opened only for ``log``.

    Args:
        query: Its model may be a name or an alias of the catalogue, a directory with a config.json,
            a name that records of the store carry, or whatever ``naming`` finds.
        served: What is served now; its lengths are the query's then.

    Raises:
        UsageError: For an unknown model or GPU, and an objective that lacks what it needs.
        NothingFitsError: When no configuration fits the target.
        LimitsNotMetError: When none that fits is expected to meet the limits.
    """
    context = open_context(query.model, tracking_uri, query.like)
    is_local = is_model_directory(query.model)
    is_other = context.published != context.model
    query = dataclasses.replace(
        query,
        model=context.model,
        model_path=context.published if is_local else None,
        published=context.published if is_other and not is_local else None,
        workload=query.workload if served is None else _as_long(query.workload, served),
    )
    known = context.evidence(find_gpu(query.target_gpu).name, query.engines)
    made = recommend(query, context.predictor, known)
    of_load = () if served is None else describe_load(served)
    remarks = (*made.remarks, *context.remarks, *of_load)
    made = dataclasses.replace(made, remarks=remarks, served_load=served)
    ledger.save(made, context.directory)
    if log:
        from autotune.store.tracking.store import Store

        log_pending(Store(tracking_uri))
    return made


def _as_long(asked: Workload, served: ServedLoad) -> Workload:
    """Return the workload with the lengths of what is served; the rest is as it was asked."""
    seen = served.workload()
    return dataclasses.replace(asked, input_len=seen.input_len, output_len=seen.output_len)
