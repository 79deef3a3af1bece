"""How the advice did: the ledger, against a confirmation worked by hand."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from autotune.errors import InvalidConfigError
from autotune.schema.record import RunRecord
from autotune.store.cache import RecordCache
from autotune.views.charts import png
from autotune.views.pages.document import Figure
from recommender.commands.report import read_ledger
from recommender.confirmation.confirm import confirm
from recommender.confirmation.devices import Replay
from recommender.confirmation.result import Confirmation
from recommender.recommendation.query import Query
from recommender.recommendation.recommend import recommend
from recommender.recommendation.recommendation import Recommendation
from recommender.reports import ledger
from recommender.reports.ledger import entry_of
from recommender.reports.ledger_summary import ledger_blocks
from recommender.surrogate.predictor import PRETRAINED, Predictor
from tests.support.records import record

PREDICTOR = Predictor.load(PRETRAINED)
RUNS = [
    record(batch_size=2**k, output_throughput=100.0 * 1.7**k / (1 + 0.01 * 2**k), session_id=None)
    for k in range(9)
]
BEST = max(run.output_throughput or 0.0 for run in RUNS)


@pytest.fixture(scope="module")
def advice() -> Recommendation:
    query = Query(model=RUNS[0].model, target_gpu="H200", max_gpus=1, max_batch_size=256)
    return recommend(query, PREDICTOR)


@pytest.fixture(scope="module")
def confirmed(advice: Recommendation) -> Confirmation:
    return confirm(advice, Replay(RUNS), PREDICTOR, runs=3)


def document(confirmed: Confirmation, session: str = "20260101-000000-aaaaaa") -> dict[str, Any]:
    return {**confirmed.to_dict(), "session_id": session}


@pytest.fixture
def uri(tmp_path: Path, advice: Recommendation, confirmed: Confirmation) -> str:
    ledger.save(advice, tmp_path)
    ledger.save_confirmation(document(confirmed), tmp_path)
    RecordCache(tmp_path).replace(RUNS)
    return f"sqlite:///{tmp_path}/mlflow.db"


def test_a_line_says_what_was_told_and_what_came_of_it(
    advice: Recommendation, confirmed: Confirmation
) -> None:
    entry = entry_of(document(confirmed), advice, RUNS)
    realised = next(r for r in RUNS if r.batch_size == advice.best.batch_size).output_throughput
    assert realised is not None
    assert (entry.predicted, entry.realised) == (advice.best.output_throughput, realised)
    assert entry.error == pytest.approx(realised / advice.best.output_throughput - 1)
    assert entry.is_inside == (advice.best.low <= realised <= advice.best.high)
    assert entry.regret == pytest.approx(1 - realised / BEST)
    assert confirmed.winner is not None
    assert entry.winner_regret == pytest.approx(1 - confirmed.winner.output_throughput / BEST)
    assert confirmed.certificate is not None
    assert entry.regret_bound90 == confirmed.certificate.regret_bound90


def test_runs_under_another_workload_are_another_landscape(
    advice: Recommendation, confirmed: Confirmation
) -> None:
    longer = [
        dataclasses.replace(r, output_len=9, output_throughput=9e9, run_key=None) for r in RUNS
    ]
    suspect = [
        dataclasses.replace(r, output_throughput=9e9, suspect=True, run_key=None) for r in RUNS
    ]
    alone = entry_of(document(confirmed), advice, RUNS)
    assert entry_of(document(confirmed), advice, [*RUNS, *longer, *suspect]) == alone


def test_a_configuration_run_again_is_no_better_than_its_runs_on_average(
    advice: Recommendation, confirmed: Confirmation
) -> None:
    once = entry_of(document(confirmed), advice, RUNS)
    again = [
        dataclasses.replace(r, output_throughput=1.1 * (r.output_throughput or 0.0), run_key=None)
        for r in RUNS
    ]
    twice = entry_of(document(confirmed), advice, [*RUNS, *again])
    assert (twice.regret, twice.winner_regret) == pytest.approx((once.regret, once.winner_regret))


def test_runs_in_another_format_are_another_landscape(
    advice: Recommendation, confirmed: Confirmation
) -> None:
    query = dataclasses.replace(advice.query, dtype="bfloat16")
    told = dataclasses.replace(advice, query=query)
    faster = [
        dataclasses.replace(r, dtype="float16", output_throughput=9e9, run_key=None) for r in RUNS
    ]
    assert entry_of(document(confirmed), told, [*RUNS, *faster]) == entry_of(
        document(confirmed), told, RUNS
    )


def test_without_the_recommendation_there_is_no_regret(confirmed: Confirmation) -> None:
    entry = entry_of(document(confirmed), None, RUNS)
    assert entry.regret is None
    assert entry.error is not None


def test_when_every_run_failed_the_line_says_so(advice: Recommendation) -> None:
    failed: list[RunRecord] = [
        dataclasses.replace(r, status="out_of_memory", output_throughput=None, run_key=None)
        for r in RUNS
    ]
    entry = entry_of(
        document(confirm(advice, Replay(failed), PREDICTOR, runs=2)), advice, [*RUNS, *failed]
    )
    assert (entry.realised, entry.error, entry.is_inside) == (None, None, None)
    assert entry.regret == 1.0
    assert (entry.winner_regret, entry.regret_bound90) == (None, None)


def test_an_empty_store_is_one_sentence(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlruns/mlflow.db"
    kept = read_ledger(uri)
    assert "No recommendation was confirmed yet" in kept.markdown
    assert kept.to_dict()["entries"] == []
    assert ledger_blocks(read_ledger(uri)) == [kept.markdown]


def test_the_ledger_is_read_from_the_files_beside_the_store(
    uri: str, tmp_path: Path, confirmed: Confirmation
) -> None:
    later = document(confirmed, "20260102-000000-aaaaaa")
    ledger.save_confirmation(later, tmp_path)
    kept = read_ledger(uri)
    assert [entry.confirmed for entry in kept.entries] == [
        "20260101-000000-aaaaaa",
        "20260102-000000-aaaaaa",
    ]
    totals = kept.totals()
    assert totals["confirmed"] == 2
    assert totals["ape_median"] == pytest.approx(abs(kept.entries[0].error or 0.0))
    assert totals["bound_coverage"] in (0.0, 1.0)
    assert kept.markdown.count("| 20260") == 2
    assert json.dumps(kept.to_dict(), allow_nan=False)


def test_the_last_ten_are_told_apart(confirmed: Confirmation, uri: str, tmp_path: Path) -> None:
    for day in range(2, 14):
        ledger.save_confirmation(document(confirmed, f"202601{day:02d}-000000-aaaaaa"), tmp_path)
    kept = read_ledger(uri)
    assert kept.totals()["confirmed"] == 13
    assert kept.to_dict()["last_10"]["confirmed"] == 10
    assert "All 13 confirmed recommendations" in kept.markdown
    assert "The last 10 confirmed recommendations" in kept.markdown


def test_the_blocks_end_with_a_picture(uri: str) -> None:
    _, figure = ledger_blocks(read_ledger(uri))
    assert isinstance(figure, Figure)
    assert "inside the 90 % interval" in figure.chart.alt
    assert png.render(figure.chart).startswith(b"\x89PNG")


def test_a_damaged_file_is_named(uri: str, tmp_path: Path) -> None:
    (tmp_path / ledger.FOLDER / "x-confirmed.json").write_text("{")
    with pytest.raises(InvalidConfigError, match=r"x-confirmed\.json is not a confirmation"):
        read_ledger(uri)
