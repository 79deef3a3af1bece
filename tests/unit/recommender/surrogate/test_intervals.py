"""Conformal quantiles and the calibration they scale."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.schema.configuration import Configuration
from recommender.features.table import collect
from recommender.surrogate.evidence import WITHOUT_EVIDENCE, conformal_quantile, coverage, doubt
from recommender.surrogate.gaussian_process import (
    Hyper,
    cells_of,
    posterior,
    student_t_scale,
    winsorized,
)

HYPER = Hyper()


def _cells(*rows):
    asked = [
        Configuration(
            engine="vllm",
            model=model,
            gpu=gpu,
            n_gpus=1,
            batch_size=batch,
            input_len=512,
            output_len=128,
        )
        for model, gpu, batch in rows
    ]
    return cells_of(asked, collect(asked))


LLAMA, PHI = "meta-llama/Llama-3.1-8B", "microsoft/phi-2"
TWO = _cells((LLAMA, "H100-80GB", 8), (LLAMA, "H100-80GB", 16))
KNOWN, WANTED = TWO.take(np.array([0])), TWO.take(np.array([1]))


def test_the_new_landscape_itself_counts():
    scores = [np.array([float(value)]) for value in range(1, 20)]
    assert conformal_quantile(scores, level=0.9) == 18.0
    assert conformal_quantile(scores[:5], level=0.9) == 5.0  # too few: the largest


def test_a_landscape_counts_once_however_many_rows_it_has():
    wild, calm = np.full(1000, 9.0), [np.array([1.0])] * 30
    assert conformal_quantile([wild, *calm], level=0.9) == 1.0


def test_without_scores_a_normal_quantile():
    assert conformal_quantile([]) == conformal_quantile([np.array([])]) == WITHOUT_EVIDENCE


@given(st.lists(st.floats(0, 10), min_size=1, max_size=60))
def test_the_quantile_is_one_of_the_scores(values):
    assert conformal_quantile([np.array([value]) for value in values]) in values


def test_coverage_counts_bounds_in():
    low, high = np.array([1.0, 1.0, 1.0]), np.array([2.0, 2.0, 2.0])
    assert coverage(low, np.array([1.0, 2.0, 3.0]), high) == pytest.approx(2 / 3)


def test_with_nothing_known_the_prior_answers():
    empty = KNOWN.take(np.array([], dtype=np.int64))
    mean, deviation = posterior(HYPER, empty, np.zeros(0), WANTED)
    assert mean.tolist() == [0.0]
    assert deviation[0] == pytest.approx(HYPER.prior_variance**0.5)


def test_a_known_run_pulls_its_neighbour_and_narrows_it():
    mean, deviation = posterior(HYPER, KNOWN, np.array([0.4]), WANTED)
    assert 0.25 < mean[0] < 0.4
    assert deviation[0] < 0.6 * HYPER.prior_variance**0.5


def test_the_nearer_the_run_the_stronger_the_pull():
    rows = (
        (LLAMA, "H100-80GB", 8),
        (LLAMA, "H100-80GB", 16),
        (LLAMA, "A100-80GB", 8),
        (PHI, "H100-80GB", 8),
        (PHI, "A100-80GB", 512),
    )
    cells = _cells(*rows)
    mean, deviation = posterior(
        HYPER, cells.take(np.array([0])), np.array([0.4]), cells.take(np.arange(1, 5))
    )
    assert mean[0] > mean[1] > mean[3] > 0
    assert mean[0] > mean[2] > mean[3]
    assert deviation[0] < deviation[1] < deviation[3]


def test_repeated_runs_do_not_break_it():
    same = KNOWN.take(np.zeros(20, dtype=np.int64))
    mean, deviation = posterior(HYPER, same, np.full(20, 0.2), KNOWN)
    assert mean[0] == pytest.approx(0.2, rel=0.02)
    assert np.isfinite(deviation).all()


def test_hyper_parameters_survive_their_file():
    assert Hyper.from_dict(HYPER.to_dict()) == HYPER


def test_other_models_oddities_are_kept_near_the_middle_the_asked_ones_stand():
    residual = np.array([0.0, 0.1, -0.1, 0.05, -2.3, -2.3])
    groups = np.zeros((6, 1), dtype=np.int64)
    is_asked = np.array([False] * 5 + [True])
    kept = winsorized(residual, groups, is_asked)
    middle = np.median(residual)
    edge = 2 * 1.4826 * np.median(np.abs(residual - middle))
    assert kept[:4] == pytest.approx(residual[:4])
    assert kept[4] == pytest.approx(middle - edge)
    assert kept[5] == residual[5]


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=40), st.integers(1, 4))
def test_winsorising_never_leaves_the_range_nor_the_order(values, n_groups):
    residual = np.array(values)
    groups = (np.arange(len(values)) % n_groups)[:, None]
    kept = winsorized(residual, groups, np.zeros(len(values), dtype=bool))
    assert kept.min() >= residual.min() - 0.1
    assert kept.max() <= residual.max() + 0.1
    for group in range(n_groups):
        rows = groups[:, 0] == group
        order = np.argsort(residual[rows], kind="stable")
        assert (np.diff(kept[rows][order]) >= 0).all()


def test_a_pipeline_with_little_room_left_is_doubted():
    asked = [
        Configuration(engine=engine, model=LLAMA, gpu=gpu, n_gpus=1, batch_size=1, dtype=dtype)
        for engine, gpu, dtype in (
            ("hf", "V100-32GB", "float32"),  # 30 GB of weights in 32 GB
            ("hf", "A100-80GB", "float32"),
            ("vllm", "V100-32GB", "float32"),
        )
    ]
    assert doubt(collect(asked)).tolist() == [2.0, 1.0, 1.0]


def test_a_model_that_strays_is_odd_and_others_hardly():
    known = _cells(*((model, "H100-80GB", 2**k) for model in (LLAMA, PHI) for k in range(6)))
    swing = np.where(np.arange(6) % 2, 1.0, -1.0)
    factor = student_t_scale(HYPER, known, np.concatenate((2.0 * swing, 0.01 * swing)), known)
    assert factor[:6].min() > 2 * factor[6:].max()
    calm = student_t_scale(HYPER, known, np.zeros(12), known)
    assert calm == pytest.approx(np.ones(12))
    nothing = student_t_scale(HYPER, known.take(np.array([], dtype=int)), np.zeros(0), known)
    assert nothing == pytest.approx(np.ones(12))
