"""ML.ENERGY leaderboard v2 (ml-energy/leaderboard-v2): JSON results of vLLM at a steady load.

One JSON object a configuration, as its extraction script writes it: ``Max BS (reqs)`` is
``max_num_seqs`` x pipeline stages, ``Token tput (tok/s)`` counts generated tokens while the queue
was not empty, ``Avg TPOT (s)`` is the mean over engine iterations (our ITL), ``Energy/req (J)``
is of all GPUs. It states no input length.
"""

from pathlib import Path
from typing import Final

from autotune.catalog.gpus import find_gpu
from autotune.catalog.models import find_model
from autotune.errors import InvalidRecordError
from autotune.importers.base import ImportResult, Signature
from autotune.importers.rows import (
    Row,
    collect,
    files_of,
    json_rows,
    measure,
    number,
    required_count,
    text,
)
from autotune.schema.record import RunRecord

SOURCE: Final = "ml.energy-v2"
KEYS: Final = frozenset(
    {"Model", "GPU", "TP", "PP", "Energy/req (J)", "Token tput (tok/s)", "Max BS (reqs)"}
)
SIGNATURES: Final = (
    Signature(sought="JSON with Energy/req (J), Token tput (tok/s) and Max BS (reqs)", keys=KEYS),
)
DEFINITION: Final = (
    "steady state of a saturated server; Avg TPOT is a mean over engine iterations, kept as ITL; "
    "energy of all GPUs per request"
)
# Stated by the leaderboard for all its version 2 results.
_VERSION: Final = "0.5.4"


def read(path: Path) -> ImportResult:
    """Read one JSON result, or all of a folder.

    Raises:
        InvalidRecordError: When a single file is no such result, or a folder holds none.
    """
    rows = [row for file in files_of(path, "*.json") for row in json_rows(file)]
    if not any(row.values.keys() >= KEYS for row in rows):
        raise InvalidRecordError(f"{path} holds no ML.ENERGY result ({', '.join(sorted(KEYS))})")
    return collect(rows, _record)


def _record(row: Row) -> RunRecord:
    values = row.values
    stages = required_count(values, "PP")
    output_len = number(values, "Avg Output Tokens")
    energy = measure(values, "Energy/req (J)")
    return RunRecord(
        source=SOURCE,
        engine="vllm",
        engine_version=_VERSION,
        model=find_model(text(values, "Model")).name,
        gpu=find_gpu(text(values, "GPU")).name,
        n_gpus=required_count(values, "TP") * stages,
        batch_size=required_count(values, "Max BS (reqs)"),
        output_len=None if output_len is None else round(output_len),
        dtype="auto",
        mode="serving",
        knobs={"pipeline_parallel_size": stages} if stages > 1 else {},
        status="completed",
        output_throughput=measure(values, "Token tput (tok/s)"),
        mean_itl_ms=measure(values, "Avg TPOT (s)", scale=1000),
        energy_j_per_token=energy / output_len if energy and output_len else None,
        environment={
            "measuring_tool": SOURCE,
            "source_definition": DEFINITION,
            "source_path": row.place.file.name,
        },
    )
