"""optimum-benchmark (huggingface/optimum-benchmark): benchmark.json of its inference scenario.

A file holds the configuration and the report, or both lie beside each other as
benchmark_config.json and benchmark_report.json. Its decode throughput leaves out the first token
and its time; here output_throughput is batch x new tokens / (prefill + decode), and TPOT is the
decode latency / (new tokens - 1). Latencies are in seconds, memory in 10**6 bytes, energy in kWh.
``per_token`` is not read: 0.6.0 counts the steps of a generation again in each later one, and the
pauses between generations as steps. A backend's version is that of its library: torch for pytorch,
whose engine here is hf, of transformers' version.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from autotune.errors import InvalidRecordError
from autotune.importers.base import ImportOptions, ImportResult, Place, Signature
from autotune.importers.rows import (
    Row,
    at,
    collect,
    count,
    files_of,
    gpu_name,
    json_rows,
    measure,
    model_name,
    text,
)
from autotune.schema.configuration import refuse
from autotune.schema.record import RunRecord

SOURCE: Final = "optimum-benchmark"
SIGNATURES: Final = (
    Signature(
        sought="JSON of optimum-benchmark (config and report with prefill and decode)",
        keys=frozenset({"config.scenario", "config.backend", "report.prefill", "report.decode"}),
    ),
    Signature(
        sought="benchmark_report.json of optimum-benchmark beside its benchmark_config.json",
        keys=frozenset({"prefill.latency", "decode.latency"}),
    ),
)
DEFINITION: Final = (
    "decode throughput leaves out the first token; output_throughput is batch x new tokens / "
    "(prefill + decode) and TPOT is decode / (new tokens - 1)"
)
_ENGINES: Final = {
    "pytorch": "hf",
    "vllm": "vllm",
    "tensorrt-llm": "trtllm",
    "py-txi": "tgi",
}
_CONFIG, _REPORT = "benchmark_config.json", "benchmark_report.json"
_JOULES_PER_KWH: Final = 3.6e6
_GB_PER_MB: Final = 1e6 / 2**30


def read(path: Path, options: ImportOptions | None = None) -> ImportResult:
    """Read one result, or all of a folder.

    Raises:
        InvalidRecordError: When it holds none.
    """
    chosen = options or ImportOptions()
    rows = [row for file in files_of(path, "benchmark*.json") for row in _rows(file, path)]
    if not any("report" in row.values for row in rows):
        raise InvalidRecordError(
            f"{path} holds no benchmark.json of optimum-benchmark, nor {_REPORT} beside {_CONFIG}"
        )
    return collect(rows, lambda row: _record(row, chosen))


def _rows(file: Path, asked: Path) -> list[Row]:
    """Return a result of one file or of two; in a folder the two count once."""
    rows = list(json_rows(file))
    if len(rows) != 1 or "report" in rows[0].values or rows[0].broken:
        return rows
    config, report = file.with_name(_CONFIG), file.with_name(_REPORT)
    if not (config.is_file() and report.is_file()):
        return rows
    if asked.is_dir() and file.name == _CONFIG:
        return []
    parts = [next(iter(json_rows(part))) for part in (config, report)]
    return [
        Row(
            place=Place(file=report, line=1),
            values={"config": parts[0].values, "report": parts[1].values},
            broken=parts[0].broken or parts[1].broken,
        )
    ]


def _record(row: Row, options: ImportOptions) -> RunRecord:
    backend = at(row.values, "config", "backend") or {}
    scenario = at(row.values, "config", "scenario") or {}
    engine = text(backend, "name")
    if engine not in _ENGINES:
        raise refuse("backend", engine, f"one of {', '.join(_ENGINES)}")
    if (count(scenario, "generate_kwargs", "num_beams") or 1) > 1:
        raise InvalidRecordError("beam search generates more tokens than it returns")
    batch = options.need("batch_size", count(scenario, "input_shapes", "batch_size"))
    new = options.need("output_len", count(scenario, "generate_kwargs", "max_new_tokens"))
    environment = at(row.values, "config", "environment")
    return RunRecord(
        source=SOURCE,
        engine=_ENGINES[engine],
        engine_version=options.choose("engine_version", _version(engine, backend, environment)),
        model=model_name(backend, "model", options=options),
        gpu=gpu_name(_gpu(backend, environment), options),
        n_gpus=options.need("n_gpus", _n_gpus(backend)),
        batch_size=batch,
        input_len=options.choose("input_len", count(scenario, "input_shapes", "sequence_length")),
        output_len=new,
        dtype=at(backend, "torch_dtype") or at(backend, "dtype"),
        quantization=at(backend, "quantization_scheme"),
        status="completed",
        **_measures(at(row.values, "report"), batch, new),
        environment={
            "measuring_tool": SOURCE,
            "source_definition": DEFINITION,
            "source_path": row.place.file.name,
            "source_model": str(at(backend, "model")),
        },
    )


def _version(engine: str, backend: Mapping[str, Any], environment: Any) -> Any:
    if engine == "pytorch":
        return at(environment or {}, "transformers_version")
    return at(backend, "version")


def _gpu(backend: Mapping[str, Any], environment: Any) -> str | None:
    gpus = at(environment or {}, "gpu")
    if at(backend, "device") != "cuda" or not isinstance(gpus, list) or not gpus:
        return None
    if len(set(gpus)) > 1:
        raise InvalidRecordError(f"its machine has GPUs of several kinds: {', '.join(set(gpus))}")
    return str(gpus[0])


def _n_gpus(backend: Mapping[str, Any]) -> int | None:
    devices = at(backend, "device_ids")
    if at(backend, "device") != "cuda" or devices is None:
        return None
    return len(str(devices).split(","))


def _measures(report: Any, batch: int, new: int) -> dict[str, Any]:
    if not isinstance(report, Mapping):
        raise InvalidRecordError("it has no report")
    prefill = measure(report, "prefill", "latency", "mean")
    decode = measure(report, "decode", "latency", "mean")
    if prefill is None or decode is None:
        raise InvalidRecordError("the report lacks the latency of prefill or decode")
    energy = [measure(report, phase, "energy", "gpu") for phase in ("prefill", "decode")]
    joules = sum(part for part in energy if part is not None) * _JOULES_PER_KWH
    return {
        "output_throughput": batch * new / (prefill + decode),
        "mean_ttft_ms": prefill * 1000,
        "median_ttft_ms": measure(report, "prefill", "latency", "p50", scale=1000),
        "p99_ttft_ms": measure(report, "prefill", "latency", "p99", scale=1000),
        "mean_tpot_ms": decode * 1000 / (new - 1) if new > 1 else None,
        "mean_e2el_ms": (prefill + decode) * 1000,
        "energy_j_per_token": joules / (batch * new) if None not in energy else None,
        "peak_memory_gb": measure(report, "decode", "memory", "max_process_vram", scale=_GB_PER_MB),
        "repeats": count(report, "decode", "latency", "count"),
    }
