"""Reader of the table of collected published measurements (CSV, plain or gzip).

Its columns are near a RunRecord's; names and number formats are each source's own. This reader
brings dtype, engine, model and GPU names to autotune's and refuses what autotune cannot express.
"""

import csv
import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TextIO

from autotune.catalog.gpus import find_gpu
from autotune.catalog.models import find_model
from autotune.errors import InvalidRecordError, UsageError
from autotune.importers.base import ImportResult, Rejection
from autotune.schema.record import RunRecord
from autotune.schema.validation import ENGINES

REQUIRED_COLUMNS: Final = (
    "source",
    "model",
    "engine",
    "gpu",
    "n_gpus",
    "batch_size",
    "output_len",
    "status",
    "output_throughput",
    "mode",
)
_DTYPES: Final = {
    "": None,
    # of unstated format, but faster than float32 could be
    "unknown": "float16",
    "fp16/bf16 (unstated)": "auto",
    "bf16/fp8 by model": "auto",
    "fp16": "float16",
    "bf16": "bfloat16",
    "fp32": "float32",
}
# a study that states no version: its year stands for it
_UNSTATED_VERSIONS: Final = {"LLM-Inference-Bench": "2024", "LLM-Pilot": "2023"}
_ENGINES: Final = {"trt-llm": "trtllm", "tensorrt-llm": "trtllm", "huggingface": "hf"}
_TRUE: Final = frozenset({"true", "1", "yes"})
_FALSE: Final = frozenset({"false", "0", "no", ""})


def read(path: Path) -> ImportResult:
    """Read the table; rows that are not RunRecords come back as rejections with the reason.

    Raises:
        InvalidRecordError: When the file is not such a table at all (columns missing).
        OSError: When it cannot be read.
    """
    result = ImportResult()
    with _open(path) as file:
        rows = csv.DictReader(file)
        missing = [name for name in REQUIRED_COLUMNS if name not in (rows.fieldnames or ())]
        if missing:
            raise InvalidRecordError(f"{path}: missing column {', '.join(missing)}")
        for line, row in enumerate(rows, start=2):
            try:
                if None in row or None in row.values():
                    raise InvalidRecordError("its number of cells is not that of the columns")
                result.records.append(_record(row))
            except (UsageError, ValueError, OverflowError) as err:
                result.rejected.append(Rejection(line=line, reason=str(err), row=row))
    return result


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def _record(row: Mapping[str, Any]) -> RunRecord:
    return RunRecord(
        source=row["source"],
        engine=_engine(row["engine"]),
        engine_version=_version(row),
        model=find_model(row["model"]).name,
        gpu=find_gpu(row["gpu"]).name,
        n_gpus=_count(row, "n_gpus"),
        batch_size=_count(row, "batch_size"),
        input_len=_optional_count(row, "input_len"),
        output_len=_optional_count(row, "output_len"),
        dtype=_dtype(row.get("dtype") or ""),
        mode=row["mode"],
        status=row["status"],
        output_throughput=_measure(row, "output_throughput"),
        mean_ttft_ms=_measure(row, "ttft_ms"),
        mean_itl_ms=_measure(row, "itl_ms"),
        suspect=_flag(row.get("suspect") or ""),
        notes=row.get("notes") or None,
    )


def _engine(name: str) -> str:
    """Return the engine without its fork: "tgi(IBM fork)" is tgi."""
    plain = name.partition("(")[0].strip().lower()
    engine = _ENGINES.get(plain, plain)
    if engine not in ENGINES:
        raise InvalidRecordError(f"engine={name!r} must be one of {', '.join(ENGINES)}")
    return engine


def _version(row: Mapping[str, Any]) -> str | None:
    """Return the version without remarks: "0.5.4 (per leaderboard docs)" is 0.5.4."""
    plain = (row.get("engine_version") or "").partition("(")[0].strip()
    return plain or _UNSTATED_VERSIONS.get(row["source"])


def _dtype(text: str) -> str | None:
    plain = text.removesuffix("(inferred)").strip()
    return _DTYPES.get(plain, plain)


def _count(row: Mapping[str, Any], name: str) -> int:
    value = _optional_count(row, name)
    if value is None:
        raise InvalidRecordError(f"{name} is empty")
    return value


def _optional_count(row: Mapping[str, Any], name: str) -> int | None:
    """Return a whole number; a mean length such as 190.4 is rounded."""
    value = _number(row, name)
    return None if value is None else round(value)


def _measure(row: Mapping[str, Any], name: str) -> float | None:
    return _number(row, name)


def _number(row: Mapping[str, Any], name: str) -> float | None:
    text = (row.get(name) or "").strip()
    if not text or text.lower() == "nan":
        return None
    try:
        return float(text)
    except ValueError:
        raise InvalidRecordError(f"{name}={text!r} must be a number or empty") from None


def _flag(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered not in _TRUE | _FALSE:
        raise InvalidRecordError(f"suspect={text!r} must be true or false")
    return lowered in _TRUE
