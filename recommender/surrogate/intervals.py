"""Conformal prediction intervals: how far measured runs fell from predictions made without them.

Scores are |residual| / the calibration's own standard deviation, taken on landscapes (model, GPU,
harness) that were left out of training, in each state of knowledge. Rows of one landscape err
together, so a landscape counts once, however many rows it has (weighted split conformal prediction,
Vovk et al. 2005; Tibshirani et al. 2019).
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from recommender.features.table import Array, ConfigurationTable

LEVEL: Final = 0.90
# What is known: of other models on the target GPU, of the model on other GPUs, of it on the target
# (beside other GPUs, or on no other).
NOTHING, NEIGHBOURS, ELSEWHERE = "nothing", "neighbours", "elsewhere"
BOTH, ON_TARGET, ALONE = "elsewhere_and_neighbours", "on_target", "on_target_alone"
STATES: Final = (NOTHING, NEIGHBOURS, ELSEWHERE, BOTH, ON_TARGET, ALONE)
_GB: Final = 2.0**30
_CROWDED: Final = 0.7
_CROWDED_DOUBT: Final = 2.0
WITHOUT_EVIDENCE: Final = 1.645


def doubt(inputs: ConfigurationTable) -> Array:
    """Return the factor on the calibration's deviation, shape (n,).

    Where weights take most of the GPUs' memory, a Hugging Face pipeline offloads some of them or
    has little room left: errors there are about twice those elsewhere.
    """
    room = inputs["n_gpus"] * inputs["memory_gb"] * _GB
    is_crowded = inputs.is_engine("hf") & (inputs["weight_bytes"] > _CROWDED * room)
    return np.where(is_crowded, _CROWDED_DOUBT, 1.0)


def conformal_quantile(scores: Sequence[Array], level: float = LEVEL) -> float:
    """Return the score that a new landscape's rows stay under with probability ``level``.

    Args:
        scores: One array of shape (rows,) a landscape; each landscape weighs 1 in all.

    Returns:
        The weighted quantile with the new landscape's own weight at infinity; the largest score
        where there are too few landscapes for the level; a normal's quantile without any.
    """
    filled = [array for array in scores if array.size]
    if not filled:
        return WITHOUT_EVIDENCE
    values = np.concatenate(filled)
    weight = np.concatenate([np.full(array.size, 1 / array.size) for array in filled])
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weight[order]) / (len(filled) + 1)
    index = min(int(np.searchsorted(reached, level)), len(values) - 1)
    return float(values[order][index])


def coverage(low: Array, measured: Array, high: Array) -> float:
    """Return the share of measured values inside their interval."""
    return float(np.mean((low <= measured) & (measured <= high)))
