"""What studies leave in the store: side by side, and when they fail."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from autotune.engines.knobs import engine_version
from autotune.store.cache import RecordCache
from autotune.store.journal import read_journal
from autotune.store.tracking.store import EXPERIMENT
from tests.integration.conftest import Workspace
from tests.support.lightly import Bench, end


@pytest.mark.slow
def test_two_studies_at_the_same_time_do_not_disturb_each_other(
    tmp_path: Path, new_store: Callable[[Path], str]
) -> None:
    bench, uri = Bench(tmp_path).prepare(), new_store(tmp_path)

    def study(sizes: str) -> tuple[object, ...]:
        lengths = ("--input-len", 16, "--output-len", 4, "--time-budget", 1)
        asked = ("run", "--model", "light-model", "--engine", "hf", "--batch-sizes", sizes)
        return (*asked, *lengths, "--json", "--exhaustive")

    with bench.begin(*study("1,2,3,4")) as one, bench.begin(*study("5,6,7,8")) as other:
        ran = [end(process) for process in (one, other)]
    assert [one.code for one in ran] == [0, 0], [one.err for one in ran]
    ids = {(row["session_id"], row["batch_size"]) for one in ran for row in one.json()}
    assert len(ids) == 8
    assert len({session for session, _ in ids}) == 2

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    kinds = [run.data.tags["autotune.kind"] for run in runs]
    assert (kinds.count("configuration"), kinds.count("study")) == (8, 2)
    assert {run.info.status for run in runs} == {"FINISHED"}
    cached = RecordCache(tmp_path / "mlruns").read()
    assert cached is not None
    assert {(r.session_id, r.batch_size) for r in cached} == ids
    journals = (tmp_path / "mlruns" / "journals").glob("*.jsonl")
    assert sorted(len(read_journal(path)) for path in journals) == [4, 4]


@pytest.mark.engine
@pytest.mark.skipif(engine_version("hf") is None, reason="transformers is not installed")
def test_an_engine_that_will_not_start_ends_its_group_and_its_last_words_are_an_artifact(
    workspace: Workspace, new_store: Callable[[Path], str]
) -> None:
    model = workspace.folder / "broken"
    model.mkdir()
    # Only the engine reads this far, so only it can find out.
    config = {
        **{"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 64},
        **{"intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2},
        **{"vocab_size": 100, "max_position_embeddings": 64, "hidden_act": "no such function"},
    }
    (model / "config.json").write_text(json.dumps(config))
    uri = new_store(workspace.folder)
    ran = workspace.here(
        *("run", "--model", "broken", "--engine", "hf", "--batch-sizes", "1,2,4", "--exhaustive"),
        *("--input-len", 16, "--output-len", 4, "--json"),
    )
    assert ran.code == 1
    (row,) = ran.json()
    assert (row["batch_size"], row["status"]) == (4, "load_failed")
    assert row["engine_start_s"] is None
    assert "no such function" in row["notes"]
    assert ran.err.count("starting hf") == 2
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id], "attributes.status = 'FAILED'")
    (artifact,) = client.list_artifacts(run.info.run_id)
    text = Path(client.download_artifacts(run.info.run_id, artifact.path)).read_text()
    assert "Traceback" in text
    assert row["notes"].splitlines()[-1].removeprefix("the engine's last words: ") in text
