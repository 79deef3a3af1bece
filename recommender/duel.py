"""Challenger against champion, on landscapes that the challenger was not trained on."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autotune.errors import SurrogateError
from autotune.records import RunRecord
from recommender.predictor import Predictor
from recommender.refine import refine

MAX_FOLDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Duel:
    """Median errors |predicted / measured - 1| on left-out runs; ``None`` when none could be left.

    Attributes:
        rows: Runs that both were judged on.
    """

    champion_ape: float | None
    challenger_ape: float | None
    rows: int

    @property
    def is_won(self) -> bool:
        """Whether the challenger is strictly better."""
        return (
            self.champion_ape is not None
            and self.challenger_ape is not None
            and self.challenger_ape < self.champion_ape
        )

    @property
    def text(self) -> str:
        """The result in a sentence."""
        if self.champion_ape is None or self.challenger_ape is None:
            return "no backtest: it takes runs of at least two landscapes"
        return (
            f"backtest on {self.rows} left-out runs: median error {self.challenger_ape:.1%}, "
            f"the champion's {self.champion_ape:.1%}"
        )

    @property
    def metrics(self) -> dict[str, float]:
        """MLflow metrics."""
        values = {"champion_ape": self.champion_ape, "challenger_ape": self.challenger_ape}
        return {name: value for name, value in values.items() if value is not None}

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            "champion_ape": self.champion_ape,
            "challenger_ape": self.challenger_ape,
            "rows": self.rows,
            "won": self.is_won,
        }


def fight(records: Sequence[RunRecord], *, champion: Predictor, prior: Path) -> Duel:
    """Leave one group of landscapes out at a time, train on the rest, predict the group by both.

    A landscape is a model on a GPU in one engine. Confirmatory and suspect runs do not judge.
    Neither is told any run of the group, so that it is the surrogates that are compared.
    """
    judged = [r for r in records if r.is_measured and not r.suspect and r.purpose != "confirm"]
    folds = _folds(judged)
    errors: dict[str, list[float]] = {"champion": [], "challenger": []}
    if len(folds) >= 2:
        for fold in folds:
            held = {id(record) for record in fold}
            rest = [record for record in records if id(record) not in held]
            try:
                challenger = refine(rest, prior).predictor
            except SurrogateError:
                continue
            errors["champion"] += _errors(champion, fold)
            errors["challenger"] += _errors(challenger, fold)
    return Duel(
        champion_ape=_median(errors["champion"]),
        challenger_ape=_median(errors["challenger"]),
        rows=len(errors["champion"]),
    )


def _folds(records: Sequence[RunRecord]) -> list[list[RunRecord]]:
    landscapes: dict[tuple[str, ...], list[RunRecord]] = defaultdict(list)
    for record in records:
        landscapes[(record.model, record.gpu, record.engine)].append(record)
    folds: list[list[RunRecord]] = [[] for _ in range(min(MAX_FOLDS, len(landscapes)))]
    for index, key in enumerate(sorted(landscapes)):
        folds[index % len(folds)].extend(landscapes[key])
    return folds


def _errors(predictor: Predictor, fold: Sequence[RunRecord]) -> list[float]:
    predictions = predictor.predict([record.configuration for record in fold])
    return [
        abs(prediction.output_throughput / (record.output_throughput or 1.0) - 1)
        for prediction, record in zip(predictions, fold, strict=True)
    ]


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if values else None
