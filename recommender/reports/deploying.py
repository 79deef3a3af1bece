"""A report's section on deploying: what to start where, and what was measured otherwise."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from autotune.catalog.gpus import find_gpu
from autotune.schema.configuration import Configuration
from autotune.schema.record import RunRecord
from autotune.views.deployment import deployment_markdown
from autotune.views.pages.document import inline
from recommender.recommendation.candidates import Candidate, configuration_of
from recommender.recommendation.plans import (
    as_measured,
    how_often,
    on_hosts,
    one_server,
    plan_in_words,
)
from recommender.recommendation.recommendation import Recommendation
from recommender.reports.charts import measured_cells


def deployment(
    made: Recommendation, confirmed: Mapping[str, Any] | None, known: Sequence[RunRecord]
) -> str:
    """Say how to deploy the winner, or what is recommended while there is none.

    Args:
        confirmed: What the ledger keeps of the confirmation, if there was one.
        known: Runs of the model.
    """
    winner = None if confirmed is None else confirmed["winner"]
    chosen = made.best if winner is None else Candidate.from_dict(winner)
    deployed = _deployed(made, chosen, known)
    ways = deployment_markdown(
        deployed,
        replicas=chosen.replicas,
        on_one_host=_on_one_host(deployed, chosen),
        model=made.query.model_path,
        published=made.query.published,
    )
    otherwise = chosen.measured_otherwise
    return "\n\n".join(
        [*_spread(made, chosen), ways, *([f"{inline(otherwise)}."] if otherwise else [])]
    )


def _deployed(made: Recommendation, chosen: Candidate, known: Sequence[RunRecord]) -> Configuration:
    """Return one replica, as it was measured where it was."""
    place = (chosen.engine, chosen.n_gpus, chosen.batch_size)
    asked = configuration_of(made.query, made.target_gpu, *place)
    runs = measured_cells(made, known).values()
    own = [r for r in runs if (r.engine, r.n_gpus, r.batch_size) == place]
    if own:
        return own[-1] if chosen.engine == "hf" else as_measured(asked, own[-1])
    holds = made.engine_version if chosen.engine == made.best.engine else None
    return dataclasses.replace(asked, engine_version=holds)


def _on_one_host(deployed: Configuration, chosen: Candidate) -> Configuration | None:
    """Return what one host starts of a plan; a pipeline is one replica's program."""
    if chosen.replicas == 1 or chosen.engine == "hf":
        return None
    first = on_hosts(chosen.replicas, chosen.n_gpus, find_gpu(deployed.gpu))[0]
    return one_server(deployed, first.replicas)


def _spread(made: Recommendation, chosen: Candidate) -> list[str]:
    if chosen.replicas == 1:
        return []
    often = how_often(chosen, made.target_gpu)
    return [f"{plan_in_words(chosen)}{f': {often}' if often else ''}."]
