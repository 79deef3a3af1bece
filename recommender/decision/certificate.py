"""How far from the best a measured configuration can still be: a bound that holds with 90 %.

The configurations not run are drawn together, with the deviations of their conformal intervals and
the correlations of the calibration: neighbours err together, so their best is less uncertain than
that of independent ones. How irregular a landscape is shows in its runs only, so the draws follow a
t distribution with as many degrees of freedom as runs, and one of the prior. The 90 % quantile of
the best of a draw bounds the landscape's best.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from recommender.decision.acquisition import Belief, draw
from recommender.features.table import Array
from recommender.surrogate.evidence import LEVEL

# Conformal deviations are those of single predictions, with the level that all configurations of a
# landscape share. Chosen on the published landscapes under the protocol migration, where the bound
# holds on at least 90 % of them after 1, 3 and 5 runs.
RELATIVE_WIDTH: Final = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What is certain after the runs, in shares of the recommendation's objective.

    Attributes:
        regret_bound90: With 90 % confidence no configuration that could be run is better than the
            winner by a larger share of it: 1 - winner / best.
        kept_slowdown: 1 - kept / winner, negative where the kept one is better; 1 where it failed,
            ``None`` where there is none.
        is_kept_measured: Whether the kept configuration was run, not only predicted.
    """

    runs: int
    regret_bound90: float
    kept_slowdown: float | None
    is_kept_measured: bool

    @property
    def text(self) -> str:
        """The certificate in a sentence."""
        plural = "s" if self.runs > 1 else ""
        first = (
            f"Within {self.regret_bound90:.1%} of the best with 90 % confidence after {self.runs} "
            f"run{plural}"
        )
        return f"{first}; kept configuration: {self._incumbent}."

    @property
    def _incumbent(self) -> str:
        slowdown = self.kept_slowdown
        if slowdown is None:
            return "none"
        if self.is_kept_measured and slowdown >= 1:
            return "failed"
        if slowdown == 0:
            return "the winner"
        text = f"{abs(slowdown):.1%} {'slower' if slowdown > 0 else 'faster'}"
        return text if self.is_kept_measured else f"{text} (predicted)"

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            "runs": self.runs,
            "regret_bound90": self.regret_bound90,
            "kept_slowdown": self.kept_slowdown,
            "is_kept_measured": self.is_kept_measured,
            "text": self.text,
        }


def best_bound90(
    beliefs: Sequence[Belief],
    correlation: Array,
    measured: Sequence[float],
    scale: Sequence[float] | None = None,
) -> float:
    """Return what the best of a landscape stays under with 90 % confidence.

    Args:
        beliefs: Of the n configurations not run.
        correlation: Of their log throughputs, shape (n, n).
        measured: What the runs brought, in units of the objective, 0 where one failed.
        scale: What a token/s of each belief is worth in the objective, shape (n,); 1 by default.
    """
    held = max(measured, default=0.0)
    if not beliefs:
        return held
    freedom = 1 + sum(value > 0 for value in measured)
    best = draw(beliefs, correlation, scale, width=RELATIVE_WIDTH, freedom=freedom).max(axis=1)
    return max(held, float(np.quantile(best, LEVEL)))


def regret_bound90(reached: float, best90: float) -> float:
    """Return the share of ``best90`` that is given up with what was reached, 0 to 1."""
    return min(max(1 - reached / best90, 0.0), 1.0) if best90 > 0 else 1.0
