"""A model known by its name alone: measured as another, recorded as itself, known to others."""

from pathlib import Path

from autotune.catalog import models
from tests.support.lightly import Bench
from tests.support.workspace import Workspace

NAME = "my-company/tuned"


def test_a_fine_tune_is_measured_like_its_base_and_its_records_tell_others(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "here")
    bench.folder.mkdir()
    bench.prepare()
    ran = bench.here(
        *("run", "--model", NAME, "--like", "light-model", "--engine", "hf", "--batch-sizes", "2"),
        *("--input-len", "8", "--output-len", "8", "--journal", bench.journal.name),
    )
    assert ran.code == 0, ran.err
    assert f"{NAME} was taken for light-model, by --like" in ran.err
    (record,) = bench.records()
    assert record.model == NAME
    assert record.environment["model_taken_for"] == "light-model"
    assert record.environment["model_config"]["hidden_size"] == 64

    models._REMEMBERED.clear()
    there = Workspace(tmp_path / "there")
    there.folder.mkdir()
    assert there.here("import", bench.journal).code == 0
    asked = there.folder / "asked.jsonl"
    asked.write_text(bench.journal.read_text())
    (row,) = there.here("predict", asked, "--json").out.splitlines()
    assert f'"model": "{NAME}"' in row
