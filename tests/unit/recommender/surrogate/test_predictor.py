"""Fitting, saving, loading and predicting, on made-up landscapes and on the shipped surrogate."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotune.catalog.gpus import load_gpus
from autotune.catalog.models import catalogue_names
from autotune.errors import SurrogateError, UnknownGpuError
from autotune.schema.configuration import Configuration
from autotune.schema.record import RunRecord
from recommender.features.roofline import BOTTLENECKS
from recommender.surrogate.artifact import META_FILE, TREES_FILE
from recommender.surrogate.predictor import PRETRAINED, Predictor
from recommender.training import fit as surrogate
from recommender.training.fit import fit
from tests.support.landscapes import synthetic_runs

RUNS = synthetic_runs()
SHIPPED = Predictor.load(PRETRAINED)


@pytest.fixture(scope="module")
def fitted():
    return fit(RUNS)


@pytest.fixture(scope="module")
def shipped():
    return SHIPPED


def _ask(**changes):
    fields = {
        "engine": "vllm",
        "model": "meta-llama/Llama-3.1-8B",
        "gpu": "H100-80GB",
        "n_gpus": 1,
        "batch_size": 8,
        "input_len": 512,
        "output_len": 128,
    }
    return Configuration(**{**fields, **changes})


def _run(asked, throughput, **changes):
    fields = {name: getattr(asked, name) for name in ("engine", "model", "gpu", "n_gpus")}
    fields |= {"input_len": asked.input_len, "output_len": asked.output_len}
    fields |= {"batch_size": asked.batch_size, "status": "completed", "source": "autotune"}
    return RunRecord(**{**fields, "output_throughput": throughput, **changes})


def _check(prediction):
    numbers = (prediction.low, prediction.output_throughput, prediction.high)
    assert all(np.isfinite(numbers))
    assert 0 < prediction.low <= prediction.output_throughput <= prediction.high
    assert 0 <= prediction.p_feasible <= 1
    assert prediction.memory_gb > 0
    assert prediction.ttft_ms > 0
    assert prediction.bottleneck in BOTTLENECKS
    assert prediction.confidence in ("high", "medium", "low")


def test_the_summary_says_what_was_used(fitted):
    summary = fitted.training_summary
    assert summary["rows_given"] == summary["rows_used"] == len(RUNS)
    assert summary["landscapes"] == 12
    assert summary["grown"] in surrogate.GROWN
    assert fitted.booster.feature_names == list(fitted.feature_names)


def test_how_fast_trees_learn_is_what_does_best_on_rows_left_out(monkeypatch):
    """Only trees that learn at all can say anything of a row that is left out."""
    hardly, well = {"eta": 1e-9, "max_depth": 1}, {"eta": 0.1, "max_depth": 4}
    chosen = []
    for tried in ((hardly, well), (well, hardly)):
        monkeypatch.setattr(surrogate, "GROWN", tried)
        chosen.append(surrogate.fit(RUNS).training_summary["grown"])
    assert chosen == [well, well]


def test_the_same_rows_write_the_same_bytes(tmp_path, fitted):
    fitted.save(tmp_path / "one")
    fit(RUNS).save(tmp_path / "two")
    for name in (TREES_FILE, META_FILE):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_loaded_surrogate_predicts_alike(tmp_path, fitted):
    fitted.save(tmp_path)
    asked = [_ask(batch_size=batch) for batch in (1, 8, 64)]
    assert Predictor.load(tmp_path).predict(asked) == fitted.predictor.predict(asked)


def test_it_learns_the_rows_it_saw(fitted):
    expected = [p.output_throughput for p in fitted.predictor.predict(RUNS, RUNS)]
    errors = np.abs(np.log(expected) - np.log([run.output_throughput for run in RUNS]))
    assert np.median(errors) < 0.05


def test_too_few_rows_are_refused():
    with pytest.raises(SurrogateError, match="only 3 of 3 rows"):
        fit(RUNS[:3])


@pytest.mark.parametrize("name", [TREES_FILE, META_FILE])
def test_a_missing_file_is_named(tmp_path, fitted, name):
    fitted.save(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(SurrogateError, match=name):
        Predictor.load(tmp_path)


def test_changed_trees_fail_the_checksum(tmp_path, fitted):
    fitted.save(tmp_path)
    trees = tmp_path / TREES_FILE
    trees.write_bytes(trees.read_bytes()[:-10])
    with pytest.raises(SurrogateError, match="checksum"):
        Predictor.load(tmp_path)


@pytest.mark.parametrize("damage", ["drop", "cut", "format"])
def test_damaged_constants_are_refused(tmp_path, fitted, damage):
    fitted.save(tmp_path)
    path = tmp_path / META_FILE
    values = json.loads(path.read_text())
    if damage == "drop":
        del values["hyper"]
    if damage == "format":
        values["format"] = 99
    text = json.dumps(values)
    path.write_text(text[: len(text) // 2] if damage == "cut" else text)
    with pytest.raises(SurrogateError, match=META_FILE):
        Predictor.load(tmp_path)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(catalogue_names()),
    st.sampled_from([*sorted(load_gpus()), "cpu"]),
    st.sampled_from([1, 2, 8]),
    st.sampled_from([1, 16, 1024]),
    st.sampled_from(["vllm", "hf", "trtllm", "sglang", "tgi"]),
    st.sampled_from(["closed_batch", "serving"]),
    st.sampled_from([None, 1, 8000]),
)
def test_any_catalogue_pair_gets_a_finite_answer(model, gpu, n, batch, engine, mode, length):
    asked = _ask(model=model, gpu=gpu, n_gpus=n, batch_size=batch, engine=engine, mode=mode)
    asked = replace(asked, input_len=length, output_len=length)
    [prediction] = SHIPPED.predict([asked])
    _check(prediction)


def test_three_runs_move_the_landscape_and_narrow_it(shipped):
    asked = [_ask(batch_size=batch) for batch in (1, 4, 16, 64, 256)]
    before = shipped.predict(asked)
    halved = [_run(asked[i], before[i].output_throughput / 2) for i in (0, 2, 4)]
    after = shipped.predict(asked, halved)
    for old, new in zip(before, after, strict=True):
        _check(new)
        assert new.output_throughput == pytest.approx(old.output_throughput / 2, rel=0.15)
        assert new.high / new.low < old.high / old.low
    assert {p.confidence for p in after} == {"high"}


def test_runs_on_another_gpu_move_it_less_than_runs_on_the_target(shipped):
    asked = _ask(batch_size=32)
    [before] = shipped.predict([asked])
    base = before.output_throughput
    other = _ask(batch_size=32, gpu="A100-80GB")
    [there] = shipped.predict([other])
    [elsewhere] = shipped.predict([asked], [_run(other, there.output_throughput / 3)])
    [here] = shipped.predict([asked], [_run(asked, base / 3)])
    assert here.output_throughput < elsewhere.output_throughput < base


def test_a_cpu_prediction_lands_near_three_known_runs(shipped):
    speeds = {1: 12.0, 4: 40.0, 16: 90.0}
    # named, not found: what the machine that runs the tests is must not matter
    gpu = "CPU:some-processor-16c"
    asked = [_ask(gpu=gpu, batch_size=batch, model="microsoft/phi-2") for batch in (1, 4, 8, 16)]
    known = [_run(a, speeds[a.batch_size]) for a in asked if a.batch_size in speeds]
    after = [p.output_throughput for p in shipped.predict(asked, known)]
    assert after[0] == pytest.approx(12.0, rel=0.05)
    assert after[1] == pytest.approx(40.0, rel=0.05)
    assert 40 < after[2] < 90


def test_suspect_runs_do_not_count(shipped):
    asked = _ask()
    wrong = _run(asked, 1.0, suspect=True)
    assert shipped.predict([asked], [wrong]) == shipped.predict([asked])


def test_a_configuration_that_failed_never_returns(shipped):
    asked = [_ask(engine="hf", batch_size=batch) for batch in (8, 16, 32)]
    failed = _run(asked[1], None, status="out_of_memory")
    smaller, same, larger = shipped.predict(asked, [failed])
    assert same.p_feasible == larger.p_feasible == 0.0
    assert not same.fits
    assert smaller.p_feasible > 0


def test_weights_that_do_not_fit_are_hardly_feasible(shipped):
    [prediction] = shipped.predict([_ask(model="meta-llama/Llama-2-70b-hf", gpu="T4")])
    assert not prediction.fits
    assert prediction.p_feasible < 0.1


def test_a_thousand_configurations_are_answered_as_each_would_be_alone(shipped):
    """How much quicker they are together, ``scripts/benchmark_recommend.py`` says."""
    asked = [_ask(batch_size=1 + i) for i in range(1000)]
    together = shipped.predict(asked)
    assert len(together) == 1000
    for i in (0, 499, 999):
        assert shipped.predict([asked[i]]) == [together[i]]


def test_nothing_asked_nothing_answered(shipped):
    assert shipped.predict([]) == []
    with pytest.raises(UnknownGpuError):
        shipped.predict([_ask(gpu="H1000")])


def test_the_shipped_files_are_small_and_hold_no_rows():
    sizes = {path.name: path.stat().st_size for path in PRETRAINED.iterdir()}
    assert sizes[TREES_FILE] < 2_000_000
    assert sizes[META_FILE] < 50_000
