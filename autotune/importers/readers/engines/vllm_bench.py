"""vLLM's own benchmarks: JSON of ``vllm bench serve | throughput | latency``, and sweep folders.

The keys of ``serve`` are ours (``mean_ttft_ms``, TPOT without the first token). None of the
three says the GPU, their number or the version; ``throughput`` and ``latency`` also leave out the
batch size and the lengths. The user adds these as options. A sweep writes the settings that it
varied beside the results; they become knobs.
"""

import math
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from autotune.engines.metrics import latency_statistics
from autotune.errors import InvalidRecordError
from autotune.importers.base import ImportOptions, ImportResult, Signature
from autotune.importers.plausibility import REQUESTS
from autotune.importers.rows import (
    Row,
    arrival_knobs,
    at,
    collect,
    count,
    files_of,
    gpu_name,
    json_rows,
    measure,
    model_name,
    number,
    required_count,
)
from autotune.schema.configuration import Knob, refuse
from autotune.schema.record import RunRecord
from autotune.schema.validation import LATENCY_FIELDS

SOURCE: Final = "vllm-bench"
_KEYS: Final = {
    "serve": frozenset(
        {"model_id", "backend", "request_throughput", "total_input_tokens", "max_concurrency"}
    ),
    "throughput": frozenset({"model_id", "elapsed_time", "num_requests", "tokens_per_second"}),
    "latency": frozenset({"model_id", "avg_latency", "latencies", "percentiles"}),
}
SIGNATURES: Final = tuple(
    Signature(sought=f"JSON of vllm bench {command}", keys=keys) for command, keys in _KEYS.items()
)
_DEFINITIONS: Final = {
    "serve": "as vLLM: TPOT without first token, output_throughput counts generated tokens",
    "throughput": "tokens_per_second counts prompt tokens; output_throughput needs --output-len",
    "latency": "mean time of a whole batch; output_throughput is batch x output_len / latency",
}
_ENGINES: Final = {"tgi": "tgi", "sglang": "sglang", "tensorrt-llm": "trtllm"}
# What a sweep may vary of the engine, by vLLM's names.
_KNOBS: Final = (
    *("max_num_seqs", "max_num_batched_tokens", "max_model_len", "gpu_memory_utilization"),
    *("block_size", "kv_cache_dtype", "enable_chunked_prefill", "enable_prefix_caching"),
    *("enforce_eager", "pipeline_parallel_size", "data_parallel_size"),
)
# Files of a sweep that repeat its runs or were run to warm up.
_BESIDE: Final = ("summary.json", "warmup.json")


def read(path: Path, options: ImportOptions | None = None) -> ImportResult:
    """Read one result file (also with one result a line), or all of a folder.

    Raises:
        InvalidRecordError: When it holds no such result.
    """
    chosen = options or ImportOptions()
    files = [file for file in files_of(path, "*.json") if path.is_file() or not _is_side_file(file)]
    rows = [row for file in files for row in json_rows(file)]
    if not any(_command(row.values) for row in rows):
        raise InvalidRecordError(f"{path} holds no JSON of vllm bench serve, throughput or latency")
    return collect(rows, lambda row: _record(row, chosen))


def _is_side_file(file: Path) -> bool:
    return file.name in _BESIDE and any(file.parent.glob("run=*.json"))


def _command(values: Mapping[str, Any]) -> str | None:
    return next((name for name, keys in _KEYS.items() if keys <= values.keys()), None)


def _record(row: Row, options: ImportOptions) -> RunRecord:
    values = {key.replace("-", "_"): value for key, value in row.values.items()}
    command = _command(values)
    if command is None:
        raise InvalidRecordError("not a result of vllm bench serve, throughput or latency")
    build = {"serve": _serve, "throughput": _throughput, "latency": _latency}
    fields = {"environment": {}} | build[command](values, options)
    fields["environment"] |= {
        "measuring_tool": f"vllm bench {command}",
        "source_definition": _DEFINITIONS[command],
        "source_path": row.place.file.name,
        "source_model": str(values["model_id"]),
    }
    return RunRecord(
        source=SOURCE,
        engine=options.engine or _ENGINES.get(str(values.get("backend")), "vllm"),
        engine_version=options.engine_version,
        model=model_name(values, "model_id", options=options),
        gpu=gpu_name(None, options),
        n_gpus=options.need("n_gpus", _world_size(values)),
        status="completed",
        **fields,
    )


def _world_size(values: Mapping[str, Any]) -> int | None:
    """Return tensor x pipeline x data parallel size where a sweep wrote one of them down."""
    sizes = [count(values, f"{kind}_parallel_size") for kind in ("tensor", "pipeline", "data")]
    named = [size for size in sizes if size is not None]
    return math.prod(named) if named else None


def _serve(values: Mapping[str, Any], options: ImportOptions) -> dict[str, Any]:
    completed = required_count(values, "completed")
    if completed < 1:
        raise InvalidRecordError("none of its requests completed: its zeros are not measurements")
    fields: dict[str, Any] = {name: measure(values, name) for name in LATENCY_FIELDS}
    failed = count(values, "failed") or 0
    if fields["mean_e2el_ms"] is None and not failed:
        fields |= _whole_requests(values)
    return fields | {
        "batch_size": options.need("batch_size", count(values, "max_concurrency")),
        "input_len": round(required_count(values, "total_input_tokens") / completed) or None,
        "output_len": round(required_count(values, "total_output_tokens") / completed) or None,
        "mode": "serving",
        "knobs": _knobs(values),
        "output_throughput": measure(values, "output_throughput"),
        "total_throughput": measure(values, "total_token_throughput"),
        "request_throughput": measure(values, "request_throughput"),
        "request_goodput": number(values, "request_goodput"),
        "measure_s": measure(values, "duration"),
        "started_at": _started_at(values.get("date")),
        "environment": {REQUESTS: completed, "failed_requests": failed},
    }


def _whole_requests(values: Mapping[str, Any]) -> dict[str, float]:
    seconds = at(values, "latencies")
    if not isinstance(seconds, list) or not seconds:
        return {}
    return latency_statistics("e2el", [second * 1000 for second in seconds])


def _knobs(values: Mapping[str, Any]) -> dict[str, Knob]:
    knobs: dict[str, Knob] = {name: values[name] for name in _KNOBS if name in values}
    if values.get("request_rate") in (None, "inf"):
        return knobs
    rate, burstiness = (number(values, name) for name in ("request_rate", "burstiness"))
    return knobs | arrival_knobs(rate, burstiness)


def _started_at(date: object) -> str | None:
    """Return the stamp, which is of the client's own clock, as ISO text."""
    try:
        return datetime.strptime(str(date), "%Y%m%d-%H%M%S").isoformat() if date else None
    except ValueError:
        raise refuse("date", date, "like 20260131-235959") from None


def _throughput(values: Mapping[str, Any], options: ImportOptions) -> dict[str, Any]:
    requests, elapsed = required_count(values, "num_requests"), measure(values, "elapsed_time")
    if elapsed is None:
        raise InvalidRecordError("elapsed_time is empty")
    output_len = options.output_len
    return {
        "batch_size": options.need("batch_size", None),
        "input_len": options.input_len,
        "output_len": output_len,
        "output_throughput": None if output_len is None else requests * output_len / elapsed,
        "total_throughput": measure(values, "tokens_per_second"),
        "request_throughput": measure(values, "requests_per_second"),
        "measure_s": elapsed,
        "environment": {REQUESTS: requests},
    }


def _latency(values: Mapping[str, Any], options: ImportOptions) -> dict[str, Any]:
    batch, output_len = options.need("batch_size", None), options.need("output_len", None)
    mean = measure(values, "avg_latency")
    if mean is None:
        raise InvalidRecordError("avg_latency is empty")
    return {
        "batch_size": batch,
        "input_len": options.input_len,
        "output_len": output_len,
        "output_throughput": batch * output_len / mean,
        "mean_e2el_ms": mean * 1000,
        "median_e2el_ms": measure(values, "percentiles", "50", scale=1000),
        "p99_e2el_ms": measure(values, "percentiles", "99", scale=1000),
        "repeats": len(values["latencies"]) or None,
    }
