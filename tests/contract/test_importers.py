"""What every importer promises, on the same cases."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from autotune.errors import UsageError
from autotune.importers.base import ImportResult
from autotune.importers.formats import FORMATS, detect
from autotune.importers.run import import_files, read_file, screened, set_rejected_aside
from autotune.importers.summary import ImportedFile
from autotune.schema.codec import to_csv, to_json_line
from tests.contract.importer_cases import CASES, RUNS, Case, jsonl, put


@pytest.fixture(params=CASES, ids=[case.id for case in CASES])
def case(request: pytest.FixtureRequest) -> Case:
    chosen: Case = request.param
    return chosen


def _put(folder: Path, name: str, content: bytes) -> Path:
    return put(folder, {name: content})


def _read(case: Case, path: Path) -> ImportedFile:
    return screened(read_file(path, options=case.options))


def test_every_format_has_a_case() -> None:
    assert {case.format for case in CASES} == set(FORMATS)


def test_it_is_recognised_by_content(case: Case, tmp_path: Path) -> None:
    assert detect(put(tmp_path, case.good)) == case.format


def test_good_rows_come_back_whole(case: Case, tmp_path: Path) -> None:
    file = _read(case, put(tmp_path, case.good))
    assert not file.rejected
    assert len(file.records) == file.n_rows == 3
    assert set_rejected_aside(file) is None


def test_foreign_rows_say_who_measured_and_what_was_meant(case: Case, tmp_path: Path) -> None:
    if case.format in ("runs", "published"):
        return
    for record in _read(case, put(tmp_path, case.good)).records:
        assert record.environment["measuring_tool"]
        assert record.environment["source_definition"]
        assert record.environment["source_path"]


def test_reading_twice_gives_the_same_identities(case: Case, tmp_path: Path) -> None:
    path = put(tmp_path, case.good)
    first, second = _read(case, path), _read(case, path)
    assert [r.record_id for r in first.records] == [r.record_id for r in second.records]
    assert len({r.record_id for r in first.records}) == 3


def test_a_bad_row_is_set_aside_and_the_rest_goes_in(case: Case, tmp_path: Path) -> None:
    path = put(tmp_path, case.bad)
    file = _read(case, path)
    assert len(file.records) == 2
    assert len(file.rejected) == 1
    assert file.n_rows == 3
    [rejection] = file.rejected
    assert rejection.line >= 1
    assert rejection.reason
    aside = set_rejected_aside(file)
    assert aside is not None
    assert aside.name == f"{path.name}.rejected.jsonl"
    written = json.loads(aside.read_text())
    assert written["line"] == rejection.line
    assert written["reason"] == rejection.reason
    assert Path(written["file"]).is_file()


def test_a_row_that_comes_twice_is_taken_once(case: Case, tmp_path: Path) -> None:
    path = put(tmp_path, case.good)
    file = read_file(path, options=case.options)
    doubled = dataclasses.replace(
        file, records=file.records * 2, places=file.places * 2, rejected=[]
    )
    twice = screened(doubled)
    assert len(twice.records) == 3
    assert ["duplicate key" in rejection.reason for rejection in twice.rejected] == [True] * 3


def test_importing_twice_adds_nothing(
    case: Case, tmp_path: Path, new_store: Callable[..., str]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    path, uri = put(folder, case.bad), new_store(tmp_path, "store.db")
    first = import_files([path], uri, options=case.options)
    assert (first.n_logged, first.n_rejected) == (2, 1)
    assert import_files([path], uri, options=case.options).n_logged == 0


@pytest.mark.parametrize("read", FORMATS.values(), ids=list(FORMATS))
def test_prose_is_never_a_record(read: Callable[[Path], ImportResult], tmp_path: Path) -> None:
    path = _put(tmp_path, "prose.csv", b"this is\nnot a table, at all\n")
    with pytest.raises(UsageError):
        read(path)


def test_runs_survive_the_round_trip(tmp_path: Path) -> None:
    for name, content in (("r.jsonl", jsonl()), ("r.csv", to_csv(RUNS).encode())):
        assert read_file(_put(tmp_path, name, content)).records == RUNS


def test_an_unknown_format_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="looked for"):
        detect(_put(tmp_path, "x.txt", b"hello\n"))


def test_a_record_with_a_foreign_key_is_refused_with_the_nearest(tmp_path: Path) -> None:
    line = to_json_line(dataclasses.replace(RUNS[0])).replace('"batch_size"', '"batchsize"')
    file = read_file(_put(tmp_path, "x.jsonl", line.encode()))
    assert "batch_size" in file.rejected[0].reason
