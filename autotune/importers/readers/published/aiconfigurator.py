"""aiconfigurator (PyPI aiconfigurator-core): measured TTFT and TPOT in systems/silicon_sample.csv.

It states no throughput. In a closed loop of ``concurrency`` users it follows from the latency:
concurrency x OSL / (TTFT + TPOT x (OSL - 1)). Rows of disaggregated serving (prefill and decode
on different GPUs) are refused: a RunRecord's ``n_gpus`` are those of one replica that does both.
"""

import importlib.util
import re
from pathlib import Path
from typing import Any, Final

from autotune.catalog.gpus import find_gpu
from autotune.catalog.models import find_model
from autotune.errors import InvalidRecordError, UsageError
from autotune.importers.base import ImportResult, Signature
from autotune.importers.rows import Row, collect, count, csv_rows, measure, required_count, text
from autotune.schema.configuration import Knob
from autotune.schema.record import RunRecord

SOURCE: Final = "aiconfigurator-silicon"
COLUMNS: Final = (
    "silicon_data_source",
    "backend",
    "backend_version",
    "model_path",
    "system",
    "precision",
    "mode",
    "isl",
    "osl",
    "batch_size",
    "tp_size",
    "pp_size",
    "silicon_ttft_ms",
    "silicon_tpot_ms",
)
SIGNATURES: Final = (
    Signature(
        sought="a CSV with model_path, silicon_ttft_ms and silicon_tpot_ms",
        columns=frozenset(COLUMNS),
    ),
)
DEFINITION: Final = (
    "throughput derived: concurrency x OSL / (TTFT + TPOT x (OSL - 1)); TPOT without first token"
)
PACKAGE: Final = "aiconfigurator_core"
_DTYPES: Final = {"bf16": "bfloat16", "fp16": "float16", "": None}
_CONCURRENCY: Final = re.compile(r"silicon_concurrency=(\d+)")
_MEASURED: Final = re.compile(r"measured=([0-9T:.\-]+Z?)")


def read(path: Path) -> ImportResult:
    """Read the table.

    Raises:
        InvalidRecordError: When columns are missing.
    """
    return collect(csv_rows(path, needed=COLUMNS), _record)


def installed_table() -> Path:
    """Return the table that the installed package brings.

    Raises:
        UsageError: When the package is not installed.
    """
    found = importlib.util.find_spec(PACKAGE)
    for folder in (found.submodule_search_locations or ()) if found else ():
        table = Path(folder) / "systems" / "silicon_sample.csv"
        if table.is_file():
            return table
    raise UsageError(
        "aiconfigurator-core is not installed, so there is no silicon_sample.csv to read: "
        "pip install 'autotune-serving[aiconfigurator]', or give the file's path"
    )


def _record(row: Row) -> RunRecord:
    cells = row.values
    if cells["mode"] != "agg":
        raise InvalidRecordError(
            f"mode={cells['mode']!r}: prefill and decode on different GPUs are not one replica"
        )
    origin = cells["silicon_data_source"]
    batch = _concurrency(origin) or required_count(cells, "batch_size")
    osl = required_count(cells, "osl")
    ttft, tpot = measure(cells, "silicon_ttft_ms"), measure(cells, "silicon_tpot_ms")
    if ttft is None or tpot is None:
        raise InvalidRecordError("silicon_ttft_ms and silicon_tpot_ms must both be there")
    n_gpus, knobs = _parallelism(cells)
    measured = _MEASURED.search(origin)
    return RunRecord(
        source=SOURCE,
        engine=cells["backend"],
        engine_version=cells["backend_version"] or None,
        model=find_model(text(cells, "model_path")).name,
        gpu=find_gpu(text(cells, "system").removesuffix("_sxm")).name,
        n_gpus=n_gpus,
        batch_size=batch,
        input_len=count(cells, "isl"),
        output_len=osl,
        dtype=_DTYPES.get(cells["precision"], cells["precision"]),
        mode="serving",
        knobs=knobs,
        status="completed",
        output_throughput=closed_loop_throughput(batch, osl, ttft_ms=ttft, tpot_ms=tpot),
        mean_ttft_ms=ttft,
        mean_tpot_ms=tpot,
        started_at=measured[1] if measured else None,
        environment={
            "measuring_tool": SOURCE,
            "source_definition": DEFINITION,
            "source_path": f"{row.place.file.name}#{row.place.line}",
            "source_remarks": origin,
        },
    )


def _concurrency(origin: str) -> int | None:
    found = _CONCURRENCY.search(origin)
    return int(found[1]) if found else None


def _parallelism(cells: Any) -> tuple[int, dict[str, Knob]]:
    """Return the GPUs of one replica, and how it spreads over them beyond tensor parallelism."""
    stages = count(cells, "pp_size") or 1
    attention = count(cells, "attention_dp_size") or 1
    experts = count(cells, "moe_ep_size") or 1
    knobs: dict[str, Knob] = {
        "pipeline_parallel_size": stages,
        "data_parallel_size": attention,
        "expert_parallel_size": experts,
    }
    n_gpus = required_count(cells, "tp_size") * stages * attention
    return n_gpus, {name: size for name, size in knobs.items() if size != 1}


def closed_loop_throughput(
    concurrency: int, output_len: int, *, ttft_ms: float, tpot_ms: float
) -> float:
    """Return generated tokens a second of ``concurrency`` users who send one request after another.

    Raises:
        InvalidRecordError: When the latencies leave no time for a request.
    """
    request_ms = ttft_ms + tpot_ms * (output_len - 1)
    if request_ms <= 0:
        raise InvalidRecordError(f"TTFT {ttft_ms} ms and TPOT {tpot_ms} ms make no request")
    return concurrency * output_len / request_ms * 1000
