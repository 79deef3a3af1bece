"""AIPerf (ai-dynamo/aiperf): profile_export_aiperf.json, or the .csv beside it.

Each file is one run. AIPerf's inter token latency is our TPOT: (request latency - TTFT) / (output
tokens - 1). It counts output tokens with its own tokenizer. The CSV has no settings: the model
and the concurrency come from options.
"""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from autotune.errors import InvalidRecordError
from autotune.importers.base import ImportOptions, ImportResult, Place, Signature
from autotune.importers.plausibility import IN_FLIGHT, REQUESTS
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
)
from autotune.schema.record import RunRecord

SOURCE: Final = "aiperf"
KEYS: Final = frozenset({"request_latency", "request_throughput", "input_config"})
SIGNATURES: Final = (
    Signature(
        sought="JSON of AIPerf (profile_export_aiperf.json)",
        keys=KEYS | {"output_sequence_length.avg"},
    ),
    Signature(
        sought="CSV of AIPerf (Metric,avg,... with Request Latency)",
        columns=frozenset({"Metric", "avg", "p99"}),
        phrases=("Request Latency (ms)",),
    ),
)
DEFINITION: Final = (
    "inter token latency is TPOT without first token; output tokens counted by AIPerf's tokenizer"
)
# A metric's name in the CSV, and its key in the JSON.
_CSV_NAMES: Final = {
    "Request Latency (ms)": "request_latency",
    "Time to First Token (ms)": "time_to_first_token",
    "Inter Token Latency (ms)": "inter_token_latency",
    "Inter Chunk Latency (ms)": "inter_chunk_latency",
    "Input Sequence Length (tokens)": "input_sequence_length",
    "Output Sequence Length (tokens)": "output_sequence_length",
    "Output Token Throughput (tokens/sec)": "output_token_throughput",
    "Total Token Throughput (tokens/sec)": "total_token_throughput",
    "Request Throughput (requests/sec)": "request_throughput",
    "Benchmark Duration (sec)": "benchmark_duration",
    "Effective Concurrency": "effective_concurrency",
    "Request Count": "request_count",
    "Error Request Count": "error_request_count",
}
_EXPORTS: Final = ("*aiperf*.json", "*aiperf*.csv")


def read(path: Path, options: ImportOptions | None = None) -> ImportResult:
    """Read one export, or all of a folder (its JSON files; the CSV repeats them).

    Raises:
        InvalidRecordError: When it holds none.
    """
    chosen = options or ImportOptions()
    files = files_of(path, _EXPORTS[0]) or files_of(path, _EXPORTS[1])
    rows = [row for file in files for row in _rows(file)]
    if not any("request_latency" in row.values for row in rows):
        raise InvalidRecordError(f"{path} holds no profile_export_aiperf.json or .csv of AIPerf")
    return collect(rows, lambda row: _record(row, chosen))


def _rows(file: Path) -> Iterator[Row]:
    if file.suffix != ".csv":
        yield from json_rows(file)
        return
    values: dict[str, Any] = {}
    header: list[str] = []
    with file.open(encoding="utf-8", newline="") as lines:
        for cells in csv.reader(lines):
            if cells[:1] == ["Metric"]:
                header = ["avg" if name == "Value" else name for name in cells[1:]]
            elif cells and cells[0] in _CSV_NAMES:
                values[_CSV_NAMES[cells[0]]] = dict(zip(header, cells[1:], strict=False))
    yield Row(place=Place(file=file, line=1), values=values)


def _record(row: Row, options: ImportOptions) -> RunRecord:
    values = row.values
    if not count(values, "request_count", "avg"):
        raise InvalidRecordError("none of its requests succeeded: there is nothing measured")
    if values.get("is_complete") is False:
        raise InvalidRecordError(f"the run is not complete: {values.get('incomplete_reason')}")
    settings = _settings(values)
    return RunRecord(
        source=SOURCE,
        engine=options.need("engine", None),
        engine_version=options.engine_version,
        model=model_name(settings, "model", options=options),
        gpu=gpu_name(None, options),
        n_gpus=options.need("n_gpus", None),
        batch_size=options.need("batch_size", count(settings, "concurrency")),
        input_len=count(values, "input_sequence_length", "avg") or None,
        output_len=count(values, "output_sequence_length", "avg") or None,
        mode="serving",
        knobs=arrival_knobs(number(settings, "rate")),
        status="completed",
        output_throughput=measure(values, "output_token_throughput", "avg"),
        total_throughput=measure(values, "total_token_throughput", "avg"),
        request_throughput=measure(values, "request_throughput", "avg"),
        measure_s=measure(values, "benchmark_duration", "avg"),
        **_stats(values, "ttft", "time_to_first_token"),
        **_stats(values, "tpot", "inter_token_latency"),
        **_stats(values, "itl", "inter_chunk_latency"),
        **_stats(values, "e2el", "request_latency"),
        started_at=values.get("start_time"),
        environment=_circumstances(row, settings),
    )


def _circumstances(row: Row, settings: Mapping[str, Any]) -> dict[str, Any]:
    values = row.values
    return {
        "measuring_tool": f"{SOURCE} {values.get('aiperf_version') or ''}".strip(),
        "source_definition": DEFINITION,
        "source_path": row.place.file.name,
        "source_model": settings.get("model"),
        REQUESTS: count(values, "request_count", "avg"),
        "failed_requests": count(values, "error_request_count", "avg") or 0,
        IN_FLIGHT: number(values, "effective_concurrency", "avg"),
    }


def _stats(values: Mapping[str, Any], ours: str, theirs: str) -> dict[str, Any]:
    return {
        f"mean_{ours}_ms": measure(values, theirs, "avg"),
        f"median_{ours}_ms": measure(values, theirs, "p50"),
        f"p99_{ours}_ms": measure(values, theirs, "p99"),
    }


def _settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return model, concurrency and request rate, from where each version of AIPerf has them."""
    models = at(values, "input_config", "models", "items")
    names = at(values, "input_config", "endpoint", "model_names")
    phases = at(values, "input_config", "phases")
    load: Mapping[str, Any] = at(values, "input_config", "loadgen") or {}
    if isinstance(phases, list):
        load = next((p for p in phases if at(p, "kind") in (None, "profiling")), load)
    model = None
    if isinstance(models, list) and models:
        model = at(models[0], "name")
    elif isinstance(names, list) and names:
        model = names[0]
    rate = load.get("request_rate", load.get("rate"))
    return {"model": model, "concurrency": load.get("concurrency"), "rate": rate}
