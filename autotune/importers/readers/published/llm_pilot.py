"""LLM-Pilot (IBM/LLM-performance-prediction): raw per-request logs of IBM's fork of TGI.

Each file is one configuration: ``num_users`` clients, each sending its next request when the last
one ends, for ``experiment_duration_s`` seconds. It becomes one record: generated tokens of the
answered requests over the time from the first request sent to the last token, and latencies over
those requests. ``latency_ms_per_token`` begins with the acknowledgement, which carries no token:
TTFT is the sum of its first two entries.
"""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from autotune.catalog.gpus import find_gpu
from autotune.catalog.models import find_model
from autotune.engines.metrics import latency_statistics
from autotune.errors import InvalidRecordError
from autotune.importers.base import ImportResult, Place, Signature
from autotune.importers.plausibility import REQUESTS
from autotune.importers.rows import (
    Row,
    collect,
    csv_rows,
    files_of,
    number,
    required_count,
    text,
)
from autotune.schema.record import RunRecord

SOURCE: Final = "LLM-Pilot"
COLUMNS: Final = (
    "status",
    "model",
    "num_users",
    "latency_ms",
    "n_gpus",
    "gpu_type",
    "start_timestamp",
    "end_timestamp",
    "n_input_tokens",
    "n_output_tokens",
    "latency_ms_per_token",
)
SIGNATURES: Final = (
    Signature(
        sought="a CSV of requests with num_users, gpu_type and latency_ms_per_token",
        columns=frozenset(COLUMNS),
    ),
)
DEFINITION: Final = (
    "per-request logs of a closed loop of num_users; output_throughput is the answered requests' "
    "tokens over first request to last token; TTFT is the acknowledgement plus the next entry of "
    "latency_ms_per_token"
)
# The V100 of the study has 16 GB, its A100 40 GB.
_GPUS: Final = {"a100": "A100-40GB", "v100": "V100-16GB", "h100": "H100-80GB"}
_VERSION: Final = "2023"
_SAME: Final = ("model", "num_users", "n_gpus", "gpu_type")
_ANSWERED: Final = "200"


def read(path: Path) -> ImportResult:
    """Read one log, or all of a folder; each file is a row.

    Raises:
        InvalidRecordError: When a single file is no such log, or a folder holds none.
    """
    files = files_of(path, "*.csv")
    if not files:
        raise InvalidRecordError(f"{path} holds no .csv file")
    if path.is_file():
        next(csv_rows(path, needed=COLUMNS), None)
    return collect((Row(place=Place(file=file, line=1), values={}) for file in files), _record)


def _record(row: Row) -> RunRecord:
    requests = [request.values for request in csv_rows(row.place.file, needed=COLUMNS)]
    first = _common(requests)
    answered = [r for r in requests if r["status"] == _ANSWERED and number(r, "n_output_tokens")]
    if not answered:
        raise InvalidRecordError(f"none of its {len(requests)} requests was answered")
    tokens = sum(required_count(r, "n_output_tokens") for r in answered)
    return RunRecord(
        source=SOURCE,
        engine="tgi",
        engine_version=_VERSION,
        model=find_model(text(first, "model")).name,
        gpu=find_gpu(_GPUS.get(text(first, "gpu_type").lower(), first["gpu_type"])).name,
        n_gpus=required_count(first, "n_gpus"),
        batch_size=required_count(first, "num_users"),
        input_len=round(statistics.fmean(required_count(r, "n_input_tokens") for r in answered)),
        output_len=round(tokens / len(answered)),
        mode="serving",
        status="completed",
        output_throughput=tokens / (wall := _wall_s(requests)),
        request_throughput=len(answered) / wall,
        measure_s=wall,
        **_latencies(answered),
        environment={
            "measuring_tool": SOURCE,
            "source_definition": DEFINITION,
            "source_path": row.place.file.name,
            REQUESTS: len(answered),
            "failed_requests": len(requests) - len(answered),
        },
    )


def _common(requests: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    if not requests:
        raise InvalidRecordError("it holds no request")
    for name in _SAME:
        if len({request[name] for request in requests}) > 1:
            raise InvalidRecordError(f"its requests differ in {name}: not one configuration")
    return requests[0]


def _wall_s(requests: Sequence[Mapping[str, Any]]) -> float:
    begun = [required_count(request, "start_timestamp") for request in requests]
    ended = [required_count(request, "end_timestamp") for request in requests]
    if max(ended) <= min(begun):
        raise InvalidRecordError("its last request ends before the first begins")
    return (max(ended) - min(begun)) / 1000


def _latencies(answered: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return statistics in ms; those of TPOT over requests of at least two tokens."""
    whole = [required_count(request, "latency_ms") for request in answered]
    firsts: list[float] = []
    steps: list[float] = []
    for request, total in zip(answered, whole, strict=True):
        first = sum(_gaps(request)[:2])
        firsts.append(first)
        tokens = required_count(request, "n_output_tokens")
        if tokens > 1:
            steps.append((total - first) / (tokens - 1))
    return (
        latency_statistics("ttft", firsts)
        | latency_statistics("tpot", steps)
        | latency_statistics("e2el", whole)
    )


def _gaps(request: Mapping[str, Any]) -> list[float]:
    try:
        gaps = json.loads(request["latency_ms_per_token"])
    except (ValueError, TypeError, RecursionError):
        gaps = None
    if not isinstance(gaps, list) or not all(isinstance(gap, int | float) for gap in gaps):
        raise InvalidRecordError("latency_ms_per_token is not a list of numbers")
    return gaps
