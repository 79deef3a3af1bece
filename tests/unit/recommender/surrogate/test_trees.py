"""numpy's evaluation of saved trees equals XGBoost's."""

import numpy as np
import pytest
import xgboost

from autotune.errors import SurrogateError
from recommender.surrogate.trees import load_forest


def _train(rng, *, n_features=7, rounds=40, depth=5, base_score=None):
    features = rng.normal(size=(600, n_features))
    features[rng.random(features.shape) < 0.15] = np.nan
    target = (
        np.nan_to_num(features[:, 0]) * 2 + np.nan_to_num(features[:, 1] > 0) + rng.normal(size=600)
    )
    parameters = {"max_depth": depth, "eta": 0.2, "nthread": 1, "tree_method": "hist"}
    if base_score is not None:
        parameters["base_score"] = base_score
    booster = xgboost.train(parameters, xgboost.DMatrix(features, label=target), rounds)
    return booster, bytes(booster.save_raw(raw_format="json"))


@pytest.mark.parametrize("base_score", [None, 0.0, -3.5])
@pytest.mark.parametrize("depth", [1, 3, 6])
def test_predictions_equal_xgboost_with_missing_values(depth, base_score):
    rng = np.random.default_rng(depth)
    booster, text = _train(rng, depth=depth, base_score=base_score)
    unseen = rng.normal(size=(500, 7)) * 3
    unseen[rng.random(unseen.shape) < 0.3] = np.nan
    expected = booster.predict(xgboost.DMatrix(unseen))
    assert load_forest(text).predict(unseen) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_values_on_a_threshold_go_the_same_way():
    booster, text = _train(np.random.default_rng(0))
    forest = load_forest(text)
    on_threshold = np.tile(forest.threshold[:, :1].astype(np.float64), (1, 7))
    expected = booster.predict(xgboost.DMatrix(on_threshold))
    assert forest.predict(on_threshold) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_a_single_leaf_is_a_constant():
    booster, text = _train(np.random.default_rng(1), rounds=1, depth=1)
    stump = load_forest(text)
    assert stump.depth == 1
    assert len(set(stump.predict(np.linspace(-9, 9, 50)[:, None] * np.ones(7)).round(9))) <= 2
    assert booster.num_boosted_rounds() == 1


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"learner": {"objective": {}}}'])
def test_damaged_trees_are_refused(text):
    with pytest.raises(SurrogateError, match="trees cannot be read"):
        load_forest(text)


def test_other_objectives_are_refused():
    features = np.random.default_rng(0).normal(size=(50, 2))
    matrix = xgboost.DMatrix(features, label=(features[:, 0] > 0).astype(float))
    booster = xgboost.train({"objective": "binary:logistic", "nthread": 1}, matrix, 2)
    with pytest.raises(SurrogateError, match="binary:logistic"):
        load_forest(bytes(booster.save_raw(raw_format="json")))
