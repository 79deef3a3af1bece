"""``autotune recommend``: gather what is known, recommend, write the answer down."""

import dataclasses
from collections.abc import Sequence

from autotune.catalog.gpus import find_gpu
from autotune.catalog.models import is_model_directory
from autotune.errors import LimitsNotMetError, NothingFitsError
from autotune.schema.served_load import ServedLoad, describe_load
from autotune.schema.workload import Workload
from recommender.commands.context import Context, open_context
from recommender.recommendation.comparison import Comparison, Refusal
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
    made = _answer(_as_named(query, context, served), context, served)
    _keep([made], context, tracking_uri, log=log)
    return made


def compare(
    query: Query,
    targets: Sequence[str],
    tracking_uri: str,
    *,
    log: bool = False,
    served: ServedLoad | None = None,
) -> Comparison:
    """Recommend for several targets, as ``advise`` does for the query's.

    A target on which nothing runs, or nothing within the limits, is a refusal beside the others.

    Args:
        targets: Names of GPUs; what two of them both mean is asked once.

    Raises:
        UsageError: As ``advise``, for any of them; nothing is written then.
        NothingFitsError, LimitsNotMetError: When there is an answer for none; names each.
    """
    asked: dict[str, str] = {}
    for target in targets:
        asked.setdefault(find_gpu(target).name, target)
    context = open_context(query.model, tracking_uri, query.like)
    query = _as_named(query, context, served)
    answers, refusals, last = [], [], None
    for name, target in asked.items():
        try:
            answers.append(_answer(dataclasses.replace(query, target_gpu=target), context, served))
        except (NothingFitsError, LimitsNotMetError) as error:
            refusals.append(Refusal(target_gpu=name, reason=str(error)))
            last = error
    if last is not None and not answers:
        raise type(last)("; ".join(refusal.reason for refusal in refusals))
    _keep(answers, context, tracking_uri, log=log)
    return Comparison(query=query, answers=tuple(answers), refusals=tuple(refusals))


def _as_named(query: Query, context: Context, served: ServedLoad | None) -> Query:
    """Return the query with its model under the name that records carry."""
    is_local = is_model_directory(query.model)
    is_other = context.published != context.model
    return dataclasses.replace(
        query,
        model=context.model,
        model_path=context.published if is_local else None,
        published=context.published if is_other and not is_local else None,
        workload=query.workload if served is None else _as_long(query.workload, served),
    )


def _answer(query: Query, context: Context, served: ServedLoad | None) -> Recommendation:
    known = context.evidence(find_gpu(query.target_gpu).name, query.engines)
    made = recommend(query, context.predictor, known)
    of_load = () if served is None else describe_load(served)
    remarks = (*made.remarks, *context.remarks, *of_load)
    return dataclasses.replace(made, remarks=remarks, served_load=served)


def _keep(
    answers: Sequence[Recommendation], context: Context, tracking_uri: str, *, log: bool
) -> None:
    for made in answers:
        ledger.save(made, context.directory)
    if log:
        from autotune.store.tracking.store import Store

        log_pending(Store(tracking_uri))


def _as_long(asked: Workload, served: ServedLoad) -> Workload:
    """Return the workload with the lengths of what is served; the rest is as it was asked."""
    seen = served.workload()
    return dataclasses.replace(asked, input_len=seen.input_len, output_len=seen.output_len)
