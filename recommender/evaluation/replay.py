"""Play a case through: choose with what is known, measure by looking the row up, choose again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np

from autotune.runner.runner import Trial
from autotune.schema.engine_config import EngineConfig
from autotune.schema.record import RunRecord
from autotune.schema.study_spec import StudySpec
from autotune.schema.workload import Workload
from autotune.study.strategies import create_strategy
from recommender.decision.acquisition import best_expected, cautious, choose, next_run
from recommender.decision.certificate import best_bound90, regret_bound90
from recommender.evaluation.protocols import Case, best_cell, popular_cell, score
from recommender.features.table import Array
from recommender.surrogate.predictor import Prediction, Predictor, correlation


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
    """Return the outcome of our method after each number of confirmatory runs."""
    incumbent = incumbent_index(case)
    measured: dict[int, float] = {}
    outcomes = []
    for done in range(max(runs) + 1):
        confirmed = [replace(case.candidates[i], run_key=None) for i in measured]
        evidence = [*known, *confirmed]
        belief = predictor.predict([*case.candidates, *case.target_rows], evidence)
        mine, rows = belief[: len(case.candidates)], belief[len(case.candidates) :]
        correlations = correlation(predictor, case.candidates, evidence)
        if done in runs:
            choice = (
                choose(mine, measured) if measured else best_expected(mine, incumbent=incumbent)
            )
            bound = _bound(mine, measured, correlations)
            mine_now = _ours(case, done, choice, rows, confirmed)
            outcomes.append(
                replace(mine_now, bound=bound, regret_next=_regret_next(case, choice, mine))
            )
        following = next_run(mine, measured, partial(_among, correlations), incumbent=incumbent)
        if following is not None:
            measured[following] = score(case.candidates[following])
    return outcomes


def _regret_next(case: Case, choice: int, belief: Sequence[Prediction]) -> float:
    """Return the regret of the choice, or of the best expected that runs where it fails."""
    order = sorted(range(len(belief)), key=lambda i: -cautious(belief[i]))
    return _regret(case, next(i for i in (choice, *order) if score(case.candidates[i]) > 0))


def _among(correlations: Array, rows: Sequence[int]) -> Array:
    return correlations[np.ix_(rows, rows)]


def _bound(
    belief: Sequence[Prediction], measured: Mapping[int, float], correlations: Array
) -> float | None:
    """Return the 90 % bound on the regret of the best measured; ``None`` before the first run."""
    if not measured:
        return None
    left = [i for i in range(len(belief)) if i not in measured]
    values = list(measured.values())
    best = best_bound90([belief[i] for i in left], _among(correlations, left), values)
    return regret_bound90(max(values), best)


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


def _ours(
    case: Case,
    runs: int,
    choice: int,
    belief: Sequence[Prediction],
    confirmed: Sequence[RunRecord],
) -> Outcome:
    known = {record.run_key for record in confirmed}
    pairs = [
        (prediction, score(row))
        for prediction, row in zip(belief, case.target_rows, strict=True)
        if row.is_measured and row.run_key not in known
    ]
    factors = [prediction.high / prediction.output_throughput for prediction, _ in pairs]
    return Outcome(
        method="ours",
        runs=runs,
        regret=_regret(case, choice),
        failed=float(score(case.candidates[choice]) == 0),
        errors=tuple(abs(p.output_throughput - real) / real for p, real in pairs),
        inside=tuple(p.low <= real <= p.high for p, real in pairs),
        width=float(np.median(factors)) if factors else None,
    )
