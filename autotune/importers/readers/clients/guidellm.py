"""GuideLLM (vllm-project/guidellm): the JSON report of ``guidellm run`` (``benchmark`` before).

Each benchmark of the report is a row. GuideLLM's ``inter_token_latency_ms`` is our TPOT: (last
token - first token) / (n - 1). Its ``time_per_output_token_ms`` includes the first token and is
not read. Its throughput means are averages of a rate over time; here output_throughput is the
successful requests' tokens over the benchmark's duration.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
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

SOURCE: Final = "guidellm"
SIGNATURES: Final = (
    Signature(
        sought="JSON of GuideLLM (benchmarks, metadata.guidellm_version)",
        keys=frozenset({"benchmarks", "metadata.guidellm_version"}),
    ),
    Signature(
        sought="JSON of GuideLLM before 0.4 (benchmarks with time_per_output_token_ms)",
        keys=frozenset({"benchmarks"}),
        phrases=("time_per_output_token_ms", "inter_token_latency_ms"),
    ),
)
DEFINITION: Final = (
    "inter_token_latency_ms is TPOT; time_per_output_token_ms includes TTFT and is left out; "
    "output_throughput is successful requests' tokens over the duration"
)
# Where the model and the strategy lie: since 0.4, and before.
_MODELS: Final = (("config", "backend", "model"), ("worker", "backend_model"))
_STRATEGIES: Final = (("config", "strategy"), ("args", "strategy"))


def read(path: Path, options: ImportOptions | None = None) -> ImportResult:
    """Read the benchmarks of one report, or of all in a folder.

    Raises:
        InvalidRecordError: When there is none.
    """
    chosen = options or ImportOptions()
    rows = [row for file in files_of(path, "*.json") for row in _benchmarks(file)]
    if not any("metrics" in row.values for row in rows):
        raise InvalidRecordError(f"{path} holds no report of GuideLLM (a list of benchmarks)")
    return collect(rows, lambda row: _record(row, chosen))


def _benchmarks(file: Path) -> Iterator[Row]:
    for report in json_rows(file):
        benchmarks = report.values.get("benchmarks")
        if not isinstance(benchmarks, list):
            yield Row(place=report.place, values={}, broken="it has no list of benchmarks")
            continue
        for position, benchmark in enumerate(benchmarks, start=1):
            place = Place(file=file, line=position)
            if isinstance(benchmark, dict):
                yield Row(place=place, values=_without_requests(benchmark))
            else:
                yield Row(place=place, values={}, broken="not a JSON object")


def _without_requests(benchmark: Mapping[str, Any]) -> dict[str, Any]:
    """Return a benchmark without its every request: hundreds of kB that are not read here."""
    return {key: value for key, value in benchmark.items() if key != "requests"}


def _record(row: Row, options: ImportOptions) -> RunRecord:
    values = row.values
    strategy = _first(values, _STRATEGIES) or {}
    model_keys = next((keys for keys in _MODELS if at(values, *keys)), _MODELS[0])
    model = model_name(values, *model_keys, options=options)
    return RunRecord(
        source=SOURCE,
        engine=options.need("engine", None),
        engine_version=options.engine_version,
        model=model,
        gpu=gpu_name(None, options),
        n_gpus=options.need("n_gpus", None),
        batch_size=options.need("batch_size", _in_flight(strategy)),
        input_len=_mean_count(values, "prompt_token_count"),
        output_len=_mean_count(values, "output_token_count"),
        mode="serving",
        knobs=arrival_knobs(number(strategy, "rate")),
        status="completed",
        **_measures(values),
        started_at=_stamp(number(values, "start_time")),
        environment={
            "measuring_tool": SOURCE,
            "source_definition": DEFINITION,
            "source_path": f"{row.place.file.name}#{row.place.line}",
            "source_model": at(values, *model_keys),
            REQUESTS: count(values, "metrics", "request_totals", "successful"),
            "failed_requests": count(values, "metrics", "request_totals", "errored"),
            IN_FLIGHT: number(values, "metrics", "request_concurrency", "successful", "mean"),
        },
    )


def _first(values: Mapping[str, Any], places: tuple[tuple[str, ...], ...]) -> Any:
    return next((found for keys in places if (found := at(values, *keys))), None)


def _in_flight(strategy: Mapping[str, Any]) -> int | None:
    """Return how many requests the strategy keeps in flight; ``None`` for a request rate."""
    if strategy.get("type_") == "synchronous":
        return 1
    return count(strategy, "streams") or count(strategy, "max_concurrency")


def _mean_count(values: Mapping[str, Any], metric: str) -> int | None:
    return count(values, "metrics", metric, "successful", "mean") or None


def _measures(values: Mapping[str, Any]) -> dict[str, Any]:
    requests = count(values, "metrics", "request_totals", "successful")
    if not requests:
        raise InvalidRecordError("none of its requests succeeded: its zeros are not measurements")
    duration = measure(values, "duration")
    if duration is None:
        start, end = number(values, "start_time"), number(values, "end_time")
        duration = None if start is None or end is None or end <= start else end - start
    if duration is None:
        raise InvalidRecordError("it has no duration")
    tokens = measure(values, "metrics", "output_token_count", "successful", "total_sum")
    return {
        "output_throughput": None if tokens is None else tokens / duration,
        "request_throughput": requests / duration,
        "measure_s": duration,
        **_stats(values, "ttft", "time_to_first_token_ms"),
        **_stats(values, "tpot", "inter_token_latency_ms"),
        **_stats(values, "e2el", "request_latency", scale=1000),
    }


def _stats(
    values: Mapping[str, Any], ours: str, theirs: str, *, scale: float = 1
) -> dict[str, Any]:
    keys = ("metrics", theirs, "successful")
    return {
        f"mean_{ours}_ms": measure(values, *keys, "mean", scale=scale),
        f"median_{ours}_ms": measure(values, *keys, "median", scale=scale),
        f"p99_{ours}_ms": measure(values, *keys, "percentiles", "p99", scale=scale),
    }


def _stamp(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
