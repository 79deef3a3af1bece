"""Runs of another engine version."""

import pytest

from autotune.schema.record import RunRecord
from recommender.recommendation import versions as drift
from tests.support.records import record


def run(version: str | None, day: int, **changes: object) -> RunRecord:
    return record(engine_version=version, started_at=f"2026-01-{day:02}T00:00:00+00:00", **changes)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    versions: dict[str, str | None] = {"vllm": None, "hf": None}
    monkeypatch.setattr(drift, "engine_version", versions.__getitem__)
    return versions


def test_the_installed_version_counts(installed: dict[str, str | None]) -> None:
    installed["vllm"] = "0.32.0"
    warning = drift.version_drift([run("0.26.0", 1), run("0.32.0", 2)], "vllm")
    assert warning is not None
    assert warning.startswith("1 of 2 known vllm runs were measured with 0.26.0, 0.32.0 is")


def test_without_an_engine_the_last_run_counts(installed: dict[str, str | None]) -> None:
    warning = drift.version_drift([run("0.32.0", 2), run("0.26.0", 1)], "vllm")
    assert warning is not None
    assert "0.32.0 is that of the last run" in warning


@pytest.mark.parametrize(
    "known",
    [
        [],
        [run("0.26.0", 1), run("0.26.0", 2)],
        [run(None, 1), run("0.26.0", 2)],
        [run("5.1.0", 1, engine="hf"), run("0.26.0", 2)],
        [run("0.20.0", 1, status="out_of_memory", output_throughput=None), run("0.26.0", 2)],
    ],
)
def test_one_version_is_no_drift(installed: dict[str, str | None], known: list[RunRecord]) -> None:
    assert drift.version_drift(known, "vllm") is None


LLAMA = "meta-llama/Llama-3.1-8B"


def holds(known: list[RunRecord], engine: str = "vllm") -> tuple[str | None, str]:
    found = drift.version_it_holds_for(engine, LLAMA, "H200", known)
    return (None, "") if found is None else found


@pytest.mark.usefixtures("installed")
def test_the_nearest_runs_version_is_the_answer_s() -> None:
    other = run("0.30.0", 9, model="Qwen/Qwen3-8B")
    elsewhere = run("0.29.0", 8, gpu="A100-80GB")
    there = [run("0.27.0", 2), run("0.28.0", 3), run("0.26.0", 1)]
    assert holds([other, elsewhere, *there])[0] == "0.28.0"
    assert holds([other, elsewhere])[0] == "0.29.0"
    version, remark = holds([other])
    assert version == "0.30.0"
    assert remark == "It holds for vllm 0.30.0, with which runs of other models were measured"


def test_what_says_nothing_does_not_count(installed: dict[str, str | None]) -> None:
    installed["vllm"] = "0.31.0"
    silent = [run(None, 1), run("0.28.0", 1, suspect=True), run("5.17.0", 1, engine="hf")]
    version, remark = holds(silent)
    assert version == "0.26.0"
    assert "no run that names a version is known" in remark


def test_a_pipeline_s_version_is_the_installed_one(installed: dict[str, str | None]) -> None:
    assert holds([], "hf") == (None, "")
    installed["hf"] = "5.17.0"
    assert holds([], "hf")[0] == "5.17.0"
