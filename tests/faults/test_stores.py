"""Stores that refuse, hang, lose answers, are locked, or lose their writer half-way."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType

from autotune.errors import StoreError
from autotune.schema.record import RunRecord
from autotune.store.journal import read_journal
from autotune.store.tracking.layout import RECORD_ID
from autotune.store.tracking.store import EXPERIMENT, Store
from tests.support.lightly import N_TRIALS, Bench, assert_nothing_lost_or_doubled, end
from tests.support.records import record
from tests.support.servers import MlflowServer, Proxy, mlflow_server, proxy

# MLflow's own settings, so that a test of a dead server takes seconds.
IMPATIENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "3",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    folder = tmp_path_factory.mktemp("server")
    with mlflow_server(f"sqlite:///{folder}/mlflow.db", folder) as running:
        yield running


@pytest.fixture
def standing(server: MlflowServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    for name, value in IMPATIENT.items():
        monkeypatch.setenv(name, value)
    with proxy(server) as running:
        yield running


def ids_in(uri: str, records: list[RunRecord]) -> list[str]:
    """The record of every run in a store, deleted ones aside, of these sessions."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    sessions = {r.session_id for r in records}
    runs = client.search_runs(
        [experiment.experiment_id],
        "tags.`autotune.kind` = 'configuration'",
        ViewType.ACTIVE_ONLY,
        max_results=5000,
    )
    return sorted(
        run.data.tags[RECORD_ID] for run in runs if run.data.tags["autotune.session_id"] in sessions
    )


@pytest.mark.parametrize("mode", ["refuse", "hang"])
def test_a_server_that_fails_in_mid_study_slows_and_loses_nothing(
    mode: str, standing: Proxy, server: MlflowServer, tmp_path: Path
) -> None:
    bench = Bench(tmp_path, IMPATIENT).prepare()
    with bench.start("--tracking-uri", standing.uri, LIGHT_ENGINE_PASS_S="0.05") as process:
        bench.wait_for_records(1, process)
        standing.mode = mode
        n_passed_on = standing.n_passed_on
        # The study goes to its end while the server answers nothing.
        bench.wait_for_records(N_TRIALS, process)
        assert standing.n_passed_on <= n_passed_on + 1
        ended = end(process)
    assert ended.code == 0
    assert_nothing_lost_or_doubled(bench.records())
    assert "runs are in the journal alone" in ended.out
    assert f"`autotune sync {bench.journal.name}`" in ended.out
    standing.mode = "forward"
    standing.let_go.set()
    synced = bench.here("sync", bench.journal.name, "--tracking-uri", standing.uri)
    assert synced.code == 0, synced.err
    records = bench.records()
    assert ids_in(server.uri, records) == sorted(r.record_id for r in records)


def test_answers_that_are_lost_double_nothing(
    standing: Proxy, server: MlflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    records = [record(session_id="lost answers", batch_size=size) for size in range(1, 41)]
    store = Store(standing.uri)
    standing.mode = "lose"
    n_failed = 0
    while True:
        try:
            store.log(records)
            break
        except StoreError:
            n_failed += 1
            assert n_failed < 300
    assert n_failed
    standing.mode = "forward"
    assert store.log(records) == 0
    assert ids_in(server.uri, records) == sorted(r.record_id for r in records)
    held = [r for r in Store(server.uri).read() if r.session_id == "lost answers"]
    assert {r.record_id: r for r in held} == {r.record_id: r for r in records}


def test_a_writer_that_dies_half_way_through_a_run_is_completed_by_the_next(
    tmp_path: Path, new_store: Callable[[Path], str]
) -> None:
    store = Store(new_store(tmp_path))
    records = [record(batch_size=size) for size in (1, 2, 3)]
    store.log(records[:1])
    # What a writer leaves that is killed between creating a run and filling it.
    store._create(records[1], {})
    assert [r.batch_size for r in store.read()] == [1]
    assert store.log(records) == 2
    assert sorted(store.read(), key=lambda r: r.batch_size) == records
    assert ids_in(store.uri, records) == sorted(r.record_id for r in records)


def test_a_database_locked_by_another_writer_costs_the_study_nothing(
    tmp_path: Path, new_store: Callable[[Path], str]
) -> None:
    bench, uri = Bench(tmp_path).prepare(), new_store(tmp_path)
    with bench.start("--tracking-uri", uri, LIGHT_ENGINE_PASS_S="0.05") as process:
        bench.wait_for_records(1, process)
        locking = sqlite3.connect(tmp_path / "mlruns" / "mlflow.db", timeout=60)
        locking.execute("BEGIN IMMEDIATE")
        bench.wait_for_records(N_TRIALS, process)
        locking.rollback()
        locking.close()
        ended = end(process)
    assert ended.code == 0
    records = read_journal(bench.journal)
    assert_nothing_lost_or_doubled(records)
    assert ids_in(uri, records) == sorted(r.record_id for r in records)


def test_a_server_that_is_not_there_is_named_before_anything_is_measured(tmp_path: Path) -> None:
    bench = Bench(tmp_path, IMPATIENT).prepare()
    uri = "http://someone:a-password@127.0.0.1:1"
    ended = bench.run_here("--tracking-uri", uri)
    assert ended.code == 1
    assert "cannot open the store http://127.0.0.1:1" in ended.err
    assert "a-password" not in ended.err
    assert not bench.records()
