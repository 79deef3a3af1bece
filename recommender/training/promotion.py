"""Challenger against champion, on groups of the user's runs that neither was trained on.

A champion that was refined from the user's runs has seen what it would be judged on. So recipes
meet, not files: for each left-out group the challenger is refined from all other runs, the champion
from those of them that it learned from. The shipped surrogate never saw a user's run and is judged
as it is; so is a champion of which is not known what it learned from, to its advantage.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autotune.schema.record import RunRecord
from autotune.store.sampling import landscape_of
from recommender.surrogate.evidence import coverage
from recommender.surrogate.predictor import Predictor
from recommender.training.dataset import Dataset, prepare
from recommender.training.fit import FittedSurrogate
from recommender.training.folds import HeldOut, held_out_groups
from recommender.training.refine import groundwork, load_prior, stages, teach

_HEAD = (
    "| left out | runs | champion: error | covered | challenger: error | covered |\n"
    "|---|--:|--:|--:|--:|--:|"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One surrogate on one group.

    Attributes:
        ape: Median of |predicted / measured - 1| of a landscape, mean over landscapes.
        coverage90: Share of the runs inside their 90 % interval, likewise.
    """

    ape: float
    coverage90: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Both surrogates on a group of left-out runs."""

    kind: str
    name: str
    rows: int
    champion: Side
    challenger: Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Duel:
    """All rounds. Errors and coverage are means over the rounds, ``None`` without any.

    Attributes:
        is_refitted: Whether the champion was refitted for each round, having seen the runs.
    """

    rounds: tuple[Round, ...]
    is_refitted: bool

    @property
    def rows(self) -> int:
        """Runs judged, each as often as it was left out."""
        return sum(r.rows for r in self.rounds)

    @property
    def champion_ape(self) -> float | None:
        """The champion's error."""
        return _mean([r.champion.ape for r in self.rounds])

    @property
    def challenger_ape(self) -> float | None:
        """The challenger's error."""
        return _mean([r.challenger.ape for r in self.rounds])

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
            return (
                "no backtest: it takes measured runs of two GPUs, two models, two GPU counts or "
                "two batch sizes, and three runs to learn from beside those left out"
            )
        return (
            f"backtest on {self.rows} left-out runs in {len(self.rounds)} groups: error "
            f"{self.challenger_ape:.1%}, the champion's {self.champion_ape:.1%}"
        )

    @property
    def metrics(self) -> dict[str, float]:
        """MLflow metrics."""
        values = {
            "champion_ape": self.champion_ape,
            "challenger_ape": self.challenger_ape,
            "champion_coverage90": _mean([r.champion.coverage90 for r in self.rounds]),
            "challenger_coverage90": _mean([r.challenger.coverage90 for r in self.rounds]),
        }
        return {name: value for name, value in values.items() if value is not None}

    @property
    def markdown(self) -> str:
        """The whole duel as a page."""
        verdict = "The challenger wins." if self.is_won else "The champion stays."
        how = (
            "Both surrogates were refitted without the runs left out."
            if self.is_refitted
            else "The champion never saw these runs; the challenger was refitted without them."
        )
        lines = [
            f"| {r.kind} {r.name} | {r.rows} | {r.champion.ape:.1%} | {r.champion.coverage90:.0%} "
            f"| {r.challenger.ape:.1%} | {r.challenger.coverage90:.0%} |"
            for r in self.rounds
        ]
        table = [_HEAD, *lines, "", how] if lines else []
        return "\n".join(
            ["# Challenger against champion", "", self.text, "", *table, "", verdict, ""]
        )

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            "champion_ape": self.champion_ape,
            "challenger_ape": self.challenger_ape,
            "rows": self.rows,
            "won": self.is_won,
            "champion_refitted": self.is_refitted,
            "metrics": self.metrics,
            "folds": [
                {
                    "kind": r.kind,
                    "name": r.name,
                    "rows": r.rows,
                    "champion_ape": r.champion.ape,
                    "champion_coverage90": r.champion.coverage90,
                    "challenger_ape": r.challenger.ape,
                    "challenger_coverage90": r.challenger.coverage90,
                }
                for r in self.rounds
            ],
        }


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


_FEWEST_LEFT = 3


def fight(
    records: Sequence[RunRecord],
    *,
    champion: Predictor,
    prior: Path,
    learned: Collection[str] | None = None,
) -> Duel:
    """Leave one group of the user's runs out at a time and predict it by both.

    The runs judged are those of the last stage of training; confirmatory ones are left out with
    their group but do not judge. Neither side is told any run of the group: it is the surrogates
    that are compared.

    Args:
        champion: As it is; judged so unless ``learned`` is given.
        learned: Ids of the records that the champion was refined from; ``None`` when it was not.
    """
    challenger = _Recipe(records, prior)
    known = None if learned is None else [r for r in records if r.record_id in learned]
    defender = None if known is None else _Recipe(known, prior)
    rounds = []
    for group in held_out_groups(challenger.last):
        judged = [row for row in group.rows if row.purpose != "confirm"]
        out = {row.record_id for row in group.rows}
        new = challenger.without(out)
        if new is None or not judged:
            continue
        old = champion if defender is None else (defender.without(out) or defender.prior)
        rounds.append(_judge(group, judged, champion=old, challenger=new))
    return Duel(rounds=tuple(rounds), is_refitted=defender is not None)


class _Recipe:
    """A refinement of the prior that can be repeated without some rows of its last stage."""

    def __init__(self, records: Sequence[RunRecord], prior: Path) -> None:
        loaded = load_prior(prior)
        self.prior = loaded.predictor
        parts = list(stages(prepare(records), loaded.predictor.meta).values())
        self._base, self._before = groundwork(loaded, parts)
        self._data: Dataset | None = parts[-1] if parts else None

    @property
    def last(self) -> list[RunRecord]:
        """The rows of the last stage."""
        return [] if self._data is None else self._data.records

    def without(self, out: Collection[str]) -> Predictor | None:
        """Return the surrogate refined without these rows; ``None`` when too few are left."""
        if self._data is None:
            return None
        rest = np.array([row.record_id not in out for row in self._data.records])
        if len(self._before) + int(rest.sum()) < _FEWEST_LEFT:
            return None
        taught: FittedSurrogate = self._base
        if rest.any():
            taught = teach(taught, self._data.take(rest), self._before)
        return taught.predictor


def _judge(
    group: HeldOut, rows: Sequence[RunRecord], *, champion: Predictor, challenger: Predictor
) -> Round:
    return Round(
        kind=group.kind,
        name=group.name,
        rows=len(rows),
        champion=_side(champion, rows),
        challenger=_side(challenger, rows),
    )


def _side(predictor: Predictor, rows: Sequence[RunRecord]) -> Side:
    """Return median error and coverage, means over the landscapes of the rows."""
    landscapes: dict[object, list[RunRecord]] = defaultdict(list)
    for row in rows:
        landscapes[landscape_of(row)].append(row)
    errors, covered = [], []
    for members in landscapes.values():
        predictions = predictor.predict([row.configuration for row in members])
        measured = np.array([row.output_throughput or 1.0 for row in members])
        middle, low, high = (
            np.array([getattr(p, name) for p in predictions])
            for name in ("output_throughput", "low", "high")
        )
        errors.append(float(np.median(np.abs(middle / measured - 1))))
        covered.append(coverage(low, measured, high))
    return Side(ape=float(np.mean(errors)), coverage90=float(np.mean(covered)))
