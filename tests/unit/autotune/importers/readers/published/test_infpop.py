"""Labels rebuilt for the replication data of arXiv 2408.01050, on a small folder made here."""

from collections import Counter
from pathlib import Path

import pytest

from autotune.errors import InvalidRecordError
from autotune.importers.formats import detect
from autotune.importers.readers.published.infpop import SOURCE, read
from autotune.importers.run import read_file
from tests.support.shared_data import INFPOP, needs_infpop

HEADER = ",model,engine,nrGPUs,batchSize,throughput,errors_l\n"
# model, engine, GPUs, batch size, throughputs of 5, 10 and 20 new tokens
A100 = [("Phi-2", "vLLM", 1, 1, (10.0, 15.0, 20.0)), ("Phi-2", "vLLM", 1, 2, (18.0, 28.0, 38.0))]
V100 = [("Phi-2", "vLLM", 1, 1, (6.02, 8.0, 9.0)), ("Phi-2", "vLLM", 1, 2, (9.5, 12.0, 14.0))]


def _folder(tmp_path: Path, *cells: tuple[str, str, int, int, tuple[object, ...]]) -> Path:
    lines = [
        f"{model},{engine},{n},{batch},{value},"
        + ("ok" if isinstance(value, float) else "CUDA out of memory")
        for model, engine, n, batch, values in cells
        for value in values
    ]
    text = HEADER + "".join(f"{i},{line}\n" for i, line in enumerate(lines))
    (tmp_path / "allData.csv").write_text(text, encoding="utf-8")
    tables = tmp_path / "RQ2_tables"
    tables.mkdir()
    for name, row in (("a100", "10,18"), ("tesla", "6,9.5")):
        table = f"model,1,2\nPhi-2,{row}\n"
        (tables / f"table_batchsizes_{name}_vLLM_gpu_1.csv").write_text(table, encoding="utf-8")
    return tmp_path


def test_the_tables_tell_the_gpu_and_the_order_the_new_tokens(tmp_path: Path) -> None:
    folder = _folder(tmp_path, *A100, *V100)
    result = read(folder)
    assert not result.rejected
    assert [r.gpu for r in result.records] == ["A100-40GB"] * 6 + ["V100-32GB"] * 6
    assert [r.output_len for r in result.records] == [5, 10, 20] * 4
    first = result.records[0]
    assert (first.source, first.engine, first.model) == (SOURCE, "vllm", "microsoft/phi-2")
    assert (first.output_throughput, first.input_len, first.mode) == (10.0, 190, "closed_batch")
    assert len({r.record_id for r in result.records}) == 12
    assert detect(folder / "allData.csv") == "infpop"
    assert read_file(folder / "allData.csv").records == result.records


def test_a_pass_that_agrees_with_no_table_is_refused_row_by_row(tmp_path: Path) -> None:
    strange = [("Phi-2", "vLLM", 1, 1, (77.0, 78.0, 79.0))]
    result = read(_folder(tmp_path, *A100, *strange))
    assert len(result.records) == 6
    assert [r.line for r in result.rejected] == [8, 9, 10]
    assert "agrees with no GPU's RQ2 tables" in result.rejected[0].reason


def test_the_second_of_two_rows_has_no_known_length(tmp_path: Path) -> None:
    torn = ("Phi-2", "vLLM", 1, 2, (18.0, 38.0))
    records = read(_folder(tmp_path, A100[0], torn)).records
    assert [(r.output_len, r.suspect) for r in records[3:]] == [(5, False), (None, True)]


def test_failed_runs_are_kept_and_partial_ones_are_suspect(tmp_path: Path) -> None:
    folder = _folder(tmp_path, *A100)
    path = folder / "allData.csv"
    text = path.read_text(encoding="utf-8").replace("38.0,ok", "38.0,CUDA out of memory")
    path.write_text(text.replace("20.0,ok", ",killed-noInfo"), encoding="utf-8")
    records = read(folder).records
    assert [r.status for r in records] == ["completed"] * 2 + ["crashed"] + ["completed"] * 2 + [
        "out_of_memory"
    ]
    assert [r.suspect for r in records] == [False] * 5 + [True]
    assert records[2].output_throughput is None


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("Phi-2,vLLM,1,1,15.0", "Phi-9,vLLM,1,1,15.0", "model='Phi-9'"),
        ("Phi-2,vLLM,1,1,15.0", "Phi-2,tgi,1,1,15.0", "engine='tgi'"),
        ("Phi-2,vLLM,1,1,15.0", "Phi-2,vLLM,0,1,15.0", "nrGPUs='0'"),
        ("15.0", "-15.0", "throughput='-15.0'"),
        ("15.0", "inf", "throughput='inf'"),
        ("15.0,ok", "15.0,odd", "errors_l='odd'"),
    ],
)
def test_rows_that_cannot_be_meant_are_refused(
    tmp_path: Path, old: str, new: str, reason: str
) -> None:
    folder = _folder(tmp_path, *A100)
    path = folder / "allData.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    result = read(folder)
    assert len(result.records) == 5
    assert result.rejected[0].line == 3
    assert reason in result.rejected[0].reason


def test_without_the_tables_it_says_what_is_missing(tmp_path: Path) -> None:
    folder = _folder(tmp_path, *A100)
    (folder / "RQ2_tables" / "table_batchsizes_tesla_vLLM_gpu_1.csv").unlink()
    with pytest.raises(InvalidRecordError, match="lacks the RQ2 tables of tesla"):
        read(folder)


@needs_infpop
def test_the_published_file_is_labelled_whole() -> None:
    result = read(INFPOP)
    assert not result.rejected
    counts = Counter(r.status for r in result.records)
    assert counts == {"completed": 6614, "out_of_memory": 2215, "crashed": 18}
    assert len({r.session_id for r in result.records}) == 80
    assert len({r.record_id for r in result.records}) == len(result.records) == 8847
    partial = [r for r in result.records if r.status == "out_of_memory" and r.output_throughput]
    assert len(partial) == 283
    assert all(r.suspect for r in partial)
    alike = {
        (r.model, r.engine, r.n_gpus)
        for r in result.records
        if r.suspect and "within 1 %" in (r.notes or "")
    }
    assert alike == {("WizardLM/WizardCoder-33B-V1.1", "vllm", 4)}
    assert [r.environment["source_path"] for r in result.records if r.output_len is None] == [
        "allData.csv#675",
        "allData.csv#8487",
    ]
