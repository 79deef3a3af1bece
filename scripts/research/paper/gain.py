"""How much of RQ4's gain the recommender gets with a few runs, beside InfPop's 100 evaluations.

A migration is played as ``autotune evaluate`` does: the model's runs on the target are unseen, each
confirmatory run is looked up. The published optimiser runs are ten repetitions a model.
"""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from autotune.errors import InvalidRecordError
from autotune.schema.record import RunRecord
from recommender.evaluation.backtest import known_runs
from recommender.evaluation.protocols import Case, cases_of, hides
from recommender.evaluation.replay import play
from recommender.training import fit as surrogate
from research.paper.findings import (
    DIRECTIONS,
    PLOT_LIMIT,
    Direction,
    Gain,
    gains,
    paper_landscapes,
    plotted,
)

RUNS: Final = (0, 1, 3, 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Harvest:
    """Mean gains over models in one direction, percent over keeping the origin's best.

    Attributes:
        attainable: Of the best measured configuration, suspect rows out.
        gain: Ours by number of confirmatory runs.
        by_model: What is attainable and ours, of each model.
        infpop: InfPop's mean after 100 evaluations, over models and repetitions.
        infpop_attainable: Of the best in InfPop's own data, suspect rows in.
    """

    direction: Direction
    models: int
    attainable: float
    gain: Mapping[int, float]
    by_model: Mapping[str, tuple[float, Mapping[int, float]]]
    infpop: float
    infpop_attainable: float


def harvest(records: Sequence[RunRecord], folder: Path, *, seed: int = 0) -> list[Harvest]:
    """Play every direction; takes minutes.

    Args:
        folder: The replication folder, for its optimiser runs.
    """
    lands = paper_landscapes(records, with_suspect=False)
    cases = cases_of(records, "migration", "all")
    regrets: dict[tuple[str, str, str], dict[int, float]] = {}
    for fold in sorted({case.fold for case in cases}):
        seen = [record for record in records if not hides("migration", fold, record)]
        predictor = surrogate.fit(seen, seed=seed).predictor
        for case in (case for case in cases if case.fold == fold):
            outcomes = play(case, predictor, known_runs(case, seen), RUNS)
            regrets[_key(case)] = {outcome.runs: outcome.regret for outcome in outcomes}
    every = paper_landscapes(records, with_suspect=True)
    return [
        _harvest(d, plotted(gains(lands, d)), regrets, plotted(gains(every, d)), folder)
        for d in DIRECTIONS
    ]


def _key(case: Case) -> tuple[str, str, str]:
    return (case.engine, case.target_gpu, case.model)


def _harvest(
    direction: Direction,
    ours: Sequence[Gain],
    regrets: Mapping[tuple[str, str, str], Mapping[int, float]],
    theirs: Sequence[Gain],
    folder: Path,
) -> Harvest:
    played = [
        (gain, regrets[key])
        for gain in ours
        if (key := (direction.engine, direction.target, gain.model)) in regrets
    ]
    by_model = {
        gain.model: (
            gain.percent,
            {runs: achieved(gain.percent, regret[runs]) for runs in RUNS},
        )
        for gain, regret in played
    }
    searched = optimiser_gains(folder / direction.results)
    found = [mean for mean, best in searched if best < PLOT_LIMIT]
    return Harvest(
        direction=direction,
        models=len(played),
        attainable=statistics.fmean(gain.percent for gain, _ in played),
        gain={runs: statistics.fmean(own[runs] for _, own in by_model.values()) for runs in RUNS},
        by_model=by_model,
        infpop=statistics.fmean(found),
        infpop_attainable=statistics.fmean(gain.percent for gain in theirs),
    )


def achieved(attainable: float, regret: float) -> float:
    """Return the gain over the kept configuration of a choice with this regret, percent.

    >>> achieved(25.0, 0.2), achieved(25.0, 1.0)
    (0.0, -100.0)
    """
    return round(100 * ((1 - regret) * (1 + attainable / 100) - 1), 9)


def optimiser_gains(path: Path) -> list[tuple[float, float]]:
    """Return each model's (mean, largest) gain over InfPop's repetitions, percent.

    Raises:
        InvalidRecordError: When the file is not InfPop's.
    """
    try:
        rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["data"]
        repetitions = [
            [float(done["improvement"]) for done in row["allImprovements"]]
            for row in rows
            if "allImprovements" in row
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidRecordError(f"{path} does not hold InfPop's optimiser runs: {error}") from None
    return [(statistics.fmean(each), max(each)) for each in repetitions if each]
