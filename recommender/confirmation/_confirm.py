"""A few real runs on the target: each moves the predictions, the next is chosen from them.

The kept configuration is always among the first three, so the answer is never worse than it.
"""

from collections.abc import Callable, Sequence

from autotune.catalog.gpus import find_gpu
from autotune.catalog.models import find_model
from autotune.errors import InvalidConfigError
from autotune.schema.record import Configuration, RunRecord
from recommender.confirmation._devices import Device
from recommender.confirmation.confirm import Contest
from recommender.confirmation.result import Confirmation
from recommender.recommendation.candidates import enumerate_configurations
from recommender.recommendation.query import Query
from recommender.recommendation.recommend import Recommendation
from recommender.surrogate.predictor import Predictor
from recommender.surrogate.threads import one_blas_thread


@one_blas_thread()
def confirm(
    recommendation: Recommendation,
    device: Device,
    predictor: Predictor,
    known: Sequence[RunRecord] = (),
    *,
    runs: int = 3,
    stop_regret: float = 0.0,
    on_run: Callable[[RunRecord], None] | None = None,
) -> Confirmation:
    """Run up to ``runs`` configurations of a recommendation and name the winner.

    Args:
        known: Runs known of this model before.
        stop_regret: Stop early once no configuration left is, with 90 % confidence, better than
            the best measured by a larger share, and the kept one was run; 0 spends all runs.
        on_run: Called with each record as soon as it is there (the journal).

    Raises:
        InvalidConfigError: When the device can run none of the configurations.
    """
    questions = _runnable(recommendation.query, recommendation.target_gpu, device)
    contest = Contest(recommendation, questions, predictor, known)
    while len(contest.done) < runs:
        chosen = contest.choose(runs, stop_regret)
        if chosen is None:
            break
        role, index = chosen
        record = device.run(questions[index])
        if on_run is not None:
            on_run(record)
        contest.take(role, index, record)
    winner = contest.winner
    return Confirmation(
        recommendation=recommendation,
        runs=tuple(contest.done),
        winner=winner,
        remaining=contest.better_than(winner),
        certificate=None if winner is None else contest.certify(winner),
    )


def _runnable(query: Query, target_gpu: str, device: Device) -> list[Configuration]:
    profile, gpu = find_model(query.model), find_gpu(target_gpu)
    everything = enumerate_configurations(query, profile, gpu)
    questions = [configuration for configuration in everything if device.can_run(configuration)]
    if not questions:
        work = query.workload
        raise InvalidConfigError(
            f"none of the {len(everything)} configurations of {query.model} on {target_gpu} with "
            f"{work.input_len}/{work.output_len} tokens can be run or replayed here"
        )
    return questions
