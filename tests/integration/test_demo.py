"""The main job end to end: what `autotune demo` leaves behind, and what people do next with it."""

import json
import re
import shutil
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from autotune.engines.knobs import engine_version
from autotune.store.tracking.layout import KIND
from autotune.store.tracking.store import EXPERIMENT, Store
from recommender.training.registry import MODEL_NAME
from tests.integration.conftest import Ran, Workspace

pytestmark = pytest.mark.engine
Demo = tuple[Workspace, Ran]
MODEL = "mlruns/autotune-demo-llama"
ENGINES = tuple(e for e in ("vllm", "hf") if engine_version(e) is not None)


def test_it_succeeds_and_says_how_to_go_on(demo: Demo) -> None:
    _, ran = demo
    assert ran.code == 0, ran.err
    assert "Winner after 3 runs" in ran.out
    assert "autotune ui" in ran.out


def test_the_store_holds_completed_runs_of_every_engine_here(demo: Demo) -> None:
    workspace, _ = demo
    records = Store(workspace.uri).read()
    searched = [r for r in records if r.purpose == "search"]
    assert {r.engine for r in searched if r.status == "completed"} == set(ENGINES)
    assert {r.batch_size for r in searched} == {1, 2, 4, 8, 16}
    confirmed = [r for r in records if r.purpose == "confirm"]
    assert len(confirmed) == 3
    for run in records:
        assert run.output_throughput is not None
        assert run.output_throughput > 0
        assert run.environment["weights"] == "checkpoint"


def test_the_registry_has_a_champion_that_mlflow_can_load(demo: Demo) -> None:
    workspace, _ = demo
    client = MlflowClient(workspace.uri)
    champion = client.get_model_version_by_alias(MODEL_NAME, "champion")
    versions = client.search_model_versions(f"name = '{MODEL_NAME}'")
    assert {int(v.version) for v in versions} == {1, 2}
    assert champion.status == "READY"


def test_recommendations_and_the_confirmation_are_runs(demo: Demo) -> None:
    workspace, _ = demo
    client = MlflowClient(workspace.uri)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    kinds = [run.data.tags.get(KIND) for run in runs]
    assert kinds.count("recommendation") == 2
    assert kinds.count("confirmation") == 1
    assert kinds.count("training") == 2


def test_the_study_has_a_picture_and_its_journal(demo: Demo) -> None:
    workspace, _ = demo
    client = MlflowClient(workspace.uri)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    query = f"tags.`{KIND}` = 'study' and metrics.best_output_throughput > 0"
    studies = client.search_runs([experiment.experiment_id], query)
    run_id = studies[0].info.run_id
    assert {Path(item.path).suffix for item in client.list_artifacts(run_id)} == {"", ".jsonl"}
    names = {Path(item.path).name for item in client.list_artifacts(run_id, "report")}
    assert {"report.html", "report.md", "landscape.png", "pareto.png"} <= names
    assert "best" in studies[0].data.tags["mlflow.note.content"].lower()
    assert studies[0].inputs.dataset_inputs[0].dataset.name == "random prompts, 64/32 tokens"
    assert studies[0].data.metrics["system/cpu_utilization_percentage"] > 0


def test_confirmatory_runs_are_below_their_confirmation(demo: Demo) -> None:
    workspace, _ = demo
    client = MlflowClient(workspace.uri)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    [above] = client.search_runs([experiment.experiment_id], f"tags.`{KIND}` = 'confirmation'")
    below = client.search_runs(
        [experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{above.info.run_id}'"
    )
    assert {run.data.tags["purpose"] for run in below} == {"confirm"}
    assert len(below) == 3


def test_a_second_recommendation_uses_the_own_runs_from_the_cache(demo: Demo) -> None:
    workspace, _ = demo
    here = json.loads(workspace.here("gpus", "--json").out)[-1]["name"]
    ran = workspace.here(
        *("recommend", "--model", MODEL, "--target-gpu", here, "--max-gpus", "1"),
        *("--input-len", "64", "--output-len", "32", "--max-batch-size", "16", "--json"),
        *("--engine", ENGINES[0]),
    )
    assert ran.code == 0, ran.err
    answer = ran.json()
    assert {c["status"] for c in answer["candidates"]} == {"measured"}
    assert "known runs" in answer["explanation"]


def test_a_journal_imported_twice_adds_nothing(demo: Demo) -> None:
    workspace, _ = demo
    journal = sorted((workspace.folder / "mlruns" / "journals").glob("*.jsonl"))[0]
    assert "0 runs logged" in workspace.here("import", journal).out


def test_an_export_holds_every_run_and_another_store_takes_it(
    demo: Demo, tmp_path: Path, new_store: Callable[[Path], str]
) -> None:
    new_store(tmp_path)
    workspace, _ = demo
    count = len(Store(workspace.uri).read())
    for name in ("runs.jsonl", "runs.csv"):
        assert f"{count} runs written" in workspace.here("export", tmp_path / name).out
    other = Workspace(tmp_path)
    assert f"{count} runs logged" in other.here("import", "runs.jsonl").out
    assert "0 runs logged" in other.here("import", "runs.csv").out
    assert sorted(r.record_id for r in Store(other.uri).read()) == sorted(
        r.record_id for r in Store(workspace.uri).read()
    )


def test_a_recommendation_is_confirmed_by_replay(demo: Demo, tmp_path: Path) -> None:
    workspace, _ = demo
    workspace.here("export", tmp_path / "runs.jsonl")
    fresh = Workspace(tmp_path)
    shutil.copytree(workspace.folder / MODEL, tmp_path / "autotune-demo-llama")
    here = json.loads(workspace.here("gpus", "--json").out)[-1]["name"]
    asked = fresh.here(
        *("recommend", "--model", "autotune-demo-llama", "--target-gpu", here, "--json"),
        *("--input-len", "64", "--output-len", "32", "--max-gpus", "1", "--engine", ENGINES[0]),
    )
    (tmp_path / "answer.json").write_text(asked.out)
    ran = fresh.here("confirm", "answer.json", "--replay", "runs.jsonl", "--json")
    assert ran.code == 0, ran.err
    confirmation = ran.json()
    assert len(confirmation["runs"]) == 3
    measured = [run["measured"]["output_throughput"] for run in confirmation["runs"]]
    assert confirmation["winner"]["output_throughput"] >= max(measured) * 0.98
    assert confirmation["winner"]["status"] == "measured"


def test_predict_keeps_the_order_and_never_fails_on_a_whole_record(
    demo: Demo, tmp_path: Path
) -> None:
    workspace, _ = demo
    workspace.here("export", tmp_path / "runs.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "runs.jsonl").read_text().splitlines()]
    ran = workspace.here("predict", tmp_path / "runs.jsonl", "--json")
    answers = [json.loads(line) for line in ran.out.splitlines()]
    assert [a["batch_size"] for a in answers] == [r["batch_size"] for r in rows]
    for answer in answers:
        assert 0 < answer["low"] <= answer["output_throughput"] <= answer["high"]
        assert 0 <= answer["p_feasible"] <= 1


def test_evaluate_runs_on_the_store_or_says_what_it_needs(demo: Demo) -> None:
    workspace, _ = demo
    ran = workspace.here("evaluate", "--protocol", "migration")
    assert ran.code == 1
    assert "two GPUs" in ran.err


def test_the_ui_serves_the_store_on_loopback(pages: list[str]) -> None:
    with urllib.request.urlopen(pages[0].partition("#")[0], timeout=60) as answer:
        assert re.search("<title>MLflow</title>", answer.read().decode())


@pytest.mark.parametrize("engine", ENGINES)
def test_progress_goes_to_standard_error(demo: Demo, engine: str) -> None:
    _, ran = demo
    assert f"{engine} · 1 GPU · batch 16" in ran.err
    assert "GPU · batch" not in ran.out
