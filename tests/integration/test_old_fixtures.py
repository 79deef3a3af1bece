"""What 5547df1 wrote is read today, and says the same (``tests/fixtures/5547df1``)."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.old_fixtures import FIXTURES, answer, questions, recommendation, restore
from tests.support.workspace import Ran, Workspace

pytestmark = [
    pytest.mark.slow,
    # MLflow warns of the type hints of its own XGBoost flavour when it is imported.
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning"),
]

# Sentences, ids and what is of the day of asking; figures and names are compared.
SAID = frozenset({"explanation", "remarks", "summary", "text", "command", "warnings", "reason",
                  "recommendation_id", "confirmed", "path", "pictures"})  # fmt: skip
COMPUTED = ("explain", "confirm", "ledger", "recommend", "recommend-target")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A folder as 5547df1 left it."""
    workspace = Workspace(tmp_path_factory.mktemp("old"))
    restore(workspace.folder)
    return workspace


@pytest.fixture(scope="module")
def answers(workspace: Workspace) -> dict[str, Ran]:
    """What is answered today, each question asked once and in order."""
    return {name: workspace.here(*arguments) for name, arguments in questions().items()}


def assert_holds(new: Any, old: Any, where: str = "") -> None:
    """Check that a document has every figure of an older one; it may have more."""
    if isinstance(old, Mapping):
        for key in old.keys() - SAID:
            assert key in new, f"{where}.{key} is missing"
            assert_holds(new[key], old[key], f"{where}.{key}")
    elif isinstance(old, list):
        assert len(new) == len(old), where
        for number, (one, other) in enumerate(zip(new, old, strict=True)):
            assert_holds(one, other, f"{where}[{number}]")
    elif isinstance(old, float):
        assert new == pytest.approx(old, rel=1e-4, abs=1e-9), where
    else:
        assert new == old, where


def rows(path: Path) -> list[dict[str, Any]]:
    """Return the runs of a file, those of an export in an order of their own."""
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return sorted(found, key=lambda row: (row["run_key"], row["started_at"]))


@pytest.mark.parametrize("name", questions())
def test_what_it_wrote_is_read(answers: dict[str, Ran], name: str) -> None:
    assert answers[name].code == 0, answers[name].err
    assert "Traceback" not in answers[name].err


def test_a_journal_goes_into_a_fresh_store_as_it_is(
    workspace: Workspace, answers: dict[str, Ran]
) -> None:
    assert answers["import"].json()["logged"] == len(rows(FIXTURES / "study.jsonl"))
    # The run that failed is of the same configuration as one of these.
    found = {
        (row["run_key"], row["started_at"]): row for row in rows(workspace.folder / "fresh.jsonl")
    }
    for old in rows(FIXTURES / "study.jsonl"):
        assert_holds(found[old["run_key"], old["started_at"]], old)


def test_importing_it_again_adds_nothing_and_an_export_only_what_is_new(
    workspace: Workspace, answers: dict[str, Ran]
) -> None:
    made = answers["import-again"].json()
    assert_holds(made, answer("import-again"))
    n_study, n_all = len(rows(FIXTURES / "study.jsonl")), len(rows(FIXTURES / "runs.jsonl"))
    assert [file["good"] for file in made["files"]] == [n_study, n_all]
    assert made["logged"] == n_all - n_study
    assert_holds(rows(workspace.folder / "fresh.jsonl"), rows(FIXTURES / "runs.jsonl"))


def test_a_store_has_the_same_runs(workspace: Workspace, answers: dict[str, Ran]) -> None:
    assert_holds(answers["export"].json(), answer("export"))
    assert_holds(rows(workspace.folder / "out.jsonl"), rows(FIXTURES / "runs.jsonl"))


@pytest.mark.parametrize("name", COMPUTED)
def test_the_figures_are_those_that_it_gave(answers: dict[str, Ran], name: str) -> None:
    assert_holds(answers[name].json(), answer(name))


def test_a_document_is_recommended_as_it_was(answers: dict[str, Ran]) -> None:
    printed = json.loads((FIXTURES / "answer.json").read_text())
    document = json.loads(recommendation().read_text())
    assert_holds(document["candidates"], printed["candidates"])
    explained = answers["explain"].json()["candidates"]
    figures = ("engine", "n_gpus", "batch_size", "output_throughput", "low", "high")
    for old, new in zip(document["candidates"], explained, strict=False):
        assert_holds(new, {name: old[name] for name in figures})


def test_reports_are_written_of_a_document_and_of_a_study(
    workspace: Workspace, answers: dict[str, Ran]
) -> None:
    best = json.loads(recommendation().read_text())["best"]
    told = (workspace.folder / answers["report"].json()["markdown"]).read_text()
    assert f"{best['output_throughput']:,.0f}" in told
    assert "Winner after 3 runs" in told
    study = (workspace.folder / answers["report-study"].json()["markdown"]).read_text()
    for row in rows(FIXTURES / "study.jsonl"):
        assert f"{row['output_throughput']:,.1f}" in study


def test_its_champion_is_in_force_until_it_is_taken_back(
    workspace: Workspace, answers: dict[str, Ran]
) -> None:
    assert_holds(answers["rollback"].json(), answer("rollback"))
    assert not (workspace.folder / "mlruns" / "champion").exists()
