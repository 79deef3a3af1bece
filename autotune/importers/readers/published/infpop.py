"""Reader of the replication folder of arXiv 2408.01050 ("InfPop"): ``allData.csv`` and its tables.

20 models with vLLM and Hugging Face pipelines on A100 (40 GB) and V100 (32 GB), GPUs x batch size.
Throughput is the generated tokens of a closed batch over its wall time, prefill included; prompts
are human-eval-infilling's single lines, 190 tokens on average. Batch 1028 is what was run.
"""

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from autotune.errors import InvalidRecordError
from autotune.importers.base import ImportResult, Place, Rejection, Signature
from autotune.importers.readers.published.infpop_labels import (
    LabelledRow,
    SourceRow,
    label,
    read_tables,
)
from autotune.schema.record import RunRecord

SOURCE: Final = "infpop(2408.01050)"
COLUMNS: Final = ("model", "engine", "nrGPUs", "batchSize", "throughput", "errors_l")
SIGNATURES: Final = (
    Signature(
        sought="allData.csv of arXiv 2408.01050 with RQ2_tables beside it",
        columns=frozenset(COLUMNS),
    ),
)
MODELS: Final = {
    "Bloom-1b7": "bigscience/bloom-1b7",
    "Bloom-3b": "bigscience/bloom-3b",
    "Bloom-7b1": "bigscience/bloom-7b1",
    "Codellama-7b-hf": "codellama/CodeLlama-7b-hf",
    "Codellama-13b-hf": "codellama/CodeLlama-13b-hf",
    "Codellama-34b-hf": "codellama/CodeLlama-34b-hf",
    "Codellama-70b-hf": "codellama/CodeLlama-70b-hf",
    "Codestral-22b": "mistralai/Codestral-22B-v0.1",
    "Gemma-2b": "google/gemma-2b",
    "Gemma-7b": "google/gemma-7b",
    "Mistral-7b": "mistralai/Mistral-7B-v0.1",
    "Mixtral-8x7b": "mistralai/Mixtral-8x7B-v0.1",
    "Phi-1": "microsoft/phi-1",
    "Phi-1_5": "microsoft/phi-1_5",
    "Phi-2": "microsoft/phi-2",
    "Starcoder-15b": "bigcode/starcoder",
    "Starcoder2-3b": "bigcode/starcoder2-3b",
    "Starcoder2-7b": "bigcode/starcoder2-7b",
    "Wizardcoder-15b": "WizardLM/WizardCoder-15B-V1.0",
    "Wizardcoder-33b": "WizardLM/WizardCoder-33B-V1.1",
}
ENGINES: Final = {"vLLM": "vllm", "autohf": "hf"}
_STATUSES: Final = {
    "ok": "completed",
    "CUDA out of memory": "out_of_memory",
    "CUDA error": "crashed",
    "killed-noInfo": "crashed",
}
# with Hugging Face, faster than float32 could be
_HALF_PRECISION: Final = frozenset({"Starcoder-15b", "Starcoder2-3b"})
_INPUT_LEN: Final = 190
# the source states no version; its year stands for it
_VERSION: Final = "2024"
_ENVIRONMENT: Final = {
    "measuring_tool": "infpop",
    "source_definition": "throughput: generated tokens / wall time of the batch, prefill included; "
    "input_len: mean of the prompts",
}


def read(path: Path) -> ImportResult:
    """Read ``allData.csv`` (or the folder that holds it) with the ``RQ2_tables`` beside it.

    Raises:
        InvalidRecordError: When the columns are others, or the tables are missing.
        OSError: When it cannot be read.
    """
    data = path / "allData.csv" if path.is_dir() else path
    result = ImportResult()
    sources, raw = _source_rows(data, result)
    for labelled in label(sources, read_tables(data.parent / "RQ2_tables")):
        line = labelled.row.line
        try:
            result.records.append(_record(labelled))
            result.places.append(Place(file=data, line=line))
        except InvalidRecordError as error:
            result.rejected.append(
                Rejection(line=line, reason=str(error), row=raw[line], file=data)
            )
    return result


def _source_rows(
    path: Path, result: ImportResult
) -> tuple[list[SourceRow], dict[int, Mapping[str, str]]]:
    """Return the rows that parse and all rows by line; refused ones go to ``result``."""
    rows: list[SourceRow] = []
    raw: dict[int, Mapping[str, str]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise InvalidRecordError(f"{path}: missing column {', '.join(missing)}")
        for row in reader:
            raw[reader.line_num] = row
            try:
                rows.append(_source_row(row, reader.line_num))
            except InvalidRecordError as error:
                result.rejected.append(
                    Rejection(line=reader.line_num, reason=str(error), row=row, file=path)
                )
    return rows, raw


def _source_row(row: Mapping[str, str], line: int) -> SourceRow:
    for name, known in (("model", MODELS), ("engine", ENGINES), ("errors_l", _STATUSES)):
        if row[name] not in known:
            raise InvalidRecordError(f"{name}={row[name]!r} must be one of {', '.join(known)}")
    return SourceRow(
        line=line,
        index=row.get("") or str(line - 2),
        model=row["model"],
        engine=row["engine"],
        n_gpus=_count(row, "nrGPUs"),
        batch_size=_count(row, "batchSize"),
        throughput=_throughput(row["throughput"]),
        outcome=row["errors_l"],
    )


def _count(row: Mapping[str, str], name: str) -> int:
    if not (row[name] or "").isdecimal() or int(row[name]) < 1:
        raise InvalidRecordError(f"{name}={row[name]!r} must be a whole number of at least 1")
    return int(row[name])


def _throughput(text: str | None) -> float | None:
    if not text or text == "nan":
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise InvalidRecordError(f"throughput={text!r} must be a number above zero or empty")
    return value


def _record(labelled: LabelledRow) -> RunRecord:
    row = labelled.row
    if labelled.gpu is None:
        raise InvalidRecordError(
            f"the pass of {row.model} with {row.engine} agrees with no GPU's RQ2 tables (or with "
            "both), so that its GPU cannot be told"
        )
    status = _STATUSES[row.outcome]
    defects = _defects(labelled, status)
    return RunRecord(
        source=SOURCE,
        engine=ENGINES[row.engine],
        engine_version=_VERSION,
        model=MODELS[row.model],
        gpu=labelled.gpu,
        n_gpus=row.n_gpus,
        batch_size=row.batch_size,
        input_len=_INPUT_LEN,
        output_len=labelled.output_len,
        dtype=_dtype(row),
        status=status,
        output_throughput=row.throughput,
        session_id=f"infpop-pass-{labelled.sweep:02d}",
        environment={**_ENVIRONMENT, "source_path": f"allData.csv#{row.index}"},
        notes="; ".join([*([row.outcome] if status != "completed" else []), *defects]) or None,
        suspect=bool(defects),
    )


def _dtype(row: SourceRow) -> str:
    if row.engine == "vLLM":
        return "auto"
    return "float16" if row.model in _HALF_PRECISION else "float32"


def _defects(labelled: LabelledRow, status: str) -> list[str]:
    row = labelled.row
    defects = []
    if status != "completed" and row.throughput is not None:
        defects.append("a failed run with a throughput: partial")
    if labelled.is_twin:
        defects.append("the same under A100 and V100 within 1 %")
    if labelled.output_len is None:
        defects.append("a row of the cell is missing: 10 or 20 new tokens")
    return defects
