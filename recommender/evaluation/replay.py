"""Play a case through: choose with what is known, measure by looking the row up, choose again."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from autotune.runner.runner import Trial
from autotune.schema.engine_config import EngineConfig
from autotune.schema.record import RunRecord
from autotune.schema.study_spec import StudySpec
from autotune.schema.workload import Workload
from autotune.study.strategies import create_strategy
from recommender.confirmation.confirm import ConfirmationState
from recommender.decision.acquisition import by_chance_to_run, cautious
from recommender.evaluation.protocols import Case, best_cell, popular_cell, score
from recommender.recommendation.candidates import Candidate, place_of
from recommender.recommendation.evaluate_candidates import evaluate_candidates
from recommender.recommendation.query import Query
from recommender.recommendation.ranking import recommended
from recommender.surrogate.predictor import Predictor


def tpe_order(case: Case, runs: int, seed: int) -> list[int]:
    """Return the first configurations of a study by TPE, as indices into the case's candidates."""
    planned = [
        Trial(
            # What starts is not this but a look-up: TPE reads the configuration alone.
            config=EngineConfig(engine="vllm", model=row.model, gpu=row.gpu),
            workload=Workload(),
            batch_size=row.batch_size,
            configuration=row.configuration,
        )
        for row in case.candidates
    ]
    strategy = create_strategy(StudySpec(model=case.model, strategy="tpe", seed=seed), planned)
    order: list[int] = []
    while len(order) < min(runs, len(planned)):
        chosen = strategy.ask([item for i, item in enumerate(planned) if i not in order])
        if chosen is None:
            break
        index = next(i for i, item in enumerate(planned) if item is chosen)
        strategy.tell(chosen, case.candidates[index])
        order.append(index)
    return order


def case_of(rows: Sequence[RunRecord]) -> Case:
    """Return a measured landscape as a case, of which nothing is known beforehand."""
    first = rows[0]
    return Case(
        harness=first.source,
        engine=first.engine,
        model=first.model,
        source_gpu=None,
        target_gpu=first.gpu,
        candidates=list(rows),
        target_rows=list(rows),
        source_rows=[],
        fold=("", ""),
    )


RANDOM_DRAWS: Final = 64
TPE_STUDIES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a method achieved on one case after some runs.

    Attributes:
        regret: 1 - tokens/s of the choice / the best measured; 1 for a choice that fails.
        errors: |predicted - measured| / measured of the rows not confirmed (ours only).
        inside: Whether each of these lay in its interval.
        width: Median of the intervals' half widths, as a factor.
        regret_next: The regret where a choice that fails falls to the next expected (ours only).
        bound: The certificate's 90 % bound on the regret (ours only, after a run).
    """

    method: str
    runs: int
    regret: float
    failed: float
    errors: tuple[float, ...] = ()
    inside: tuple[bool, ...] = ()
    width: float | None = None
    bound: float | None = None
    regret_next: float | None = None


def play(
    case: Case, predictor: Predictor, known: Sequence[RunRecord], runs: Sequence[int]
) -> list[Outcome]:
    """Return the outcome of ``recommend`` and ``confirm`` after each number of confirmatory runs.

    They choose among the configurations that were measured. Where nothing is expected to run the
    advice is a refusal, which names the likeliest to run: that is what is chosen then.
    """
    # What was measured is one replica, and so is what is scored.
    query = Query(model=case.model, target_gpu=case.target_gpu, objective="replica")
    landscape = evaluate_candidates(case.candidates, predictor, known, query)
    index = incumbent_index(case)
    incumbent = None if index is None else landscape[index]
    first = _advised(landscape, query, incumbent)
    state = ConfirmationState(query, first, incumbent, case.candidates, predictor, known)
    places = {place_of(row): i for i, row in enumerate(case.candidates)}
    outcomes = []
    for done in range(max(runs) + 1):
        if done in runs:
            chosen = (state.winner or _advised(state.left, query, incumbent)) if done else first
            outcomes.append(_outcome(case, done, places[place_of(chosen)], state, predictor))
        following = state.choose(max(runs), stop_regret=0.0)
        if following is not None:
            role, at = following
            state.take(role, at, replace(case.candidates[at], run_key=None))
    return outcomes


def _advised(
    landscape: Sequence[Candidate], query: Query, incumbent: Candidate | None
) -> Candidate:
    advised = recommended(landscape, query, incumbent)
    return max(landscape, key=by_chance_to_run) if advised is None else advised


def _outcome(
    case: Case, runs: int, choice: int, state: ConfirmationState, predictor: Predictor
) -> Outcome:
    """Return what a choice achieved, and how far predictions of the rows not run were off."""
    belief = predictor.predict(case.target_rows, state.evidence)
    confirmed = {run.record.run_key for run in state.done}
    pairs = [
        (prediction, score(row))
        for prediction, row in zip(belief, case.target_rows, strict=True)
        if row.is_measured and row.run_key not in confirmed
    ]
    factors = [prediction.high / prediction.output_throughput for prediction, _ in pairs]
    winner = state.winner
    order = sorted(range(len(state.candidates)), key=lambda i: -cautious(state.candidates[i]))
    runs_at_all = (i for i in (choice, *order) if score(case.candidates[i]) > 0)
    return Outcome(
        method="ours",
        runs=runs,
        regret=_regret(case, choice),
        failed=float(score(case.candidates[choice]) == 0),
        errors=tuple(abs(p.output_throughput - real) / real for p, real in pairs),
        inside=tuple(p.low <= real <= p.high for p, real in pairs),
        width=float(np.median(factors)) if factors else None,
        bound=None if winner is None else state.certify(winner).regret_bound90,
        regret_next=_regret(case, next(runs_at_all)),
    )


def incumbent_index(case: Case) -> int | None:
    """Return the candidate of the source's fastest configuration that exists on the target."""
    cells = {(row.n_gpus, row.batch_size): i for i, row in enumerate(case.candidates)}
    workload = (case.candidates[0].input_len, case.candidates[0].output_len)
    same = [r for r in case.source_rows if (r.input_len, r.output_len) == workload]
    shared = [row for row in same or case.source_rows if (row.n_gpus, row.batch_size) in cells]
    return cells[best_cell(shared)] if shared else None


def baselines(case: Case, others: Sequence[Case], runs: Sequence[int], seed: int) -> list[Outcome]:
    """Return keep, largest, most_popular (a fixed choice each), random and tpe after some runs."""
    cells = {(row.n_gpus, row.batch_size): i for i, row in enumerate(case.candidates)}
    popular = popular_cell([other.candidates for other in others])
    fixed = {
        "keep": incumbent_index(case),
        "largest": cells[max(cells)],
        "most_popular": cells.get(popular) if popular else None,
    }
    found = [
        _fixed(case, method, done, choice)
        for method, choice in fixed.items()
        if choice is not None
        for done in runs
    ]
    return [*found, *(_random(case, done, seed) for done in runs), *_tpe(case, runs, seed)]


def popular_cases(case: Case, cases: Sequence[Case], hidden_gpu: bool) -> list[Case]:
    """Return the cases of other models whose best cells are known when this case is asked."""
    return [
        other
        for other in cases
        if other.engine == case.engine
        and other.harness == case.harness
        and other.model != case.model
        and (other.target_gpu == case.target_gpu) != hidden_gpu
    ]


def _regret(case: Case, choice: int) -> float:
    best = max(score(row) for row in case.candidates)
    return 1 - score(case.candidates[choice]) / best


def _fixed(case: Case, method: str, runs: int, choice: int) -> Outcome:
    failed = float(score(case.candidates[choice]) == 0)
    return Outcome(method=method, runs=runs, regret=_regret(case, choice), failed=failed)


def _random(case: Case, runs: int, seed: int) -> Outcome:
    """Return the mean over draws of the best of ``max(runs, 1)`` distinct random configurations."""
    rng = np.random.default_rng(seed)
    n = len(case.candidates)
    tried = min(max(runs, 1), n)
    draws = [rng.choice(n, size=tried, replace=False).tolist() for _ in range(RANDOM_DRAWS)]
    return _best_of("random", case, runs, draws)


def _tpe(case: Case, runs: Sequence[int], seed: int) -> list[Outcome]:
    """Return the mean over studies of the best that Optuna's TPE ran; nothing without a run."""
    wanted = [done for done in runs if done > 0]
    if not wanted:
        return []
    studies = [tpe_order(case, max(wanted), seed + k) for k in range(TPE_STUDIES)]
    return [_best_of("tpe", case, done, [order[:done] for order in studies]) for done in wanted]


def _best_of(method: str, case: Case, runs: int, draws: Sequence[Sequence[int]]) -> Outcome:
    """Return the mean over draws of choosing the best that was run."""
    best = [max(drawn, key=lambda i: score(case.candidates[i])) for drawn in draws]
    failed = [score(case.candidates[i]) == 0 for i in best]
    return Outcome(
        method=method,
        runs=runs,
        regret=float(np.mean([_regret(case, i) for i in best])),
        failed=float(np.mean(failed)),
    )
