"""Whose a folder is: stores in one folder share nothing, and what an older version wrote stays."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from autotune.store.cache import RecordCache
from autotune.store.location import remember_owner, store_directory
from recommender.commands.context import open_context
from tests.support.records import record

MODEL = "meta-llama/Llama-3.1-8B"


def uri(folder: Path, name: str) -> str:
    return f"sqlite:///{folder / name}"


def create(folder: Path, name: str) -> None:
    with closing(sqlite3.connect(folder / name)) as database:
        database.execute("create table t (x)")


def test_stores_in_one_folder_have_a_folder_each(tmp_path: Path) -> None:
    names = ("mlflow.db", "a.db", "b.db")
    assert len({store_directory(uri(tmp_path, name)) for name in names}) == len(names)
    assert store_directory(uri(tmp_path, "mlflow.db")) == tmp_path


def test_advice_of_one_store_does_not_rest_on_the_runs_of_another(tmp_path: Path) -> None:
    mine, other = uri(tmp_path, "a.db"), uri(tmp_path, "b.db")
    RecordCache(store_directory(mine)).replace([record(batch_size=b) for b in (1, 2, 4)])
    RecordCache(store_directory(other)).replace([])
    assert len(open_context(MODEL, mine).known) == 3
    assert open_context(MODEL, other).known == ()


def test_what_was_written_when_folders_were_shared_stays_with_the_store_alone_there(
    tmp_path: Path,
) -> None:
    create(tmp_path, "old.db")
    (tmp_path / "recommendations").mkdir()
    (tmp_path / "notes.txt").write_text("no database")
    assert store_directory(uri(tmp_path, "old.db")) == tmp_path
    assert store_directory(uri(tmp_path, "new.db")) == tmp_path / "new.db.autotune"
    remember_owner(uri(tmp_path, "new.db"))
    create(tmp_path, "new.db")
    assert store_directory(uri(tmp_path, "old.db")) == tmp_path
    assert store_directory(uri(tmp_path, "new.db")) == tmp_path / "new.db.autotune"


@pytest.mark.parametrize("address", ["postgresql://me@host/runs", "http://localhost:5000"])
def test_a_store_elsewhere_has_a_folder_in_the_users_cache(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert store_directory(address).parent == tmp_path / "autotune"
    assert store_directory(address) != store_directory(address + "1")
