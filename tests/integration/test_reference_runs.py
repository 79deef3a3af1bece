"""The runs that come with a checkout, in its default store and nowhere else."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from autotune.schema.codec import to_json_line
from autotune.schema.record import RunRecord
from autotune.store import bundled as reference_runs
from autotune.store.tracking.layout import KIND
from autotune.store.tracking.store import EXPERIMENT, Store
from tests.support.records import record

ROOT = Path(__file__).parents[2]
RUNS = [record(batch_size=b, session_id="reference-1") for b in (1, 2, 4)]
SERVED = [record(batch_size=8, mode="serving", session_id="reference-2")]


def write(path: Path, rows: list[RunRecord]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(to_json_line(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_store: Callable[..., str]
) -> Path:
    """A checkout with two journals, and an empty database where its default store is."""
    folder = tmp_path / "checkout"
    new_store(folder)
    write(folder / "mlruns" / "reference" / "h200.jsonl", RUNS)
    write(folder / "mlruns" / "reference" / "modes" / "served.jsonl", SERVED)
    monkeypatch.setattr(reference_runs, "CHECKOUT", folder)
    return folder


def default_store(checkout: Path) -> Store:
    return Store(f"sqlite:///{checkout}/mlruns/mlflow.db")


def ids(records: list[RunRecord]) -> list[str]:
    return sorted(r.record_id for r in records)


def runs_of(store: Store, kind: str) -> list:
    client = MlflowClient(store.uri)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    return client.search_runs([experiment.experiment_id], f"tags.`{KIND}` = '{kind}'")


def test_the_default_store_is_given_them_once(checkout: Path) -> None:
    store = default_store(checkout)
    assert ids(store.read()) == ids([*RUNS, *SERVED])
    assert ids(store.cache.read() or []) == ids([*RUNS, *SERVED])
    assert len(default_store(checkout).read()) == 4


def test_their_studies_are_told_from_ones_own(checkout: Path) -> None:
    store = default_store(checkout)
    store.log([record(batch_size=64, session_id="mine")])
    studies = {run.info.run_name: run for run in runs_of(store, "study")}
    assert sorted(studies) == ["Llama-3.1-8B · reference · H200", "Llama-3.1-8B · study · H200"]
    tags = studies["Llama-3.1-8B · reference · H200"].data.tags
    assert tags["source"] == "reference"
    assert "random weights" in tags["mlflow.note.content"]
    assert {run.data.tags["weights"] for run in runs_of(store, "configuration")} == {"random"}


def test_what_a_user_deletes_stays_deleted_and_what_is_added_comes_in(checkout: Path) -> None:
    store = default_store(checkout)
    for run in runs_of(store, "configuration"):
        store.client.delete_run(run.info.run_id)
    added = record(batch_size=16, session_id="reference-1")
    write(checkout / "mlruns" / "reference" / "h200.jsonl", [*RUNS, added])
    assert ids(default_store(checkout).read()) == [added.record_id]


def test_runs_that_were_imported_before_are_not_doubled(checkout: Path) -> None:
    reference = checkout / "mlruns" / "reference"
    reference.rename(checkout / "aside")
    default_store(checkout).log(RUNS)
    (checkout / "aside").rename(reference)
    assert ids(default_store(checkout).read()) == ids([*RUNS, *SERVED])


@pytest.mark.parametrize("name", ["elsewhere/mlflow.db", "mlruns/other.db"])
def test_no_other_store_is_given_any(
    checkout: Path, name: str, new_store: Callable[..., str]
) -> None:
    assert Store(new_store(checkout, name)).read() == []


# Of what comes with a checkout: runs of one of the two models, of others, in another mode.
_JOURNALS = (
    "h200-vllm-codellama-7b.jsonl",
    "h200-vllm-mistral-7b.jsonl",
    "h100-vllm-mistral-7b.jsonl",
    "modes/h200-vllm-mistral-7b.jsonl",
)


@pytest.mark.slow
def test_a_fresh_clone_advises_from_them_before_and_after_mlflow_is_opened(tmp_path: Path) -> None:
    for part in ("autotune", "recommender"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in _JOURNALS:
        target = tmp_path / "mlruns" / "reference" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "mlruns" / "reference" / name, target)
    known = {k: v for k, v in os.environ.items() if k not in ("MLFLOW_TRACKING_URI", "PYTHONPATH")}

    def autotune(*arguments: str) -> str:
        command = [sys.executable, "-m", "autotune.cli", *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, env=known, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def advise(model: str) -> dict[str, Any]:
        asked = ["recommend", "--model", model, "--target-gpu", "H200", "--max-gpus", "1"]
        best: dict[str, Any] = json.loads(autotune(*asked, "--json"))["best"]
        return best

    def predict(best: dict[str, Any], model: str) -> dict[str, Any]:
        asked = {key: best[key] for key in ("engine", "n_gpus", "batch_size")}
        place = {"model": model, "gpu": "H200", "input_len": 512, "output_len": 128}
        (tmp_path / "asked.jsonl").write_text(json.dumps(asked | place) + "\n", encoding="utf-8")
        row: dict[str, Any] = json.loads(autotune("predict", "asked.jsonl", "--json"))
        return row

    models = ("codellama/CodeLlama-7b-hf", "meta-llama/Llama-3.1-8B")
    before = [advise(model) for model in models]
    predicted = [predict(best, model) for best, model in zip(before, models, strict=True)]
    assert not (tmp_path / "mlruns" / "mlflow.db").exists()
    autotune("export", "runs.jsonl")
    exported = (tmp_path / "runs.jsonl").read_text(encoding="utf-8").splitlines()
    journals = (tmp_path / "mlruns" / "reference").rglob("*.jsonl")
    assert len(exported) == sum(len(path.read_text().splitlines()) for path in journals)
    after = [advise(model) for model in models]
    predicted += [predict(best, model) for best, model in zip(after, models, strict=True)]
    for best, row in zip([*before, *after], predicted, strict=True):
        same = ("output_throughput", "low", "high", "ttft_ms", "tpot_ms", "p_feasible")
        assert [row[key] for key in same] == pytest.approx([best[key] for key in same], rel=1e-9)
        assert row["status"] == best["status"]
    assert [best["status"] for best in before] == ["measured", "predicted"]
    # What is predicted rests on the same runs of other models, in another order.
    for one, other in zip(before, after, strict=True):
        numbers = {key for key, value in one.items() if isinstance(value, float)}
        assert {key: one[key] for key in numbers} == pytest.approx(
            {key: other[key] for key in numbers}
        )
        assert {**one, **dict.fromkeys(numbers)} == {**other, **dict.fromkeys(numbers)}
