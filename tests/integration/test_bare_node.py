"""A GPU node that has the engine and neither MLflow nor XGBoost: it measures, others log."""

import json
from pathlib import Path

import pytest

from autotune.catalog.gpus import find_gpu
from autotune.engines.knobs import engine_version
from autotune.store.journal import read_journal
from tests.support.workspace import Ran, Workspace, on_path

pytestmark = pytest.mark.skipif(
    engine_version("hf") is None, reason="transformers is not installed"
)
BARE = on_path(Path(__file__).with_name("bare"))
ASKED = ("--engine", "hf", "--input-len", 16, "--output-len", 4)


@pytest.fixture(scope="module")
def node(demo_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("node")
    (folder / "model").symlink_to(demo_model)
    return Workspace(folder)


@pytest.fixture(scope="module")
def confirmed(node: Workspace) -> Ran:
    target = find_gpu("cpu").name
    told = node(
        *("recommend", "--model", "model", "--target-gpu", target, *ASKED),
        *("--max-batch-size", 4, "--json"),
        PYTHONPATH=BARE,
    )
    assert told.code == 0, told.err
    recommendation_id = told.json()["recommendation_id"]
    return node(
        *("confirm", recommendation_id, "--runs", 2, "--time-budget", 0.2, "--json"),
        PYTHONPATH=BARE,
    )


def test_a_confirmation_is_shown_and_says_where_its_runs_are(
    node: Workspace, confirmed: Ran
) -> None:
    assert confirmed.code == 0, confirmed.err
    assert len(confirmed.json()["runs"]) == 2
    [journal] = (node.folder / "mlruns" / "journals").glob("*.jsonl")
    assert [record.purpose for record in read_journal(journal)] == ["confirm"] * 2
    assert "mlflow" in confirmed.err
    assert f"autotune sync {journal.relative_to(node.folder)}" in confirmed.err
    assert "Traceback" not in confirmed.err


def test_what_it_brings_home_is_logged_there(node: Workspace, confirmed: Ran) -> None:
    assert confirmed.code == 0, confirmed.err
    done = node("sync", "--json")
    assert done.code == 0, done.err
    logged = done.json()
    assert [item["logged"] for item in logged["journals"]] == [2]
    assert logged["documents"] == 2
    kept = json.loads(node("report", "ledger", "--json").out)
    assert kept["all"]["confirmed"] == 1


@pytest.mark.parametrize(
    "command", [("run", "--model", "model", *ASKED, "--batch-sizes", 1), ("train",), ("ui",)]
)
def test_what_needs_a_store_is_refused_with_what_to_do(
    node: Workspace, command: tuple[object, ...]
) -> None:
    refused = node(*command, PYTHONPATH=BARE)
    assert refused.code == 1
    assert refused.err.startswith("Error: mlflow is not installed here")
    assert "run --journal FILE" in refused.err
