"""One store for several people: PostgreSQL behind MLflow's server, several writing at once.

``AUTOTUNE_SHARED_RUNS=500`` gives each of the four writers as many runs as the README tells of.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from autotune.schema.codec import to_json_line
from autotune.store.tracking.layout import RECORD_ID
from autotune.store.tracking.store import EXPERIMENT, Store
from tests.support.lightly import N_TRIALS, Bench, assert_nothing_lost_or_doubled, end
from tests.support.records import record
from tests.support.servers import MlflowServer, mlflow_server, postgresql

N_WRITERS = 4
N_RUNS = int(os.environ.get("AUTOTUNE_SHARED_RUNS", "40"))
pytest.importorskip("psycopg", reason="MLflow reaches PostgreSQL through psycopg")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    folder = tmp_path_factory.mktemp("shared")
    with postgresql(folder) as database, mlflow_server(database, folder) as running:
        yield running


def runs_of(uri: str, *sessions: str | None) -> list[str]:
    """The record of each finished run of some studies, one entry a run."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    found: list[str] = []
    for session in sessions:
        token = None
        while True:
            page = client.search_runs(
                [experiment.experiment_id],
                f"tags.`autotune.kind` = 'configuration' and tags.`session_id` = '{session}'",
                max_results=1000,
                page_token=token,
            )
            assert {run.info.status for run in page} <= {"FINISHED", "FAILED"}
            found += [run.data.tags[RECORD_ID] for run in page]
            token = page.token
            if not token:
                break
    return sorted(found)


WRITER = """
import sys
from pathlib import Path
from autotune.errors import StoreError
from autotune.store.transfer import sync_journals

for attempt in range(60):
    try:
        sync_journals([Path(sys.argv[1])], sys.argv[2])
        break
    except StoreError as error:
        print(error, file=sys.stderr)
else:
    sys.exit("the store never came back")
"""


@pytest.mark.slow
def test_four_writers_lose_and_double_nothing_though_the_server_is_killed(
    server: MlflowServer, tmp_path: Path
) -> None:
    journals = [
        [record(session_id=f"writer-{k}", batch_size=size) for size in range(1, N_RUNS + 1)]
        for k in range(N_WRITERS)
    ]
    paths = [tmp_path / f"{k}.jsonl" for k in range(N_WRITERS)]
    for path, records in zip(paths, journals, strict=True):
        path.write_text("".join(to_json_line(r) + "\n" for r in records))
    sessions = [records[0].session_id for records in journals]
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), server.uri],
            env=os.environ | {"XDG_CACHE_HOME": str(tmp_path / path.stem)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for path in paths
    ]
    while len(_quietly(server.uri, sessions)) < N_WRITERS * N_RUNS // 4:
        time.sleep(0.5)
    server.kill()
    server.start()
    errors = [writer.communicate(timeout=540)[1] for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * N_WRITERS, errors
    wanted = sorted(r.record_id for records in journals for r in records)
    # One last round does what a person does who wants to be sure: nothing is left to log.
    store = Store(server.uri)
    for records in journals:
        assert store.log(records) == 0
    assert runs_of(server.uri, *sessions) == wanted
    read = {r.record_id: r for r in store.read()}
    assert all(read[r.record_id] == r for records in journals for r in records)


def _quietly(uri: str, sessions: list[str | None]) -> list[str]:
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        return []
    runs = client.search_runs([experiment.experiment_id], max_results=5000)
    return [run.info.run_id for run in runs if run.data.tags.get("session_id") in sessions]


@pytest.mark.slow
def test_a_study_goes_on_while_its_server_is_killed_and_sync_catches_up(
    server: MlflowServer, tmp_path: Path
) -> None:
    quick = {
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    bench = Bench(tmp_path, quick).prepare()
    at_server = ("--tracking-uri", server.uri)
    with bench.start(*at_server, LIGHT_ENGINE_PASS_S="0.05") as process:
        bench.wait_for_records(1, process)
        server.kill()
        ended = end(process)
    assert ended.code == 0
    records = bench.records()
    assert_nothing_lost_or_doubled(records)
    assert "runs are in the journal alone" in ended.out
    server.start()
    synced = bench.command("sync", bench.journal.name, *at_server, "--json")
    assert synced.code == 0, synced.err
    assert json.loads(synced.out)["journals"][0]["runs"] == N_TRIALS
    session = records[0].session_id
    assert runs_of(server.uri, session) == sorted(r.record_id for r in records)
    # Another person's machine, with a cache of its own, sees them all.
    elsewhere = {"XDG_CACHE_HOME": str(tmp_path / "elsewhere")}
    exported = bench.command("export", "all.jsonl", *at_server, **elsewhere)
    assert exported.code == 0, exported.err
    lines = (tmp_path / "all.jsonl").read_text().splitlines()
    assert sum(str(session) in line for line in lines) == N_TRIALS
