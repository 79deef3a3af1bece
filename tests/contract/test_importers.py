"""What every importer promises, on the same cases."""

import dataclasses
import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from autotune.codec import to_csv, to_json_line
from autotune.errors import UsageError
from autotune.importers.base import ImportResult
from autotune.importing import FORMATS, detect, read_file, set_rejected_aside
from tests.records import record

RUNS = [record(), record(batch_size=16, knobs={"enforce_eager": True}), record(n_gpus=2)]
PUBLISHED_HEADER = (
    "source,source_path,model,engine,engine_version,gpu,n_gpus,batch_size,input_len,output_len,"
    "dtype,status,output_throughput,ttft_ms,itl_ms,suspect,notes,mode\n"
)


def _jsonl() -> bytes:
    return "".join(to_json_line(run) + "\n" for run in RUNS).encode()


def _published() -> bytes:
    rows = "".join(
        f"paper,file.csv#{i},meta-llama/Llama-2-7b-hf,vllm,0.4,A100-40GB,1,{2**i},128,64,fp16,"
        f"completed,{50 * 2**i},,,False,,closed_batch\n"
        for i in range(3)
    )
    return (PUBLISHED_HEADER + rows).encode()


# format, file name, good content, a content whose second row is bad
CASES = [
    ("runs", "runs.jsonl", _jsonl(), _jsonl().replace(b'"n_gpus":1', b'"n_gpus":0', 1)),
    ("runs", "runs.csv", to_csv(RUNS).encode(), to_csv(RUNS).replace("1376.5", "-3", 1).encode()),
    ("published", "table.csv", _published(), _published().replace(b",100,", b",-100,")),
    (
        "published",
        "table.csv.gz",
        gzip.compress(_published()),
        gzip.compress(_published().replace(b",100,", b",-100,")),
    ),
]
IDS = [f"{case[0]}-{case[1]}" for case in CASES]


@pytest.fixture(params=CASES, ids=IDS)
def case(request: pytest.FixtureRequest) -> tuple[str, str, bytes, bytes]:
    chosen: tuple[str, str, bytes, bytes] = request.param
    return chosen


def _put(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_it_is_recognised_by_content(case: tuple[str, str, bytes, bytes], tmp_path: Path) -> None:
    format_name, name, good, _ = case
    assert detect(_put(tmp_path, name, good)) == format_name


def test_good_rows_come_back_whole(case: tuple[str, str, bytes, bytes], tmp_path: Path) -> None:
    _, name, good, _ = case
    file = read_file(_put(tmp_path, name, good))
    assert len(file.records) == 3
    assert not file.rejected
    assert set_rejected_aside(file) is None


def test_reading_twice_gives_the_same_identities(
    case: tuple[str, str, bytes, bytes], tmp_path: Path
) -> None:
    _, name, good, _ = case
    path = _put(tmp_path, name, good)
    first, second = read_file(path), read_file(path)
    assert [r.record_id for r in first.records] == [r.record_id for r in second.records]
    assert len({r.record_id for r in first.records}) == 3


def test_a_bad_row_is_set_aside_and_the_rest_goes_in(
    case: tuple[str, str, bytes, bytes], tmp_path: Path
) -> None:
    _, name, _, bad = case
    file = read_file(_put(tmp_path, name, bad))
    assert len(file.records) == 2
    assert len(file.rejected) == 1
    assert file.rejected[0].line >= 1
    assert file.rejected[0].reason
    aside = set_rejected_aside(file)
    assert aside is not None
    assert aside.name == f"{name}.rejected.jsonl"


@pytest.mark.parametrize("read", FORMATS.values(), ids=list(FORMATS))
def test_prose_is_never_a_record(read: Callable[[Path], ImportResult], tmp_path: Path) -> None:
    path = _put(tmp_path, "prose.csv", b"this is\nnot a table, at all\n")
    with pytest.raises(UsageError):
        read(path)


def test_runs_survive_the_round_trip(tmp_path: Path) -> None:
    for name, content in (("r.jsonl", _jsonl()), ("r.csv", to_csv(RUNS).encode())):
        assert read_file(_put(tmp_path, name, content)).records == RUNS


def test_an_unknown_format_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="looked for"):
        detect(_put(tmp_path, "x.txt", b"hello\n"))


def test_a_record_with_a_foreign_key_is_refused_with_the_nearest(tmp_path: Path) -> None:
    line = to_json_line(dataclasses.replace(RUNS[0])).replace('"batch_size"', '"batchsize"')
    file = read_file(_put(tmp_path, "x.jsonl", line.encode()))
    assert "batch_size" in file.rejected[0].reason
