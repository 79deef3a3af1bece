"""LLM-Inference-Bench (argonne-lcf/LLM-Inference-Bench): Plots/All_results.csv.

Each row is one closed batch: ``Batch Size`` prompts of ``Input Output Length`` tokens, and as many
generated tokens each, took ``Latency`` seconds. Its ``Throughput`` counts prompt tokens too, so
the output throughput here is batch x length / latency.
"""

from pathlib import Path
from typing import Final

from autotune.catalog.gpus import find_gpu
from autotune.catalog.models import find_model
from autotune.errors import InvalidRecordError
from autotune.importers.base import ImportResult, Signature
from autotune.importers.plausibility import TOLERANCE
from autotune.importers.rows import Row, collect, csv_rows, measure, required_count, text
from autotune.schema.configuration import refuse
from autotune.schema.record import RunRecord
from autotune.schema.validation import ENGINES

SOURCE: Final = "LLM-Inference-Bench"
COLUMNS: Final = (
    "Hardware",
    "Num of Hardware",
    "Framework",
    "Model",
    "Input Output Length",
    "Batch Size",
    "Latency",
    "Throughput",
)
SIGNATURES: Final = (
    Signature(
        sought="a CSV with Hardware, Framework and Input Output Length", columns=frozenset(COLUMNS)
    ),
)
DEFINITION: Final = (
    "throughput counts prompt tokens: (input + output) x batch / latency; output_throughput is "
    "output x batch / latency"
)
# Its A100 nodes are Argonne's Polaris (40 GB); PVC is the code name of the Max 1550.
_GPUS: Final = {
    "nvidia a100 gpu": "A100-40GB",
    "nvidia h100 gpu": "H100-80GB",
    "amd mi300x gpu": "MI300X",
    "intel pvc gpu": "Max1550",
}
_ENGINES: Final = {"vllm": "vllm", "tensorrt-llm": "trtllm"}
# The study states no versions: its year stands for them.
_VERSION: Final = "2024"


def read(path: Path) -> ImportResult:
    """Read the table.

    Raises:
        InvalidRecordError: When columns are missing.
    """
    return collect(csv_rows(path, needed=COLUMNS), _record)


def _record(row: Row) -> RunRecord:
    cells = row.values
    framework, hardware = text(cells, "Framework"), text(cells, "Hardware")
    if framework.lower() not in _ENGINES:
        raise refuse("Framework", framework, f"an engine among {', '.join(ENGINES)}")
    batch = required_count(cells, "Batch Size")
    length = required_count(cells, "Input Output Length")
    latency_s, total = measure(cells, "Latency"), measure(cells, "Throughput")
    output, total = throughputs(batch, length, latency_s=latency_s, total=total)
    return RunRecord(
        source=SOURCE,
        engine=_ENGINES[framework.lower()],
        engine_version=_VERSION,
        model=find_model(text(cells, "Model")).name,
        gpu=find_gpu(_GPUS.get(hardware.lower(), hardware)).name,
        n_gpus=required_count(cells, "Num of Hardware"),
        batch_size=batch,
        input_len=length,
        output_len=length,
        dtype="auto",
        status="completed",
        output_throughput=output,
        total_throughput=total,
        mean_e2el_ms=latency_s and latency_s * 1000,
        environment={
            "measuring_tool": SOURCE,
            "source_definition": DEFINITION,
            "source_path": f"{row.place.file.name}#{row.place.line}",
        },
    )


def throughputs(
    batch: int, length: int, *, latency_s: float | None, total: float | None
) -> tuple[float, float]:
    """Return output and total tokens a second of a closed batch of ``length`` in and out.

    Raises:
        InvalidRecordError: When the source's two figures are not there, or contradict each other.
    """
    if latency_s is None or total is None or latency_s < 0 or total < 0:
        raise InvalidRecordError(f"Latency={latency_s} and Throughput={total} must be above zero")
    output = batch * length / latency_s
    if not 1 / (1 + TOLERANCE) <= total / (2 * output) <= 1 + TOLERANCE:
        raise InvalidRecordError(
            f"Throughput={total:.4g} contradicts its latency: 2 x {length} tokens x {batch} / "
            f"{latency_s:.4g} s = {2 * output:.4g} tok/s, more than {TOLERANCE:.0%} away"
        )
    return output, total
