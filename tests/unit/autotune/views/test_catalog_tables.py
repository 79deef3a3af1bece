"""`autotune models`: the catalogue, and what a name is taken for."""

import json
from pathlib import Path

import pytest

from autotune.catalog import models
from autotune.catalog.models import catalogue_names
from tests.support.workspace import run_here
from tests.unit.autotune.catalog.test_naming import SMALL

LLAMA = "meta-llama/Llama-3.1-8B"


@pytest.fixture(autouse=True)
def _knows_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(models, "_REMEMBERED", {})


def test_all_are_listed_with_where_they_are_from(tmp_path: Path) -> None:
    rows = run_here(tmp_path, "models", "--json", environment={}).json()
    assert [row["name"] for row in rows] == catalogue_names()
    assert all(row["source"] for row in rows)
    assert {row["remark"] for row in rows} == {None}


def test_a_name_that_is_not_in_it_is_resolved(tmp_path: Path) -> None:
    name = "somebody/Llama-3.1-8B-Instruct-AWQ"
    ran = run_here(tmp_path, "models", name, "--json", environment={})
    (row,) = ran.json()
    assert (row["name"], row["taken_for"], row["dtype"]) == (name, LLAMA, "int4")
    assert row["remark"] in ran.err
    assert name in run_here(tmp_path, "models", name, environment={}).out


@pytest.mark.parametrize("file", ["", "/config.json"])
def test_a_directory_is_described(tmp_path: Path, file: str) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "config.json").write_text(json.dumps(SMALL))
    (row,) = run_here(tmp_path, "models", f"own{file}", "--json", environment={}).json()
    assert (row["name"], row["n_layers"], row["source"]) == ("own", 2, "own/config.json")


def test_like_lends_an_architecture(tmp_path: Path) -> None:
    ran = run_here(tmp_path, "models", "a/b", "--like", LLAMA, "--json", environment={})
    (row,) = ran.json()
    assert (row["name"], row["taken_for"]) == ("a/b", LLAMA)


@pytest.mark.parametrize(
    "arguments", [("models", "nobody/nothing"), ("models", "a/b", "--like", "nobody/nothing")]
)
def test_what_nobody_knows_ends_with_2_and_a_way_out(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    ran = run_here(tmp_path, *arguments, environment={})
    assert (ran.code, ran.out) == (2, "")
    assert "--like BASE" in ran.err
    assert len(ran.err.splitlines()) == 1
