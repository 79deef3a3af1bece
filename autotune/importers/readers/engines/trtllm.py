"""TensorRT-LLM's performance tables: the Markdown of its documentation, or the same as CSV.

In Markdown the GPU and the number format stand in the heading over each table
(``### H100 GPUs (FP8)``); a CSV has them in columns ``GPU`` and ``Precision``. Throughput is in
generated tokens a second per GPU, so here it is multiplied by the tensor parallelism. The tables
of 2023 do not say "/GPU", and seem to give the whole already: their rows on several GPUs are
marked suspect. Tables of first token latency are runs of one generated token.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from autotune.catalog.gpus import find_gpu
from autotune.catalog.models import find_model
from autotune.errors import InvalidRecordError
from autotune.importers.base import ImportOptions, ImportResult, Place, Signature
from autotune.importers.rows import (
    Row,
    collect,
    count,
    csv_rows,
    measure,
    required_count,
    text,
)
from autotune.schema.record import RunRecord

SOURCE: Final = "TRT-LLM perf docs"
COLUMNS: Final = frozenset({"Model", "Batch Size", "TP", "Input Length"})
SIGNATURES: Final = (
    Signature(
        sought="Markdown tables with Batch Size, TP and Throughput (out tok/s) or first token",
        phrases=("TensorRT-LLM", "| Batch Size", "| Input Length", "TP"),
    ),
    Signature(
        sought="a CSV with GPU, Model, Batch Size, TP and Input Length",
        columns=COLUMNS | {"GPU"},
    ),
)
_PER_GPU: Final = (
    "throughput per GPU, multiplied by TP; static batch of TensorRT-LLM's own benchmark"
)
_UNSAID: Final = (
    "the table does not say whether its throughput on several GPUs is per GPU; taken as such"
)
_HEADING: Final = re.compile(r"^#+\s*(?P<GPU>\S+(?: \S+)?) GPUs \((?P<Precision>[\w-]+)\)")
_RULE: Final = re.compile(r"^[\s|:-]+$")
_VERSION: Final = re.compile(r"v?(\d+(?:\.\d+)+)")
_DTYPES: Final = {"fp8": "fp8", "fp16": "float16", "bf16": "bfloat16", "fp4": "fp4"}


def read(path: Path, options: ImportOptions | None = None) -> ImportResult:
    """Read all tables of a file; ``--engine-version`` says the version if its name does not.

    Raises:
        InvalidRecordError: When it holds no such table.
    """
    chosen = options or ImportOptions()
    if path.suffix == ".csv":
        rows = [
            Row(place=row.place, values=_plain(row.values), broken=row.broken)
            for row in csv_rows(path, needed=())
        ]
    else:
        rows = list(_markdown_rows(path))
    if not any(row.values.keys() >= COLUMNS for row in rows):
        raise InvalidRecordError(f"{path} holds no table with {', '.join(sorted(COLUMNS))}")
    found = _VERSION.search(path.stem)
    version = chosen.choose("engine_version", found[1] if found else None)
    return collect(rows, lambda row: _record(row, version))


def _plain(cells: Any) -> dict[str, str]:
    """Return the cells under their columns' names, without footnote marks: "TP (1)" is TP."""
    return {
        re.sub(r"\s*\(\d+\)$", "", name.strip()): str(cell or "").strip()
        for name, cell in cells.items()
    }


def _markdown_rows(path: Path) -> Iterator[Row]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InvalidRecordError(f"{path} is not UTF-8 text: {error.reason}") from None
    context: dict[str, str] = {}
    header: list[str] | None = None
    for number, line in enumerate(lines, start=1):
        if line.startswith("#"):
            heading = _HEADING.match(line)
            context = heading.groupdict() if heading else {}
        if not line.lstrip().startswith("|"):
            header = None
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if header is None:
            header = cells
        elif not _RULE.match(line):
            values = context | _plain(dict(zip(header, cells, strict=False)))
            broken = None if len(cells) == len(header) else f"{len(cells)} of {len(header)} cells"
            yield Row(place=Place(file=path, line=number), values=values, broken=broken)


def _record(row: Row, version: str | None) -> RunRecord:
    cells = row.values
    tensor_parallel = required_count(cells, "TP")
    column = next((name for name in cells if name.startswith("Throughput")), "")
    first_token = next((name for name in cells if name.startswith("1st Token")), "")
    output_len = count(cells, "Output Length") if column else 1
    is_unsaid = tensor_parallel > 1 and bool(column) and "/GPU" not in column.replace(" ", "")
    precision = text(cells, "Precision").lower() if cells.get("Precision") else None
    return RunRecord(
        source=SOURCE,
        engine="trtllm",
        engine_version=version,
        model=find_model(text(cells, "Model")).name,
        gpu=find_gpu(text(cells, "GPU")).name,
        n_gpus=tensor_parallel,
        batch_size=required_count(cells, "Batch Size"),
        input_len=required_count(cells, "Input Length"),
        output_len=output_len,
        dtype=_DTYPES.get(precision, precision) if precision else None,
        status="completed",
        output_throughput=measure(cells, column, scale=tensor_parallel) if column else None,
        mean_ttft_ms=measure(cells, first_token) if first_token else None,
        suspect=is_unsaid,
        notes=_UNSAID if is_unsaid else None,
        environment={
            "measuring_tool": SOURCE,
            "source_definition": _PER_GPU,
            "source_path": f"{row.place.file.name}#{row.place.line}",
        },
    )
