"""Records through a real MLflow store on sqlite."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from autotune.errors import StoreError
from autotune.schema.record import RunRecord
from autotune.store.cache import RecordCache
from autotune.store.tracking.layout import KIND
from autotune.store.tracking.server import redact
from autotune.store.tracking.store import EXPERIMENT, Store
from tests.support.records import record

FAILED = {
    "status": "out_of_memory",
    "batch_size": 1024,
    "output_throughput": None,
    "mean_ttft_ms": None,
    "mean_tpot_ms": None,
    "repeats": None,
    "notes": "CUDA out of memory",
}


NewStore = Callable[..., str]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, new_store: NewStore) -> Store:
    return Store(new_store(tmp_path_factory.mktemp("store")))


@pytest.fixture(scope="module")
def logged(store: Store) -> list[RunRecord]:
    records = [
        record(),
        record(**FAILED),
        record(
            batch_size=3,
            knobs={"enforce_eager": True, "kv_cache_dtype": "fp8", "block_size": 16, "swap": None},
            output_throughput=0.1 + 0.2,
            kv_cache_tokens=699008,
            quantization="fp8",
            suspect=True,
            purpose="confirm",
            environment={"weights": "random", "model_config": {"hidden_size": 8}, "ü": "é"},
        ),
        record(session_id=None, started_at=None, source="somebody else"),
    ]
    assert store.log(records) == len(records)
    return records


def test_every_record_comes_back_as_it_went_in(store: Store, logged: list[RunRecord]) -> None:
    assert {r.record_id: r for r in store.read()} == {r.record_id: r for r in logged}


def test_logging_twice_adds_nothing(store: Store, logged: list[RunRecord]) -> None:
    assert store.log(logged) == 0
    assert len(store.read()) == len(logged)


def test_the_cache_holds_what_the_store_holds(store: Store, logged: list[RunRecord]) -> None:
    store.log([record(batch_size=16)])
    cached = RecordCache(store.directory).read()
    assert cached is not None
    assert sorted(r.record_id for r in cached) == sorted(r.record_id for r in store.read())
    assert RecordCache(store.directory).read(model="another") == []


def test_a_deleted_cache_is_rebuilt_whole(store: Store, logged: list[RunRecord]) -> None:
    cache = RecordCache(store.directory)
    cache.path.unlink()
    store.log([record(batch_size=32)])
    assert len(cache.read() or []) == len(store.read())


def test_runs_are_children_of_their_study_and_failures_are_failed(
    store: Store, logged: list[RunRecord]
) -> None:
    client = MlflowClient(store.uri)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    assert experiment.artifact_location.endswith("/mlruns/artifacts")
    runs = client.search_runs([experiment.experiment_id])
    studies = {r.info.run_id: r for r in runs if r.data.tags[KIND] == "study"}
    children = [r for r in runs if r.data.tags[KIND] == "configuration"]
    assert all(child.data.tags["mlflow.parentRunId"] in studies for child in children)
    by_batch = {child.data.params["batch_size"]: child for child in children}
    assert by_batch["1024"].info.status == "FAILED"
    assert by_batch["8"].info.status == "FINISHED"
    assert by_batch["8"].data.metrics["output_throughput"] == 1376.5
    assert by_batch["3"].data.params["knobs.enforce_eager"] == "true"
    assert by_batch["8"].data.tags["weights"] == "random"
    assert by_batch["8"].info.run_name == "Llama-3.1-8B · vllm · 1xH200 · bs 8"


def test_imported_studies_are_finished_and_say_what_they_hold(
    tmp_path: Path, new_store: NewStore
) -> None:
    store = Store(new_store(tmp_path, "mlflow.db"))
    rows = [record(), record(**FAILED), record(session_id=None, source="else")]
    store.log(rows)
    store.finish_imported(rows)
    store.finish_imported(rows)
    parents = list(store._search(f"tags.`{KIND}` = 'study'"))
    assert {run.info.status for run in parents} == {"FINISHED"}
    [study] = [run for run in parents if run.data.tags["source"] == "test"]
    assert study.data.metrics["n_failed"] == 1
    assert study.data.params["model"] == rows[0].model
    assert "1 of 2 failed (out of memory)" in study.data.tags["mlflow.note.content"]
    assert study.inputs.dataset_inputs[0].dataset.name == "random prompts, 512/128 tokens"


def test_a_run_has_the_time_it_ran_and_a_failed_one_its_reason(
    tmp_path: Path, new_store: NewStore
) -> None:
    store = Store(new_store(tmp_path, "mlflow.db"))
    store.log([record(measure_s=2.5), record(**FAILED)])
    good, bad = sorted(
        store._search(f"tags.`{KIND}` = 'configuration'"), key=lambda run: str(run.info.status),
        reverse=True,
    )  # fmt: skip
    assert good.info.start_time == 1767225600000
    assert good.info.end_time - good.info.start_time == 2500
    assert "CUDA out of memory" in bad.data.tags["mlflow.note.content"]
    assert bad.data.tags["model"] == "meta-llama/Llama-3.1-8B"


@pytest.mark.parametrize("uri", ["sqlite:////proc/no/mlflow.db", "nonsense://host/x"])
def test_a_store_that_cannot_be_opened_is_named(uri: str) -> None:
    with pytest.raises(StoreError, match="cannot open the store"):
        Store(uri)


def test_a_damaged_database_is_named_and_left_alone(tmp_path: Path) -> None:
    database = tmp_path / "mlflow.db"
    database.write_text("not a database" * 100)
    with pytest.raises(StoreError, match=r"mlflow\.db"):
        Store(f"sqlite:///{database}")
    assert database.read_text() == "not a database" * 100


def test_credentials_are_not_repeated_in_messages() -> None:
    assert redact("https://user:secret@host:5000/x") == "https://host:5000/x"
    assert redact("sqlite:///mlruns/mlflow.db") == "sqlite:///mlruns/mlflow.db"


def _journal_mode(database: Path) -> str:
    connection = sqlite3.connect(database)
    try:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])
    finally:
        connection.close()


def test_a_new_database_gets_a_write_ahead_log_and_an_old_one_stays(tmp_path: Path) -> None:
    Store(f"sqlite:///{tmp_path}/new/mlflow.db")
    assert _journal_mode(tmp_path / "new" / "mlflow.db") == "wal"
    old = tmp_path / "old.db"
    MlflowClient(f"sqlite:///{old}").search_experiments()
    Store(f"sqlite:///{old}")
    assert _journal_mode(old) == "delete"


def test_another_may_read_what_is_logged_so_far(tmp_path: Path, new_store: NewStore) -> None:
    uri = new_store(tmp_path, "mlflow.db")
    seen: list[int] = []
    store, records = Store(uri), [record(batch_size=b) for b in (1, 2, 3)]
    store.log(records, on_logged=lambda _: seen.append(len(Store(uri).read())))
    assert seen == [1, 2, 3]
    assert sorted(r.batch_size for r in store.cache.read() or []) == [1, 2, 3]


def test_the_first_cache_holds_all_runs_of_a_store_that_others_wrote_to(
    tmp_path: Path, new_store: NewStore
) -> None:
    store = Store(new_store(tmp_path, "mlflow.db"))
    store.log([record(batch_size=1)])
    store.cache.path.unlink()
    store.log([record(batch_size=2, session_id="20260102-000000-fedcba")])
    store.cache.path.unlink()
    store.log([record(batch_size=b, session_id=None, source="else") for b in (3, 4)])
    assert sorted(r.batch_size for r in store.cache.read() or []) == [1, 2, 3, 4]
