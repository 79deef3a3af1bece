"""Backtests: how far from the best measured configuration would the advice have been?

- migration: the model's runs on the target GPU are hidden, its runs on the source GPU and all other
  models' runs are known.
- leave-gpu-out: the whole target GPU is hidden. leave-model-out: the whole model is hidden.

Every fit, with all it learns (constants, trees, shrinkage, calibration, intervals), sees only what
a case does not hide. A chosen configuration that failed on the target scores zero throughput.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np

from autotune.errors import InvalidConfigError, SurrogateError
from autotune.schema.record import RunRecord
from autotune.schema.validation import ENGINES
from recommender.evaluation.protocols import PROTOCOLS, Case, Protocol, cases_of, hides
from recommender.evaluation.replay import Outcome, baselines, play, popular_cases
from recommender.surrogate.gaussian_process import one_blas_thread
from recommender.training import fit as surrogate

_ROUNDING: Final = 1e-9
METHODS: Final = ("ours", "keep", "largest", "most_popular", "random", "tpe")


def evaluate(
    records: Sequence[RunRecord],
    *,
    protocol: Protocol,
    engine: str = "all",
    runs: Sequence[int] = (0, 1, 3, 5),
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Return one row a (engine, source GPU, target GPU, method, runs), with means over the models.

    Raises:
        InvalidConfigError: For an unknown protocol or engine.
        SurrogateError: When the records hold no case of the protocol.
    """
    _check(protocol, engine)
    cases = cases_of(records, protocol, engine)
    if not cases:
        raise SurrogateError(
            f"no landscape to evaluate {protocol} on: it needs a model measured in at least 4 "
            "configurations" + (" on two GPUs" if protocol == "migration" else "")
        )
    # the matrices are small: on shared cores BLAS threads wait for each other most of the time
    with one_blas_thread():
        return _table(protocol, _play_all(records, protocol, cases, runs, seed))


def _play_all(
    records: Sequence[RunRecord],
    protocol: Protocol,
    cases: Sequence[Case],
    runs: Sequence[int],
    seed: int,
) -> dict[tuple[str, ...], list[Outcome]]:
    """Return the outcomes by engine, source GPU ("" for none) and target GPU."""
    outcomes: dict[tuple[str, ...], list[Outcome]] = defaultdict(list)
    for fold in sorted({case.fold for case in cases}):
        seen = [record for record in records if not hides(protocol, fold, record)]
        predictor = surrogate.fit(seen, seed=seed).predictor
        for case in (case for case in cases if case.fold == fold):
            others = popular_cases(case, cases, hidden_gpu=protocol == "leave-gpu-out")
            found = [
                *play(case, predictor, known_runs(case, seen), runs),
                *baselines(case, others, runs, seed),
            ]
            outcomes[(case.engine, case.source_gpu or "", case.target_gpu)].extend(found)
    return outcomes


def known_runs(case: Case, seen: Iterable[RunRecord]) -> list[RunRecord]:
    """Return the user's runs: those of the case's harness, of its model only on the source GPU."""
    return [
        record
        for record in seen
        if record.source == case.harness
        and record.engine == case.engine
        and (record.model != case.model or record.gpu == case.source_gpu)
    ]


def _check(protocol: str, engine: str) -> None:
    if protocol not in PROTOCOLS:
        raise InvalidConfigError(f"protocol={protocol!r} must be one of {', '.join(PROTOCOLS)}")
    if engine not in (*ENGINES, "all"):
        raise InvalidConfigError(f"engine={engine!r} must be all or one of {', '.join(ENGINES)}")


def _table(protocol: str, outcomes: dict[tuple[str, ...], list[Outcome]]) -> list[dict[str, Any]]:
    rows = []
    for (engine, source, target), found in sorted(outcomes.items()):
        for method in METHODS:
            for runs in sorted({outcome.runs for outcome in found}):
                group = [o for o in found if o.method == method and o.runs == runs]
                if group:
                    row: dict[str, Any] = {"protocol": protocol, "engine": engine}
                    row |= {"source_gpu": source or None, "target_gpu": target}
                    rows.append(row | {"method": method, "runs": runs} | _summary(group))
    return rows


def _summary(group: Sequence[Outcome]) -> dict[str, Any]:
    """Return means over the models; the error is the mean over models of their median error."""
    regret = np.array([outcome.regret for outcome in group])
    medians = [float(np.median(outcome.errors)) for outcome in group if outcome.errors]
    inside = [float(np.mean(outcome.inside)) for outcome in group if outcome.inside]
    bounds = [o for o in group if o.bound is not None]
    held = [o.regret <= (o.bound or 0.0) + _ROUNDING for o in bounds]
    falling = [o.regret_next for o in group if o.regret_next is not None]
    widths = [outcome.width for outcome in group if outcome.width is not None]
    return {
        "groups": len(group),
        "regret_mean": round(float(regret.mean()), 5),
        "regret_median": round(float(np.median(regret)), 5),
        "regret_next_mean": round(float(np.mean(falling)), 5) if falling else None,
        "regret_max": round(float(regret.max()), 5),
        "ape_median": _median(medians),
        "coverage90": round(float(np.mean(inside)), 5) if inside else None,
        "regret_bound90_median": _median([o.bound for o in bounds if o.bound is not None]),
        "bound_coverage": round(float(np.mean(held)), 5) if held else None,
        "interval_factor": round(float(np.median(widths)), 4) if widths else None,
        "failed_choice_rate": round(float(np.mean([o.failed for o in group])), 5),
    }


def _median(values: Sequence[float]) -> float | None:
    return round(float(np.median(values)), 5) if values else None
