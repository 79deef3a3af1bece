"""The configurations of a confirmation: what is believed of each, what was run, what wins."""

from collections.abc import Callable, Sequence

from autotune.catalog.gpus import find_gpu
from autotune.catalog.models import find_model
from autotune.errors import InvalidConfigError
from autotune.schema.configuration import Configuration
from autotune.schema.record import RunRecord
from recommender.confirmation.devices import Device
from recommender.confirmation.result import Confirmation, ConfirmedRun
from recommender.decision.acquisition import next_run
from recommender.decision.certificate import Certificate, best_bound90, regret_bound90
from recommender.features.table import Array
from recommender.recommendation.candidates import Candidate, enumerate_configurations, place_of
from recommender.recommendation.evaluate_candidates import evaluate_candidates
from recommender.recommendation.query import Query
from recommender.recommendation.ranking import rank, score
from recommender.recommendation.recommendation import Recommendation
from recommender.surrogate.gaussian_process import one_blas_thread
from recommender.surrogate.predictor import Predictor, correlation


class ConfirmationState:
    """n configurations of one landscape; every run moves what is believed of the others.

    Args:
        recommended: What is run first, if it can be.
        incumbent: The configuration kept from before; ``None`` without one.
        questions: The configurations that can be run.
        known: Runs known of this model before.

    Attributes:
        done: What was run, in order.
        evidence: The runs known before, and those made since.
        candidates: What is believed of each question now.
    """

    def __init__(
        self,
        query: Query,
        recommended: Candidate,
        incumbent: Candidate | None,
        questions: Sequence[Configuration],
        predictor: Predictor,
        known: Sequence[RunRecord],
    ) -> None:
        self.done: list[ConfirmedRun] = []
        self.evidence = list(known)
        self._query = query
        self._recommended = recommended
        self._kept = incumbent
        self._questions = questions
        self._predictor = predictor
        self._index = {place_of(question): i for i, question in enumerate(questions)}
        self._completed: dict[int, bool] = {}
        self._believe()

    def _believe(self) -> None:
        query = self._query
        self.candidates = evaluate_candidates(
            self._questions, self._predictor, self.evidence, query
        )
        self._scores = [_worth(candidate, query.objective) for candidate in self.candidates]

    def take(self, role: str, index: int, record: RunRecord) -> None:
        """Learn from a run."""
        predicted = self.candidates[index]
        measured = record.output_throughput if record.is_measured else None
        error = None if measured is None else measured / predicted.output_throughput - 1
        self.done.append(ConfirmedRun(role=role, predicted=predicted, record=record, error=error))
        self._completed[index] = record.is_measured
        self.evidence.append(record)
        self._believe()

    def choose(self, runs: int, stop_regret: float) -> tuple[str, int] | None:
        """Return role and index of the next run, or ``None`` when nothing is left to gain.

        Args:
            runs: How many there are to spend in all.
            stop_regret: The bound on regret under which only the kept configuration is still run.
        """
        if not self.done:
            return "recommended", self._first()
        incumbent = self._incumbent()
        if incumbent in self._completed:
            incumbent = None
        if stop_regret > 0 and self._bound(self._best_measured()) <= stop_regret:
            return None if incumbent is None else ("kept", incumbent)
        following = next_run(
            self.candidates,
            self._measured(),
            self._correlate,
            incumbent=incumbent,
            incumbent_by=runs,
            scale=self._scale(),
        )
        if following is None:
            return None
        return ("kept" if following == incumbent else "challenger"), following

    def _first(self) -> int:
        recommended = self._index.get(place_of(self._recommended))
        if recommended is not None:
            return recommended
        feasible = [candidate for candidate in self.candidates if candidate.is_feasible]
        return self._index[place_of(rank(feasible or self.candidates, self._query)[0])]

    @property
    def winner(self) -> Candidate | None:
        """The best measured, by objective and tolerance; ``None`` when every run failed.

        What meets the latency limits wins over what does not, and what is slower than the kept
        configuration never over that.
        """
        ran = [self.candidates[i] for i, completed in self._completed.items() if completed]
        within = [candidate for candidate in ran if candidate.is_feasible]
        return rank(within or ran, self._query, self._kept)[0] if ran else None

    @property
    def left(self) -> list[Candidate]:
        """What is believed of the questions that were not run."""
        return [self.candidates[i] for i in self._left()]

    def better_than(self, winner: Candidate | None) -> Candidate | None:
        """Return the best candidate not run, if it is predicted to beat the winner."""
        query = self._query
        left = [i for i in self._left() if self.candidates[i].is_feasible]
        if winner is None or not left:
            return None
        first = max(left, key=self._scores.__getitem__)
        bar = _worth(winner, query.objective) * (1 + query.tolerance)
        return self.candidates[first] if self._scores[first] > bar else None

    def certify(self, winner: Candidate) -> Certificate:
        """Return what is certain of the winner."""
        reached = _worth(winner, self._query.objective)
        worth = self._incumbent_worth()
        return Certificate(
            runs=len(self.done),
            regret_bound90=self._bound(reached),
            kept_slowdown=None if worth is None or not reached else 1 - worth / reached,
            is_kept_measured=self._incumbent() in self._completed,
        )

    def _incumbent_worth(self) -> float | None:
        """Return what the kept configuration brings, 0 where it failed, ``None`` without one."""
        keep, index = self._kept, self._incumbent()
        if keep is None:
            return None
        if index is None:
            return _worth(keep, self._query.objective)
        return self._scores[index] if self._completed.get(index, True) else 0.0

    def _incumbent(self) -> int | None:
        keep = self._kept
        return None if keep is None else self._index.get(place_of(keep))

    def _left(self) -> list[int]:
        return [i for i in range(len(self._questions)) if i not in self._completed]

    def _measured(self) -> dict[int, float]:
        return {i: self._scores[i] if ok else 0.0 for i, ok in self._completed.items()}

    def _best_measured(self) -> float:
        return max(self._measured().values(), default=0.0)

    def _scale(self) -> list[float]:
        """Return what a token/s of each candidate is worth in the objective."""
        pairs = zip(self._scores, self.candidates, strict=True)
        return [value / candidate.output_throughput for value, candidate in pairs]

    def _correlate(self, indices: Sequence[int]) -> Array:
        asked = [self._questions[i] for i in indices]
        return correlation(self._predictor, asked, self.evidence)

    def _bound(self, reached: float) -> float:
        """Return the bound on the regret of a value of the objective."""
        left, scale = self._left(), self._scale()
        best = best_bound90(
            [self.candidates[i] for i in left],
            self._correlate(left),
            list(self._measured().values()),
            [scale[i] for i in left],
        )
        return regret_bound90(reached, best)


def _worth(candidate: Candidate, objective: str) -> float:
    """Return the score, weighed by the chance to meet the latency limits."""
    value = score(candidate, objective)
    return value if objective == "goodput" else value * candidate.p_within_limits


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
    state = ConfirmationState(
        recommendation.query,
        recommendation.best,
        recommendation.keep_source,
        questions,
        predictor,
        known,
    )
    while len(state.done) < runs:
        chosen = state.choose(runs, stop_regret)
        if chosen is None:
            break
        role, index = chosen
        record = device.run(questions[index])
        if on_run is not None:
            on_run(record)
        state.take(role, index, record)
    winner = state.winner
    return Confirmation(
        recommendation=recommendation,
        runs=tuple(state.done),
        winner=winner,
        remaining=state.better_than(winner),
        certificate=None if winner is None else state.certify(winner),
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
