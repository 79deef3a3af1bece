"""Which configuration to measure next: strategies that are asked for one and told what came of it.

A strategy sees only what may still be run (the study rules out what memory or a failed start rules
out), and its answer follows from the seed and the records told so far, so that a resumed study goes
on as it would have gone. Optuna is imported by the strategy that needs it.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from autotune.errors import EngineUnavailableError, InvalidConfigError
from autotune.runner.runner import Trial
from autotune.schema.configuration import identity, start_of
from autotune.schema.record import RunRecord
from autotune.schema.study_spec import StudySpec
from autotune.schema.workload import score
from autotune.study.pruning import Grid

_ROUND = 10  # drawn configurations that are put in order together
_STARTUP_TRIALS = 3  # drawn at random before TPE has a say
_DRAWS = 4  # suggestions, of which one for the running engine is preferred: a restart costs minutes


class Strategy(Protocol):
    """Proposes configurations, one after the other."""

    def ask(self, choices: Sequence[Trial]) -> Trial | None:
        """Return one of ``choices`` (in the plan's order), or ``None`` to end the study."""

    def tell(self, planned: Trial, record: RunRecord) -> None:
        """Take in what came of a configuration."""


StrategyFactory = Callable[[StudySpec, Sequence[Trial]], Strategy]


class Random:
    """Draws without looking at results.

    The draw is cut into rounds (``max_trials``, or ten): of a round, the configurations of one
    engine start run together, the large batches first.
    """

    def __init__(self, spec: StudySpec, planned: Sequence[Trial]) -> None:
        order = [identity(item.configuration) for item in planned]
        random.Random(spec.seed).shuffle(order)
        self._rank = {key: rank for rank, key in enumerate(order)}
        self._round = spec.max_trials or _ROUND
        self._told = 0

    def ask(self, choices: Sequence[Trial]) -> Trial | None:
        """Return the next of the round."""
        keys = [identity(item.configuration) for item in choices]
        drawn = sorted(keys, key=self._rank.__getitem__)
        ahead = set(drawn[: self._round - self._told % self._round])
        together = [item for item, key in zip(choices, keys, strict=True) if key in ahead]
        if not together:
            return None
        start = start_of(together[0].configuration)
        same = [item for item in together if start_of(item.configuration) == start]
        return max(same, key=lambda item: item.batch_size)

    def tell(self, planned: Trial, record: RunRecord) -> None:
        """Count."""
        self._told += 1


class Tpe:
    """Optuna's tree-structured Parzen estimator over engine starts and ordered batch sizes.

    What misses a latency limit is worth less than anything that meets them all, and the less the
    further off; a failure is worth least. A suggestion that cannot be run stands for the nearest
    that can.

    Raises:
        EngineUnavailableError: When Optuna is not installed.
    """

    def __init__(self, spec: StudySpec, planned: Sequence[Trial]) -> None:
        self._optuna = _import_optuna()
        starts = dict.fromkeys(start_of(item.configuration) for item in planned)
        self._starts = {start: index for index, start in enumerate(starts)}
        self._sizes = sorted({item.batch_size for item in planned})
        of = self._optuna.distributions
        self._space = {
            "start": of.CategoricalDistribution(list(self._starts.values())),
            "batch_size": of.IntDistribution(0, len(self._sizes) - 1),
        }
        self._study = self._optuna.create_study(direction="maximize")
        self._spec = spec
        self._told = 0
        self._running: int | None = None

    def ask(self, choices: Sequence[Trial]) -> Trial | None:
        """Return the choice nearest to what Optuna suggests."""
        if not choices:
            return None
        # A seed for each answer: what Optuna drew before an interruption does not matter.
        seed = random.Random(f"{self._spec.seed} {self._told}").getrandbits(32)
        self._study.sampler = self._optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=_STARTUP_TRIALS
        )
        drawn = [self._draw() for _ in range(_DRAWS)]
        wanted = next((d for d in drawn if d["start"] == self._running), drawn[0])
        return min(choices, key=lambda item: self._distance(item, wanted))

    def tell(self, planned: Trial, record: RunRecord) -> None:
        """Hand the result to Optuna."""
        params = self._params(planned)
        value = score(record, self._spec.slo)
        self._study.add_trial(
            self._optuna.trial.create_trial(params=params, distributions=self._space, value=value)
        )
        self._told += 1
        self._running = params["start"]

    def _draw(self) -> Mapping[str, int]:
        trial = self._study.ask(self._space)
        # What is run goes back under its own parameters, see ``tell``.
        self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        params: Mapping[str, int] = trial.params
        return params

    def _distance(self, item: Trial, wanted: Mapping[str, int]) -> tuple[bool, int]:
        mine = self._params(item)
        return mine["start"] != wanted["start"], abs(mine["batch_size"] - wanted["batch_size"])

    def _params(self, item: Trial) -> dict[str, int]:
        return {
            "start": self._starts[start_of(item.configuration)],
            "batch_size": self._sizes.index(item.batch_size),
        }


def _import_optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise EngineUnavailableError(
            "strategy 'tpe' needs Optuna, not installed here: pip install optuna, or use "
            "strategy random"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


_STRATEGIES: Mapping[str, StrategyFactory] = {
    "grid": lambda spec, planned: Grid(),
    "random": Random,
    "tpe": Tpe,
}


def create_strategy(
    spec: StudySpec, planned: Sequence[Trial], surrogate: StrategyFactory | None = None
) -> Strategy:
    """Return the study's strategy.

    Args:
        surrogate: Makes the one that asks a trained model, which lies outside of this package.

    Raises:
        InvalidConfigError: For ``surrogate`` without its factory.
        EngineUnavailableError: When a library that the strategy needs is not installed.
    """
    if spec.strategy != "surrogate":
        return _STRATEGIES[spec.strategy](spec, planned)
    if surrogate is None:
        raise InvalidConfigError("strategy=surrogate needs a factory of it; use `autotune run`")
    return surrogate(spec, planned)
