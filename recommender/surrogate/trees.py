"""Evaluate an XGBoost regression model from its saved JSON with numpy alone.

XGBoost compares in single precision: a row goes left where ``x < threshold`` (or to the node's
default side where ``x`` is missing). The prediction is the base score plus one leaf of each tree.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autotune.errors import SurrogateError

_NO_CHILD = -1
_OBJECTIVES = frozenset({"reg:squarederror", "reg:pseudohubererror", "reg:absoluteerror"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Forest:
    """All trees side by side, each padded to the largest; leaves point to themselves.

    Attributes:
        feature: Split feature of each node, shape (n_trees, n_nodes).
        threshold: Split value, or the leaf's value, float32, shape (n_trees, n_nodes).
        left, right: Child nodes, shape (n_trees, n_nodes).
        default_left: Where a missing value goes, shape (n_trees, n_nodes).
        depth: Levels of the deepest tree.
        base_score: What the prediction starts from.
    """

    feature: NDArray[np.int32]
    threshold: NDArray[np.float32]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    default_left: NDArray[np.bool_]
    depth: int
    base_score: float
    feature_names: tuple[str, ...]

    def predict(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return predictions, shape (n,), for features of shape (n, n_features); NaN is missing."""
        values = np.asarray(features, dtype=np.float32)
        rows = np.arange(len(values))[:, None]
        trees = np.arange(len(self.feature))[None, :]
        node = np.zeros((len(values), len(self.feature)), dtype=np.int32)
        for _ in range(self.depth):
            value = values[rows, self.feature[trees, node]]
            goes_left = np.where(
                np.isnan(value), self.default_left[trees, node], value < self.threshold[trees, node]
            )
            node = np.where(goes_left, self.left[trees, node], self.right[trees, node])
        total: NDArray[np.float64] = self.threshold[trees, node].sum(axis=1, dtype=np.float64)
        return total + self.base_score


def load_forest(text: str | bytes) -> Forest:
    """Read a model saved by ``Booster.save_model`` as JSON.

    Raises:
        SurrogateError: When it is not such a model, or has categorical splits or several outputs.
    """
    try:
        learner = json.loads(text)["learner"]
        return _forest(learner)
    except (ValueError, KeyError, TypeError, IndexError) as err:
        raise SurrogateError(
            f"the surrogate's trees cannot be read ({err!r}): train again"
        ) from err


def _forest(learner: Mapping[str, Any]) -> Forest:
    objective = learner["objective"]["name"]
    if objective not in _OBJECTIVES:
        raise SurrogateError(f"the surrogate has objective {objective}, not a regression")
    trees = learner["gradient_booster"]["model"]["trees"]
    if any(tree["categories_nodes"] for tree in trees):
        raise SurrogateError("the surrogate has categorical splits, which are not evaluated here")
    n_nodes = max((len(tree["left_children"]) for tree in trees), default=1)
    shape = (len(trees), n_nodes)
    left, right = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    feature, default_left = np.zeros(shape, np.int32), np.zeros(shape, np.bool_)
    threshold = np.zeros(shape, np.float32)
    depth = 0
    for row, tree in enumerate(trees):
        size = len(tree["left_children"])
        itself = np.arange(size, dtype=np.int32)
        lefts = np.array(tree["left_children"], np.int32)
        is_leaf = lefts == _NO_CHILD
        left[row, :size] = np.where(is_leaf, itself, lefts)
        right[row, :size] = np.where(is_leaf, itself, np.array(tree["right_children"], np.int32))
        feature[row, :size] = np.where(is_leaf, 0, np.array(tree["split_indices"], np.int32))
        threshold[row, :size] = np.array(tree["split_conditions"], np.float32)
        default_left[row, :size] = np.array(tree["default_left"], np.bool_)
        depth = max(depth, _depth(left[row], right[row]))
    return Forest(
        feature=feature,
        threshold=threshold,
        left=left,
        right=right,
        default_left=default_left,
        depth=depth,
        base_score=_base_score(learner["learner_model_param"]["base_score"]),
        feature_names=tuple(learner.get("feature_names", ())),
    )


def _depth(left: NDArray[np.int32], right: NDArray[np.int32]) -> int:
    """Return the number of splits on the longest way from the root to a leaf."""
    depth, level = 0, np.zeros(1, np.int32)
    while True:
        inner = level[left[level] != level]
        if not inner.size:
            return depth
        level = np.concatenate((left[inner], right[inner]))
        depth += 1


def _base_score(text: str) -> float:
    """Read "5E-1" or, for a list of one output, "[5E-1]"."""
    scores = text.strip("[]").split(",")
    if len(scores) != 1:
        raise SurrogateError("the surrogate predicts several outputs, which are not evaluated here")
    return float(scores[0])
