"""What a duel between two surrogates said, for a terminal, as JSON and as a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

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
