"""The reader of the collected table, on a small made-up one."""

import gzip

import pytest

from autotune.errors import InvalidRecordError
from autotune.importers.readers.published.published import read

HEADER = (
    "source,source_path,model,engine,engine_version,gpu,n_gpus,batch_size,input_len,output_len,"
    "dtype,status,output_throughput,ttft_ms,itl_ms,suspect,notes,mode"
)
GOOD = (
    "lab,x,mistralai/Mistral-7B-v0.1,vllm,0.5.4 (per docs),A100-40GB,1,8,190.4,5,"
    "bf16,completed,12.5,30,4,False,,closed_batch"
)


def _table(*rows):
    return "\n".join((HEADER, *rows)) + "\n"


def _read(tmp_path, *rows):
    path = tmp_path / "runs.csv"
    path.write_text(_table(*rows), encoding="utf-8")
    return read(path)


def test_a_row_becomes_a_record_with_autotunes_names(tmp_path):
    [record] = _read(tmp_path, GOOD).records
    assert record.engine_version == "0.5.4"
    assert (record.dtype, record.input_len) == ("bfloat16", 190)
    assert (record.mean_ttft_ms, record.mean_itl_ms) == (30.0, 4.0)
    assert record.output_throughput == 12.5


def test_gzip_reads_alike(tmp_path):
    path = tmp_path / "runs.csv.gz"
    path.write_bytes(gzip.compress(_table(GOOD).encode()))
    assert read(path).records == _read(tmp_path, GOOD).records


@pytest.mark.parametrize(
    ("spelling", "dtype"),
    [
        ("float32 (inferred)", "float32"),
        ("fp16/bf16 (unstated)", "auto"),
        ("bf16/fp8 by model", "auto"),
        ("", None),
        ("unknown", "float16"),
        ("fp8", "fp8"),
    ],
)
def test_number_formats(tmp_path, spelling, dtype):
    [record] = _read(tmp_path, GOOD.replace("bf16", spelling)).records
    assert record.dtype == dtype


def test_forks_of_an_engine_are_the_engine(tmp_path):
    [record] = _read(tmp_path, GOOD.replace("vllm", "tgi(IBM fork)")).records
    assert record.engine == "tgi"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("vllm", "deepspeed-mii", "engine='deepspeed-mii'"),
        ("A100-40GB", "H100-80GB-powercap", "unknown GPU"),
        ("mistralai/Mistral-7B-v0.1", "nobody/nothing", "unknown model"),
        ("12.5", "-1", "output_throughput"),
        ("12.5", "fast", "output_throughput='fast'"),
        (",1,8,", ",0,8,", "n_gpus=0"),
        (",1,8,", ",,8,", "n_gpus is empty"),
        ("False", "perhaps", "suspect='perhaps'"),
        (",12.5,30,4,", ",,,,", "completed"),
    ],
)
def test_rows_that_cannot_be_meant_are_rejected_with_line_and_reason(tmp_path, old, new, reason):
    result = _read(tmp_path, GOOD, GOOD.replace(old, new))
    assert len(result.records) == 1
    [rejection] = result.rejected
    assert rejection.line == 3
    assert reason in rejection.reason


def test_failures_and_suspects_are_kept(tmp_path):
    failed = GOOD.replace("completed,12.5,30,4,False,", "out_of_memory,,,,True,odd")
    [record] = _read(tmp_path, failed).records
    assert (record.status, record.output_throughput) == ("out_of_memory", None)
    assert record.suspect
    assert record.notes == "odd"


def test_another_table_is_refused(tmp_path):
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(InvalidRecordError, match="missing column source"):
        read(path)
