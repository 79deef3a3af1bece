"""Recommendations on disk."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from autotune.errors import InvalidConfigError
from autotune.schema.workload import Slo
from autotune.store.tracking.store import Store
from recommender.recommendation.query import Query
from recommender.recommendation.recommend import recommend
from recommender.recommendation.recommendation import Recommendation
from recommender.reports import ledger
from recommender.reports.tracking import RECOMMENDATION, log_pending
from recommender.surrogate.predictor import PRETRAINED, Predictor


@pytest.fixture(scope="module")
def made() -> Recommendation:
    query = Query(
        model="meta-llama/Llama-3.1-8B",
        target_gpu="H100",
        source_gpu="A100",
        objective="cost",
        prices={"H100-80GB": 2.9, "A100-80GB": 1.8},
        slo=Slo(max_tpot_ms=50),
    )
    return recommend(query, Predictor.load(PRETRAINED))


def test_it_comes_back_by_id_by_file_and_by_printed_answer(
    made: Recommendation, tmp_path: Path
) -> None:
    path = ledger.save(made, tmp_path)
    printed = tmp_path / "answer.json"
    printed.write_text(json.dumps(made.to_dict()))
    for reference in (made.recommendation_id, str(path), str(printed)):
        assert ledger.load(reference, tmp_path) == made


def test_an_unknown_one_names_those_that_are_there(made: Recommendation, tmp_path: Path) -> None:
    ledger.save(made, tmp_path)
    with pytest.raises(InvalidConfigError, match=made.recommendation_id):
        ledger.load("000000000000", tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"landscape": []}', "not json"])
def test_a_file_that_is_not_one_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(InvalidConfigError, match="is not a recommendation"):
        ledger.load(str(path), tmp_path)


def test_a_reference_cannot_leave_the_folder(made: Recommendation, tmp_path: Path) -> None:
    ledger.save(made, tmp_path / "store")
    outside = tmp_path / "secret.json"
    outside.write_text("{}")
    with pytest.raises(InvalidConfigError, match="no recommendation"):
        ledger.load("../../secret", tmp_path / "store")


def test_a_file_from_before_there_were_prices_limits_and_migrations_still_loads(
    made: Recommendation, tmp_path: Path
) -> None:
    old = ledger.to_dict(made)
    for name in ("migration", "deployment", "objective"):
        del old[name]
    for name in ("slo", "prices"):
        del old["query"][name]
    old["query"]["objective"] = "throughput"
    everyone = [old["best"], old["keep_source"], *old["candidates"], *old["landscape"]]
    for candidate in [*everyone, *old["baselines"].values()]:
        for name in ("p_within_limits", "energy_j_per_token", "cost_per_mtok"):
            candidate.pop(name, None)
    path = tmp_path / "old.json"
    path.write_text(json.dumps(old))
    loaded = ledger.load(str(path), tmp_path)
    assert loaded.migration is None
    assert loaded.best.cost_per_mtok is None
    assert loaded.query.prices == {}
    assert loaded.best.output_throughput == made.best.output_throughput


def test_cost_energy_and_the_migration_are_logged(
    made: Recommendation, tmp_path: Path, new_store: Callable[..., str]
) -> None:
    store = Store(new_store(tmp_path, "mlflow.db"))
    ledger.save(made, store.directory)
    assert log_pending(store) == 1
    run_id = store.find_document(RECOMMENDATION, made.recommendation_id)
    assert run_id is not None
    logged = store.client.get_run(run_id).data
    assert made.migration is not None
    assert logged.params["migration_verdict"] == made.migration.verdict
    assert logged.params["replicas"] == str(made.best.replicas)
    assert logged.params["max_tpot_ms"] == "50"
    assert "max_ttft_ms" not in logged.params
    assert logged.metrics["migration_gain"] == made.migration.gain
    assert logged.metrics["predicted_cost_per_mtok"] == made.best.cost_per_mtok
    assert logged.metrics["source_energy_j_per_token"] == made.migration.before.energy_j_per_token
    assert made.best.command in logged.tags["mlflow.note.content"]
    assert log_pending(store) == 0
