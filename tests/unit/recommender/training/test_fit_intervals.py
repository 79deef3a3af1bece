"""Conformal factors of each state of knowledge, on landscapes whose errors are known."""

import dataclasses

import numpy as np
import pytest

from recommender.surrogate.evidence import NOTHING, ON_TARGET, STATES
from recommender.surrogate.gaussian_process import Hyper, cells_of, covariance
from recommender.training.dataset import prepare
from recommender.training.fit_intervals import learn_quantiles, three_cells
from tests.support.landscapes import synthetic_runs

HYPER = Hyper()
DATA = prepare([run for i in range(8) for run in synthetic_runs(source=f"harness-{i}")])
CELLS = cells_of(DATA.records, DATA.inputs)


def _drawn(scale=1.0):
    """Residuals as the calibration assumes them: each harness drawn on its own."""
    rng = np.random.default_rng(1)
    residual = np.zeros(len(DATA.records))
    for source in range(len(DATA.sources)):
        rows = np.flatnonzero(DATA.source == source)
        cells = CELLS.take(rows)
        gram = covariance(HYPER, cells, cells) + HYPER.noise * np.eye(rows.size)
        residual[rows] = scale * rng.multivariate_normal(np.zeros(rows.size), gram)
    return residual


def _learn(residual):
    index = np.arange(len(DATA.records))
    rng = np.random.default_rng(0)
    return learn_quantiles(DATA, CELLS, residual, residual, index, HYPER, rng)


def test_errors_as_assumed_need_about_a_normals_quantile():
    learned = _learn(_drawn())
    assert set(learned) == set(STATES)
    for factor in learned.values():
        assert 1.2 < factor < 2.3


def test_larger_errors_need_wider_intervals():
    calm, wild = _learn(_drawn()), _learn(_drawn(scale=2.0))
    assert wild[NOTHING] == pytest.approx(2 * calm[NOTHING], rel=1e-3)
    # runs of the model show that it strays, and widen the deviation by themselves
    assert 2 * calm[ON_TARGET] > wild[ON_TARGET] > calm[ON_TARGET]


def test_runs_chosen_by_a_model_do_not_calibrate():
    records = [dataclasses.replace(r, purpose="confirm", run_key=None) for r in DATA.records]
    data = dataclasses.replace(DATA, records=records)
    index = np.arange(len(records))
    drawn, rng = _drawn(), np.random.default_rng(0)
    learned = learn_quantiles(data, CELLS, drawn, drawn, index, HYPER, rng)
    assert set(learned.values()) == {1.645}


def test_three_cells_are_the_ends_and_a_middle():
    rows = np.flatnonzero(DATA.source == 0)[:8]
    batches = [DATA.records[i].batch_size for i in three_cells(CELLS, rows)]
    assert (batches[0], batches[-1]) == (1, 256)
    assert batches[1] in (8, 64)
