"""Confirmatory runs: which, in what order, and what they decide."""

import pytest

from autotune.errors import InvalidConfigError
from autotune.records import RunRecord
from recommender.confirm import confirm
from recommender.devices import Replay
from recommender.predictor import PRETRAINED, Predictor
from recommender.query import Query
from recommender.recommend import Recommendation, recommend
from tests.records import record

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
    kept = next(r for r in rows if r.batch_size == advice.keep_source.batch_size)
    assert done.winner is not None
    assert kept.output_throughput is not None
    assert done.winner.output_throughput >= kept.output_throughput * (1 - advice.query.tolerance)


def test_the_recommended_configuration_comes_first(advice: Recommendation) -> None:
    done = confirm(advice, Replay(landscape(64)), PREDICTOR, SOURCE, runs=1)
    (run,) = done.runs
    assert run.role == "recommended"
    assert run.error == pytest.approx(
        run.record.output_throughput / run.predicted.output_throughput - 1
    )
    assert run.record.purpose == "confirm"


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


def test_suspect_runs_are_not_replayed(advice: Recommendation) -> None:
    rows = [record(gpu="H100-80GB", batch_size=8, suspect=True)]
    with pytest.raises(InvalidConfigError, match="can be run or replayed"):
        confirm(advice, Replay(rows), PREDICTOR, SOURCE)


def test_each_record_is_handed_over_as_it_comes(advice: Recommendation) -> None:
    seen: list[RunRecord] = []
    done = confirm(advice, Replay(landscape(64)), PREDICTOR, SOURCE, runs=3, on_run=seen.append)
    assert seen == [run.record for run in done.runs]


def test_names_of_a_replay_may_be_aliases(advice: Recommendation) -> None:
    rows = [record(model="llama-3.1-8b", gpu="H100", batch_size=b) for b in (8, 16)]
    done = confirm(advice, Replay(rows), PREDICTOR, SOURCE, runs=3)
    assert {run.record.gpu for run in done.runs} == {"H100-80GB"}
