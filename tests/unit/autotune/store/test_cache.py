"""The columnar cache beside the store."""

from pathlib import Path

import pytest

from autotune.files import write_atomically
from autotune.schema.record import RunRecord
from autotune.store.cache import RecordCache
from autotune.store.location import default_uri, store_directory
from autotune.store.sampling import MOST_OWN
from tests.support.records import record

RECORDS = [record(), record(batch_size=16, knobs={"a": 1}), record(model="google/gemma-2b")]


def test_it_gives_back_what_was_put_in(tmp_path: Path) -> None:
    cache = RecordCache(tmp_path)
    cache.replace(RECORDS[:1])
    assert cache.extend(RECORDS[1:])
    held = cache.read()
    assert held is not None
    # Of one model they come as they went in; models come in any order.
    assert [one for one in held if one.model == RECORDS[0].model] == RECORDS[:2]
    assert [one for one in held if one.model != RECORDS[0].model] == RECORDS[2:]
    cache.replace(RECORDS)
    assert cache.read() == RECORDS


def test_it_reads_one_model_alone(tmp_path: Path) -> None:
    cache = RecordCache(tmp_path)
    cache.replace(RECORDS[:2])
    cache.extend(RECORDS[2:])
    assert cache.read(model="google/gemma-2b") == RECORDS[2:]


def test_without_a_cache_there_is_nothing_to_read_or_extend(tmp_path: Path) -> None:
    cache = RecordCache(tmp_path)
    assert cache.read() is None
    assert not cache.extend(RECORDS)
    assert cache.read() is None


@pytest.mark.parametrize("damage", ["", "{", '{"version": 99}', '{"version": 1, "n": 2}'])
def test_a_damaged_cache_is_no_cache(tmp_path: Path, damage: str) -> None:
    cache = RecordCache(tmp_path)
    cache.replace(RECORDS)
    cache.path.write_text(damage)
    assert cache.read() is None


def test_a_cache_whose_content_was_changed_is_no_cache(tmp_path: Path) -> None:
    cache = RecordCache(tmp_path)
    cache.replace(RECORDS)
    path = next(path for path in cache.path.parent.iterdir() if "Llama" in path.name)
    path.write_text(path.read_text().replace("1376.5", "9999.5"))
    assert cache.read() is None
    assert cache.read(model="google/gemma-2b") == RECORDS[2:]


def test_what_is_added_is_folded_in_before_it_grows_long(tmp_path: Path) -> None:
    cache = RecordCache(tmp_path)
    cache.replace(RECORDS)
    added = [record(batch_size=size, notes="x" * 10_000) for size in range(100, 220)]
    for one in added:
        cache.extend([one])
    sizes = [path.stat().st_size for path in cache.path.parent.glob("tail-*")]
    assert sum(sizes) < 2**20
    assert cache.read(model=RECORDS[0].model) == [*RECORDS[:2], *added]
    assert len(list(cache.path.parent.glob("columns-*"))) == 2


def test_what_another_process_adds_stays_when_the_cache_is_written_anew(tmp_path: Path) -> None:
    cache = RecordCache(tmp_path)
    cache.replace(RECORDS[:1])
    RecordCache(tmp_path).extend(RECORDS[1:])
    cache.replace(RECORDS[:2])
    assert cache.read() == RECORDS
    assert cache.read(model=RECORDS[0].model) == RECORDS[:2]


def test_an_empty_cache_is_a_cache(tmp_path: Path) -> None:
    cache = RecordCache(tmp_path)
    cache.replace([])
    assert cache.read() == []


def test_a_local_store_keeps_its_things_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert store_directory(default_uri()) == Path("mlruns")
    assert store_directory("sqlite:////data/x/mlflow.db") == Path("/data/x")


def test_remote_stores_do_not_share_a_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    one, other = store_directory("http://a:5000"), store_directory("http://b:5000")
    assert one != other
    assert one.parent == Path("/cache/autotune")


def test_writing_replaces_the_whole_file_and_leaves_no_part(tmp_path: Path) -> None:
    path = tmp_path / "x" / "file.json"
    write_atomically(path, "old")
    write_atomically(path, "new")
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_a_sample_of_all_models_is_at_hand(tmp_path: Path) -> None:
    cache = RecordCache(tmp_path)
    assert cache.sample() == []
    cache.replace(RECORDS[:2])
    cache.extend(RECORDS[2:])
    assert cache.sample() == RECORDS
    sample = tmp_path / "cache" / "sample.lines"
    sample.write_text(sample.read_text() + '{"cut off')
    assert cache.sample() == RECORDS


def test_the_sample_does_not_grow_with_the_store(tmp_path: Path) -> None:
    def own(first: int, n: int, notes: str | None = None) -> list[RunRecord]:
        sizes = range(first, first + n)
        return [record(source="autotune", batch_size=size, notes=notes) for size in sizes]

    cache = RecordCache(tmp_path)
    cache.replace(own(1, 2000))
    assert len(cache.sample()) == MOST_OWN
    for first in range(3000, 3600, 100):
        cache.extend(own(first, 100, "x" * 8_000))
    assert len(cache.sample()) <= MOST_OWN + 600
    assert (tmp_path / "cache" / "sample.lines").stat().st_size < 2**22
