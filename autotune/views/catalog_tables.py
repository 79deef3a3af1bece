"""The catalogues as tables."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from autotune.catalog.gpus import CATALOGUE, KnownGpu, detect_cpu, load_gpus, own_gpus
from autotune.catalog.models import catalogued, is_model_directory, load_models
from autotune.catalog.naming import name_model
from autotune.views.fitted_table import Column, FittedTable


def gpu_rows(filter_text: str = "") -> list[dict[str, Any]]:
    """Return the GPUs whose name or alias contains the text, as JSON-ready values.

    Those of the catalogue, the user's own and this machine's CPU; ``origin`` says which it is.
    """
    wanted = filter_text.lower()
    known = [
        *(KnownGpu(gpu, CATALOGUE) for gpu in load_gpus().values()),
        *own_gpus(),
        KnownGpu(detect_cpu(), "this machine"),
    ]
    return [
        {**dataclasses.asdict(gpu), "origin": origin}
        for gpu, origin in known
        if any(wanted in text.lower() for text in (gpu.name, *gpu.aliases))
    ]


_GPU_COLUMNS: Final = (
    Column(name="GPU", is_number=False),
    Column(name="GB"),
    Column(name="GB/s"),
    Column(name="fp16 TFLOP/s"),
    Column(name="bf16", priority=3),
    Column(name="fp8", priority=1),
    Column(name="fp32", priority=4),
    Column(name="interconnect", priority=2, is_number=False),
    Column(name="from", priority=5, is_number=False),
)
_MODEL_COLUMNS: Final = (
    Column(name="model", is_number=False),
    Column(name="parameters"),
    Column(name="active", priority=1),
    Column(name="layers", priority=4),
    Column(name="KV elements/token", priority=5),
    Column(name="context", priority=2),
    Column(name="dtype", priority=3, is_number=False),
)


def gpu_table(filter_text: str = "") -> FittedTable:
    """Return the GPUs with what serving depends on, and where their sheets come from."""
    table = FittedTable(_GPU_COLUMNS)
    for row in gpu_rows(filter_text):
        rates = (row["fp16_tflops"], row["bf16_tflops"], row["fp8_tflops"], row["fp32_tflops"])
        table.add_row(
            row["name"],
            f"{row['memory_gb']:.0f}",
            f"{row['bandwidth_gbs']:.0f}",
            *("-" if rate is None else f"{rate:.1f}" for rate in rates),
            _interconnect(row),
            Path(row["origin"]).name,
        )
    return table


def _interconnect(row: dict[str, Any]) -> str:
    speed = row["interconnect_gbs"]
    return f"{row['interconnect']}, {speed:.0f} GB/s" if speed else str(row["interconnect"])


def model_rows(text: str = "", like: str | None = None) -> list[dict[str, Any]]:
    """Return the catalogue's models whose name or alias contains a text, as JSON-ready values.

    Where there is none, and for a directory, what the text is taken for as a name.

    Args:
        like: Model whose architecture the name has, where only that is known.

    Raises:
        UsageError: For a name that nobody knows.
    """
    if text and (like is not None or is_model_directory(text)):
        return [_named_row(text, like)]
    wanted = text.lower()
    rows = [
        {**dataclasses.asdict(catalogued(name)), "aliases": list(entry.aliases), "remark": None}
        for name, entry in load_models().items()
        if any(wanted in known.lower() for known in (name, *entry.aliases))
    ]
    return rows or [_named_row(text, None)]


def _named_row(name: str, like: str | None) -> dict[str, Any]:
    named = name_model(name, like)
    return {**dataclasses.asdict(named.profile), "aliases": [], "remark": named.remark}


def model_table(rows: Sequence[Mapping[str, Any]]) -> FittedTable:
    """Return models with what serving depends on."""
    table = FittedTable(_MODEL_COLUMNS)
    for row in rows:
        table.add_row(
            row["name"],
            f"{row['n_params'] / 1e9:.2f} B",
            f"{row['n_active_params'] / 1e9:.2f} B",
            str(row["n_layers"]),
            f"{row['kv_elements_per_token']:,}",
            f"{row['max_model_len']:,}",
            row["dtype"],
        )
    return table
