"""The catalogues as tables."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from autotune.catalog.gpus import detect_cpu, load_gpus
from autotune.catalog.models import catalogued, is_model_directory, load_models
from autotune.catalog.naming import name_model


def gpu_rows() -> list[dict[str, Any]]:
    """Return every GPU of the catalogue, and this machine's CPU, as JSON-ready values."""
    return [dataclasses.asdict(gpu) for gpu in (*load_gpus().values(), detect_cpu())]


def gpu_table() -> Table:
    """Return the GPUs with what serving depends on."""
    table = Table()
    for name in ("GPU", "GB", "GB/s", "fp16 TFLOP/s", "bf16", "fp8", "fp32", "interconnect"):
        table.add_column(name, justify="left" if name in ("GPU", "interconnect") else "right")
    for row in gpu_rows():
        rates = (row["fp16_tflops"], row["bf16_tflops"], row["fp8_tflops"], row["fp32_tflops"])
        table.add_row(
            row["name"],
            f"{row['memory_gb']:.0f}",
            f"{row['bandwidth_gbs']:.0f}",
            *("-" if rate is None else f"{rate:.1f}" for rate in rates),
            f"{row['interconnect']}, {row['interconnect_gbs']:.0f} GB/s",
        )
    return table


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


def model_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return models with what serving depends on."""
    table = Table()
    columns = ("model", "parameters", "active", "layers", "KV elements/token", "context", "dtype")
    for name in columns:
        table.add_column(name, justify="left" if name in ("model", "dtype") else "right")
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
