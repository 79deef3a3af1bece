"""Confirmatory runs: which, in what order, and what they decide."""

import dataclasses

import pytest

from autotune.errors import InvalidConfigError
from autotune.schema.record import RunRecord
from recommender.confirmation.confirm import confirm
from recommender.confirmation.devices import Replay
from recommender.recommendation.query import Query
from recommender.recommendation.recommend import recommend
from recommender.recommendation.recommendation import Recommendation
from recommender.surrogate.predictor import PRETRAINED, Predictor
from research.reference.landscapes import REFERENCE, reference_landscapes
from tests.support.records import record

PREDICTOR = Predictor.load(PRETRAINED)
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
SOURCE = [
    record(gpu="A100-80GB", batch_size=b, output_throughput=80.0 * b**0.8) for b in BATCHES[:6]
]


def landscape(peak: int, *, fail_from: int = 10**9) -> list[RunRecord]:
    """Return a made-up target that is fastest at one batch size."""
    rows = []
    for batch in BATCHES:
        if batch >= fail_from:
            changes = {"status": "out_of_memory", "output_throughput": None}
        else:
            distance = abs(BATCHES.index(batch) - BATCHES.index(peak))
            changes = {"output_throughput": 5000.0 / 1.25**distance}
        rows.append(record(gpu="H100-80GB", batch_size=batch, **changes))
    return rows


@pytest.fixture(scope="module")
def advice() -> Recommendation:
    query = Query(model=SOURCE[0].model, target_gpu="H100", source_gpu="A100-80GB", max_gpus=1)
    return recommend(query, PREDICTOR, SOURCE)


@pytest.mark.parametrize("peak", BATCHES)
def test_the_kept_configuration_is_among_the_first_three_and_never_beats_the_winner(
    advice: Recommendation, peak: int
) -> None:
    rows = landscape(peak)
    done = confirm(advice, Replay(rows), PREDICTOR, SOURCE, runs=3)
    assert advice.keep_source is not None
    tried = [run.record.batch_size for run in done.runs]
    assert advice.keep_source.batch_size in tried
    assert len(set(tried)) == 3
    incumbent = next(r for r in rows if r.batch_size == advice.keep_source.batch_size)
    assert done.winner is not None
    assert incumbent.output_throughput is not None
    assert done.winner.output_throughput >= incumbent.output_throughput


def test_the_tolerance_does_not_pass_the_kept_configuration(advice: Recommendation) -> None:
    kept = advice.keep_source
    assert kept is not None
    rows = [
        record(gpu="H100-80GB", batch_size=batch, output_throughput=speed)
        for batch, speed in ((kept.batch_size, 5000.0), (kept.batch_size // 2, 4950.0))
    ]
    done = confirm(advice, Replay(rows), PREDICTOR, SOURCE, runs=2)
    assert done.winner is not None
    assert done.winner.batch_size == kept.batch_size
    without = dataclasses.replace(advice, keep_source=None)
    done = confirm(without, Replay(rows), PREDICTOR, SOURCE, runs=2)
    assert done.winner is not None
    assert done.winner.batch_size == kept.batch_size // 2


def test_the_recommended_configuration_comes_first(advice: Recommendation) -> None:
    done = confirm(advice, Replay(landscape(64)), PREDICTOR, SOURCE, runs=1)
    (run,) = done.runs
    assert run.role == "recommended"
    assert run.error == pytest.approx(
        run.record.output_throughput / run.predicted.output_throughput - 1
    )
    assert run.record.purpose == "confirm"


@pytest.mark.parametrize("runs", [2, 3])
def test_few_runs_hold_the_kept_configuration_too(advice: Recommendation, runs: int) -> None:
    done = confirm(advice, Replay(landscape(64)), PREDICTOR, SOURCE, runs=runs)
    assert "kept" in {run.role for run in done.runs}
    assert done.certificate is not None
    assert done.certificate.is_kept_measured


@pytest.mark.parametrize("stop", [0.9, 0.2, 0.05])
def test_it_stops_once_the_bound_is_met_and_the_kept_one_was_run(
    advice: Recommendation, stop: float
) -> None:
    everything = confirm(advice, Replay(landscape(64)), PREDICTOR, SOURCE, runs=50)
    done = confirm(advice, Replay(landscape(64)), PREDICTOR, SOURCE, runs=50, stop_regret=stop)
    assert done.certificate is not None
    assert done.certificate.regret_bound90 <= stop
    assert "kept" in {run.role for run in done.runs}
    assert len(done.runs) < len(everything.runs)
    assert done.certificate.text in done.summary


def test_a_tight_bound_takes_no_fewer_runs(advice: Recommendation) -> None:
    spent = [
        len(confirm(advice, Replay(landscape(16)), PREDICTOR, SOURCE, runs=50, stop_regret=s).runs)
        for s in (0.5, 0.2, 0.05, 0.01)
    ]
    assert spent == sorted(spent)


@pytest.mark.parametrize("peak", [1, 16, 256])
def test_nothing_is_left_to_lose_when_everything_was_run(peak: int) -> None:
    query = Query(
        model=SOURCE[0].model,
        target_gpu="H100",
        source_gpu="A100-80GB",
        max_gpus=1,
        tolerance=0.0,
    )
    advice = recommend(query, PREDICTOR, SOURCE)
    done = confirm(advice, Replay(landscape(peak)), PREDICTOR, SOURCE, runs=50)
    assert done.certificate is not None
    assert done.certificate.regret_bound90 == 0.0
    assert done.winner is not None
    assert advice.keep_source is not None
    incumbent = next(r for r in done.runs if r.role == "kept").record.output_throughput
    assert incumbent is not None
    assert done.certificate.kept_slowdown == pytest.approx(
        1 - incumbent / done.winner.output_throughput
    )


def test_a_kept_configuration_that_cannot_be_run_here_is_predicted(advice: Recommendation) -> None:
    assert advice.keep_source is not None
    rows = [row for row in landscape(64) if row.batch_size != advice.keep_source.batch_size]
    done = confirm(advice, Replay(rows), PREDICTOR, SOURCE, runs=3)
    assert done.winner is not None
    assert done.certificate is not None
    assert not done.certificate.is_kept_measured
    assert done.certificate.kept_slowdown == pytest.approx(
        1 - advice.keep_source.output_throughput / done.winner.output_throughput
    )
    assert "(predicted)" in done.summary


def test_a_crash_is_never_the_winner(advice: Recommendation) -> None:
    rows = [
        dataclasses.replace(row, status="crashed", output_throughput=None, run_key=None)
        if row.batch_size > 16
        else row
        for row in landscape(64)
    ]
    done = confirm(advice, Replay(rows), PREDICTOR, SOURCE, runs=50)
    assert done.winner is not None
    assert done.winner.status == "measured"
    assert done.winner.batch_size == 16


@pytest.mark.slow
def test_the_bound_holds_on_landscapes_that_the_surrogate_never_saw() -> None:
    held = []
    for land in reference_landscapes(sorted(REFERENCE.glob("*.jsonl"))):
        advice, device = recommend(land.query(), PREDICTOR), Replay(land.rows)
        for runs in (1, 2, 3):
            done = confirm(advice, device, PREDICTOR, runs=runs)
            assert done.winner is not None
            assert done.certificate is not None
            regret = 1 - done.winner.output_throughput / land.best
            held.append(regret <= done.certificate.regret_bound90 + 1e-9)
    assert sum(held) >= 0.9 * len(held)


def test_all_runs_find_the_best(advice: Recommendation) -> None:
    done = confirm(advice, Replay(landscape(16)), PREDICTOR, SOURCE, runs=50)
    assert done.winner is not None
    assert done.winner.batch_size == 16
    assert done.remaining is None
    assert len({run.record.batch_size for run in done.runs}) == len(done.runs)


def test_failures_are_recorded_and_not_chosen(advice: Recommendation) -> None:
    done = confirm(advice, Replay(landscape(64, fail_from=64)), PREDICTOR, SOURCE, runs=5)
    failed = [run for run in done.runs if run.record.status == "out_of_memory"]
    assert all(run.error is None and run.is_covered is None for run in failed)
    assert done.winner is not None
    assert done.winner.batch_size < 64


def test_when_everything_fails_there_is_no_winner(advice: Recommendation) -> None:
    done = confirm(advice, Replay(landscape(64, fail_from=1)), PREDICTOR, SOURCE, runs=3)
    assert done.winner is None
    assert "failed" in done.summary
    assert done.to_dict()["winner"] is None
    assert done.to_dict()["certificate"] is None


def test_suspect_runs_are_not_replayed(advice: Recommendation) -> None:
    rows = [record(gpu="H100-80GB", batch_size=8, suspect=True)]
    with pytest.raises(InvalidConfigError, match="can be run or replayed"):
        confirm(advice, Replay(rows), PREDICTOR, SOURCE)


def test_runs_that_the_scatter_does_not_tell_from_the_winner_are_named(
    advice: Recommendation,
) -> None:
    rows = [dataclasses.replace(row, throughput_ci95=0.15) for row in landscape(64)]
    done = confirm(advice, Replay(rows), PREDICTOR, SOURCE, runs=len(rows))
    assert done.winner is not None
    won = done.winner.output_throughput
    # a neighbour brings a fifth less, and the two intervals make 19 % of the winner together
    assert done.close_runs == ()
    wide = [dataclasses.replace(row, throughput_ci95=0.2) for row in rows]
    done = confirm(advice, Replay(wide), PREDICTOR, SOURCE, runs=len(rows))
    assert {run.record.batch_size for run in done.close_runs} == {32, 128}
    assert f"at batch size 128 ({won / 1.25:.1f} tok/s ±20.0%)" in done.summary


def test_a_single_pass_has_no_scatter_to_be_close_by(advice: Recommendation) -> None:
    rows = [dataclasses.replace(row, throughput_ci95=None) for row in landscape(64)]
    done = confirm(advice, Replay(rows), PREDICTOR, SOURCE, runs=3)
    assert done.close_runs == ()
    assert "scatter" not in done.summary


def test_each_record_is_handed_over_as_it_comes(advice: Recommendation) -> None:
    seen: list[RunRecord] = []
    done = confirm(advice, Replay(landscape(64)), PREDICTOR, SOURCE, runs=3, on_run=seen.append)
    assert seen == [run.record for run in done.runs]


def test_names_of_a_replay_may_be_aliases(advice: Recommendation) -> None:
    rows = [record(model="llama-3.1-8b", gpu="H100", batch_size=b) for b in (8, 16)]
    done = confirm(advice, Replay(rows), PREDICTOR, SOURCE, runs=3)
    assert {run.record.gpu for run in done.runs} == {"H100-80GB"}
