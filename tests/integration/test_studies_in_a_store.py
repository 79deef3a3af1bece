"""What studies leave in the store: side by side, and when they fail."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mlflow import MlflowClient

from autotune.store.cache import RecordCache
from autotune.store.journal import read_journal
from autotune.store.tracking.store import EXPERIMENT
from tests.integration.conftest import Ran, Workspace

LENGTHS = ("--input-len", "16", "--output-len", "4", "--time-budget", "1")


@pytest.fixture(scope="module")
def model_workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace(tmp_path_factory.mktemp("store"))
    assert workspace("demo", "--model-only", "demo-model").code == 0
    return workspace


@pytest.mark.slow
def test_two_studies_at_the_same_time_do_not_disturb_each_other(model_workspace: Workspace) -> None:
    def study(sizes: str) -> Ran:
        return model_workspace(
            *("run", "--model", "demo-model", "--engine", "hf", "--batch-sizes", sizes),
            *(*LENGTHS, "--json", "--exhaustive"),
        )

    with ThreadPoolExecutor(2) as both:
        ran = list(both.map(study, ("1,2,3,4", "5,6,7,8")))
    assert [one.code for one in ran] == [0, 0], [one.err for one in ran]
    ids = {(row["session_id"], row["batch_size"]) for one in ran for row in one.json()}
    assert len(ids) == 8
    assert len({session for session, _ in ids}) == 2

    client = MlflowClient(model_workspace.uri)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    kinds = [run.data.tags["autotune.kind"] for run in runs]
    assert (kinds.count("configuration"), kinds.count("study")) == (8, 2)
    assert {run.info.status for run in runs} == {"FINISHED"}
    cached = RecordCache(model_workspace.folder / "mlruns").read()
    assert cached is not None
    assert {(r.session_id, r.batch_size) for r in cached} == ids
    journals = (model_workspace.folder / "mlruns" / "journals").glob("*.jsonl")
    assert sorted(len(read_journal(path)) for path in journals) == [4, 4]


def test_a_failure_keeps_the_engine_s_last_words_as_an_artifact(
    model_workspace: Workspace, tmp_path: Path
) -> None:
    config = json.loads((model_workspace.folder / "demo-model" / "config.json").read_text())
    broken = tmp_path / "broken"
    broken.mkdir()
    # Only the engine reads this far, so only it can find out.
    (broken / "config.json").write_text(json.dumps(config | {"rope_theta": "fast"}))
    uri = f"sqlite:///{tmp_path}/mlruns/mlflow.db"
    ran = model_workspace(
        *("run", "--model", broken, "--engine", "hf", "--batch-sizes", "1", *LENGTHS),
        *("--tracking-uri", uri, "--json"),
    )
    assert ran.code == 1
    (row,) = ran.json()
    assert row["status"] == "load_failed"
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id], "attributes.status = 'FAILED'")
    (artifact,) = client.list_artifacts(run.info.run_id)
    text = Path(client.download_artifacts(run.info.run_id, artifact.path)).read_text()
    assert "Traceback" in text
    assert row["notes"].splitlines()[-1].removeprefix("the engine's last words: ") in text
