"""Advice held against landscapes that were measured in full, here made-up ones."""

import dataclasses
import statistics
from pathlib import Path

import pytest

from autotune.errors import InvalidRecordError
from autotune.schema.codec import to_json_line
from autotune.schema.record import RunRecord
from recommender.confirmation.confirm import confirm
from recommender.confirmation.devices import Replay
from recommender.recommendation.recommend import recommend
from recommender.surrogate.predictor import PRETRAINED, Predictor
from research.reference.gpu_time import (
    confirmation_gpu_s,
    grid_gpu_s,
    run_gpu_s,
    start_gpu_s,
    tpe_search,
)
from research.reference.landscapes import ReferenceLandscape, reference_landscapes
from research.reference.ledger import advise, aims, settle, to_dict
from research.reference.left_out import leave_one_out
from research.reference.plots import draw_landscape, draw_predicted
from research.reference.proof import Proof, fit_of, prove
from research.reference.report import markdown
from research.reference.stopping import stop_early
from tests.support.landscapes import MODELS, synthetic_runs
from tests.support.records import record

PREDICTOR = Predictor.load(PRETRAINED)
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
START_S, MEASURE_S, REPEATS = 60.0, 6.0, 3
A_RUN = MEASURE_S * (1 + 1 / REPEATS)


def made_up(
    *, level: float = 1.1, without: int | None = None, fall_from: int = 10**9
) -> ReferenceLandscape:
    """Return a landscape ``level`` times as fast as predicted.

    Args:
        without: A batch size that was not measured.
        fall_from: Batch sizes above this one bring a tenth.
    """
    asked = [
        record(
            gpu="H200",
            batch_size=batch,
            engine_start_s=START_S,
            measure_s=MEASURE_S,
            repeats=REPEATS,
        )
        for batch in BATCHES
        if batch != without
    ]
    told = PREDICTOR.predict([row.configuration for row in asked])
    rows = tuple(
        dataclasses.replace(
            row,
            output_throughput=level
            * prediction.output_throughput
            * (0.1 if row.batch_size > fall_from else 1),
        )
        for row, prediction in zip(asked, told, strict=True)
    )
    return ReferenceLandscape(name="made-up", rows=rows)


def proof_of(land: ReferenceLandscape) -> Proof:
    return prove(land, recommend(land.query(), PREDICTOR), PREDICTOR)


def write(path: Path, rows: list[RunRecord]) -> Path:
    path.write_text("".join(to_json_line(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_journal_holds_one_landscape_a_workload(tmp_path: Path) -> None:
    rows = [
        record(batch_size=8, input_len=512, output_len=128),
        record(batch_size=1, input_len=512, output_len=128),
        record(batch_size=8, input_len=200, output_len=20),
        record(batch_size=8, input_len=200, output_len=20, mode="stream"),
        record(batch_size=16, input_len=200, output_len=20, suspect=True),
    ]
    lands = reference_landscapes([write(tmp_path / "one.jsonl", rows)])
    assert [land.title for land in lands] == ["one 200/20", "one 512/128"]
    assert [[row.batch_size for row in land.rows] for land in lands] == [[8], [1, 8]]


def test_a_configuration_measured_twice_is_refused() -> None:
    with pytest.raises(InvalidRecordError, match="made-up holds a configuration twice"):
        ReferenceLandscape(name="made-up", rows=(record(), record()))


def test_regret_is_a_share_of_the_best_and_unknown_where_nothing_was_measured() -> None:
    rows = tuple(record(batch_size=b, output_throughput=100.0 * b) for b in (1, 2, 4))
    land = ReferenceLandscape(name="made-up", rows=rows)
    assert land.regret((1, 4)) == 0
    assert land.regret((1, 1)) == 0.75
    assert land.regret((1, 8)) is None


def test_a_grid_starts_the_engine_once_or_for_each_configuration() -> None:
    land = made_up()
    runs = len(BATCHES) * A_RUN
    assert start_gpu_s(land, 1) == START_S
    assert run_gpu_s(land.rows[0]) == pytest.approx(A_RUN)
    assert grid_gpu_s(land, is_restarted=False) == pytest.approx(runs + START_S)
    assert grid_gpu_s(land, is_restarted=True) == pytest.approx(runs + len(BATCHES) * START_S)


def test_gpus_of_an_engine_start_count_each() -> None:
    rows = tuple(
        record(n_gpus=n, engine_start_s=START_S, measure_s=MEASURE_S, repeats=None) for n in (1, 2)
    )
    land = ReferenceLandscape(name="made-up", rows=rows)
    assert grid_gpu_s(land, is_restarted=False) == 3 * (START_S + 2 * MEASURE_S)


def test_confirmatory_runs_share_an_engine_that_was_started_large_enough() -> None:
    land = made_up()
    done = confirm(recommend(land.query(), PREDICTOR), Replay(land.rows), PREDICTOR, runs=3)
    assert confirmation_gpu_s(land, done) == pytest.approx(START_S + 3 * A_RUN)


def test_tpe_searches_until_it_is_as_good_and_no_longer() -> None:
    land = made_up()
    runs, seconds = tpe_search(land, land.best, seed=0)
    assert 1 <= runs <= len(BATCHES)
    assert seconds == pytest.approx(START_S + runs * A_RUN)
    easy, _ = tpe_search(land, 0.0, seed=0)
    assert easy == 1


def test_a_level_off_by_a_tenth_is_an_error_of_a_tenth() -> None:
    land = made_up(level=1.1)
    assert fit_of(PREDICTOR, land.rows).error == pytest.approx(1 - 1 / 1.1)
    assert fit_of(PREDICTOR, land.rows).coverage == 1.0
    assert fit_of(PREDICTOR, made_up(level=50.0).rows).coverage == 0.0


def test_a_landscape_as_predicted_proves_the_advice() -> None:
    proof = proof_of(made_up())
    assert proof.realised == pytest.approx(1.1 * proof.predicted, rel=0.05)
    assert proof.is_covered
    assert proof.is_bound_held
    # within the tolerance the smaller batch is recommended
    assert 0 <= (proof.regret or 0.0) <= 0.02
    assert proof.after.error < proof.before.error
    assert proof.restarted_gpu_minutes > proof.grid_gpu_minutes > proof.gpu_minutes


def test_runs_mend_advice_that_the_landscape_belies() -> None:
    proof = proof_of(made_up(fall_from=64))
    assert proof.regret is not None
    assert proof.regret > 0.5
    assert not proof.is_covered
    assert proof.regret_after < proof.regret


def test_what_was_not_measured_is_unknown_not_zero() -> None:
    made = recommend(made_up().query(), PREDICTOR)
    proof = prove(made_up(without=made.best.batch_size), made, PREDICTOR)
    assert proof.batch_size == made.best.batch_size
    assert (proof.realised, proof.regret, proof.is_covered) == (None, None, None)
    assert "| - |" in markdown({"some": [proof]})


@pytest.mark.slow
def test_the_ledger_tells_aims_met_from_aims_missed() -> None:
    lands = [made_up(), made_up(fall_from=64)]
    proofs = settle(advise("published", PREDICTOR, lands), PREDICTOR)
    found = {aim.name: aim for aim in aims(proofs)}
    assert found["regret, 0 runs (mean)"].is_met is False
    assert found["error after 3 runs (median)"].value is not None
    assert all(aim.is_met is None for aim in aims([]))
    text = markdown({"published": proofs})
    assert text.count("| made-up |") == 4
    document = to_dict({"published": proofs})
    assert len(document["surrogates"]["published"]["rows"]) == 2


@pytest.mark.slow
def test_a_bound_to_stop_at_saves_runs_and_gives_up_no_more_than_it_says() -> None:
    lands = [made_up(), made_up(level=0.9)]
    advice = advise("published", PREDICTOR, lands)
    cases = [(item.land, item.made, item.known) for item in advice]
    every, early = stop_early(cases, PREDICTOR, (0.0, 0.5))
    assert every.runs == 3
    assert early.runs < 3
    assert early.times_fewer > every.times_fewer
    assert 0 <= early.regret <= 0.5
    assert early.held == 1.0
    proofs = settle(advice, PREDICTOR)
    assert every.regret == pytest.approx(statistics.fmean(p.regret_after for p in proofs))
    text = markdown({"published": proofs}, stopping={"published": [every, early]})
    assert "| 0.5 | 1.0 |" in text
    document = to_dict({"published": proofs}, stopping={"published": [every, early]})
    assert [item["runs"] for item in document["stopping_early"]["published"]] == [3, early.runs]


def test_without_landscapes_there_is_nothing_to_stop_on() -> None:
    with pytest.raises(ValueError, match="no landscape"):
        stop_early([], PREDICTOR)


def test_advice_says_what_it_was_before_anything_was_measured() -> None:
    (item,) = advise("published", PREDICTOR, [made_up()])
    told = item.to_dict()
    assert told["rows_used"] > 1000
    assert [c["batch_size"] for c in told["landscape"]] == list(BATCHES)
    assert told["best"]["low"] < told["best"]["output_throughput"] < told["best"]["high"]


@pytest.mark.slow
def test_a_left_out_model_is_predicted_by_a_surrogate_that_never_saw_it() -> None:
    runs = synthetic_runs()
    rows = [r for r in runs if r.gpu == "H100-80GB" and r.model == MODELS[0] and r.n_gpus == 1]
    land = ReferenceLandscape(name="made-up", rows=tuple(rows))
    others = synthetic_runs(1, models=MODELS[1:], source="autotune")
    (left,) = leave_one_out([r for r in runs if r not in rows], [land], [*rows, *others])
    assert left.model == MODELS[0]
    assert left.anew.error < 0.5
    assert left.taught.error < 0.5
    assert left.taught != left.anew
    text = markdown({"some": [proof_of(made_up())]}, [left])
    assert text.count("aim <= 8%") == 2
    assert f"H100-80GB {left.taught.error:.1%}" in text


def test_pictures_are_drawn(tmp_path: Path) -> None:
    advice = advise("published", PREDICTOR, [made_up(without=32)])
    (proof,) = settle(advice, PREDICTOR)
    one = draw_landscape(advice[0], proof, tmp_path / "docs" / "landscape.png")
    both = draw_predicted(advice, tmp_path / "docs" / "predicted.png")
    assert one.stat().st_size > 10_000
    assert both.stat().st_size > 10_000
