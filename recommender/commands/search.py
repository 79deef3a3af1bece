"""The strategy ``surrogate``: each run goes where the model expects the largest improvement."""

from collections.abc import Sequence

from autotune.runner.runner import Trial
from autotune.schema.configuration import Identity, start_of
from autotune.schema.record import RunRecord
from autotune.schema.study_spec import StudySpec
from autotune.schema.workload import Slo, best_of
from autotune.study.strategies import StrategyFactory
from recommender.commands.context import open_context
from recommender.decision.acquisition import expected, expected_improvement
from recommender.recommendation.objectives import chance_within
from recommender.surrogate.predictor import Prediction, Predictor

_AS_GOOD = 0.9  # of the largest expected improvement: then the running engine decides


class SurrogateSearch:
    """Predicts every choice from what is known by now; each result sharpens the next prediction.

    Args:
        slo: Latency limits; the chance to meet them weighs each expected improvement.
        known: Runs known before.
    """

    def __init__(self, predictor: Predictor, slo: Slo, known: Sequence[RunRecord] = ()) -> None:
        self._predictor = predictor
        self._slo = slo
        self._known = list(known)
        self._measured: list[RunRecord] = []
        self._running: Identity | None = None

    def ask(self, choices: Sequence[Trial]) -> Trial | None:
        """Return the choice of the largest expected improvement, or nearly so without a restart."""
        if not choices:
            return None
        configurations = [item.configuration for item in choices]
        predictions = self._predictor.predict(configurations, [*self._known, *self._measured])
        best = best_of(self._measured, self._slo)
        so_far = 0.0 if best is None else best.output_throughput or 0.0
        gains = [gain(prediction, so_far, self._slo) for prediction in predictions]
        bar = _AS_GOOD * max(gain for gain, _ in gains)
        good = [i for i, (improvement, _) in enumerate(gains) if improvement >= bar]
        return choices[max(good, key=lambda i: (self._is_running(choices[i]), *gains[i], -i))]

    def tell(self, planned: Trial, record: RunRecord) -> None:
        """Let the result move the next prediction."""
        self._measured.append(record)
        self._running = start_of(planned.configuration)

    def _is_running(self, item: Trial) -> bool:
        return start_of(item.configuration) == self._running


def gain(prediction: Prediction, so_far: float, slo: Slo) -> tuple[float, float]:
    """Return the improvement expected over ``so_far`` within the limits, then the throughput."""
    chance = chance_within(prediction, slo)
    return expected_improvement(prediction, so_far) * chance, expected(prediction) * chance


def surrogate_search(tracking_uri: str) -> StrategyFactory:
    """Return what makes the strategy, with the surrogate in force and the store's known runs."""

    def create(spec: StudySpec, planned: Sequence[Trial]) -> SurrogateSearch:
        context = open_context(spec.model, tracking_uri, spec.like)
        asked = planned[0].configuration
        known = context.evidence(asked.gpu, spec.engines)
        return SurrogateSearch(context.predictor, spec.slo, known)

    return create
