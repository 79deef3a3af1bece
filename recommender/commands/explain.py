"""``autotune explain``: what a recommendation rests on, candidate by candidate."""

from collections.abc import Sequence

from autotune.schema.configuration import Configuration
from autotune.store.location import store_directory
from recommender.commands.context import open_context
from recommender.recommendation.candidates import Candidate, configuration_of
from recommender.recommendation.recommend import helpful_runs
from recommender.recommendation.recommendation import Recommendation
from recommender.recommendation.versions import version_drift
from recommender.reports import ledger
from recommender.reports.attribution import Explanation, account_for
from recommender.surrogate.in_force import surrogate_directory
from recommender.surrogate.neighbours import learned_from


def explain_recommendation(
    reference: str, tracking_uri: str, *, top: int | None = None
) -> Explanation:
    """Explain a saved recommendation with what is known of the model now.

    Args:
        reference: Its id, its file, or a saved ``recommend --json`` output.
        top: How many of its candidates; all when ``None``.

    Raises:
        InvalidConfigError: When there is no such recommendation.
    """
    made = ledger.load(reference, store_directory(tracking_uri))
    query = made.query
    context = open_context(query.deployed, tracking_uri, query.like)
    chosen = made.candidates[:top]
    engines = dict.fromkeys(candidate.engine for candidate in chosen)
    known = context.evidence(made.target_gpu, query.engines)
    drifts = (version_drift(context.known, engine) for engine in engines)
    return Explanation(
        recommendation=made,
        accounts=tuple(
            account_for(
                chosen,
                _configurations(made, chosen),
                context.predictor,
                surrogate_directory(context.directory),
                known,
            )
        ),
        evidence={
            engine: learned_from(
                context.predictor.meta,
                engine,
                query.workload.mode,
                made.target_gpu,
                query.model,
            )
            for engine in engines
        },
        warnings=(*context.remarks, *(warning for warning in drifts if warning is not None)),
        helpful=tuple(
            helpful_runs(
                context.predictor,
                _configurations(made, made.landscape),
                made.landscape,
                known,
                query,
            )
        ),
    )


def _configurations(made: Recommendation, places: Sequence[Candidate]) -> list[Configuration]:
    return [
        configuration_of(made.query, made.target_gpu, c.engine, c.n_gpus, c.batch_size)
        for c in places
    ]
