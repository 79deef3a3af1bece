"""What is kept of the documents that the commands write."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Final

from research.accuracy.results import AccuracyError, Figures

LARGE_GRID: Final = 16
_KEPT: Final = (
    "engine",
    "source_gpu",
    "target_gpu",
    "method",
    "runs",
    "groups",
    "regret_mean",
    "regret_next_mean",
    "regret_max",
    "ape_median",
    "coverage90",
    "interval_factor",
    "regret_bound90_median",
    "failed_choice_rate",
)

Row = Mapping[str, Any]


def evaluation(rows: Sequence[Row]) -> Figures:
    """Return the rows of ``autotune evaluate --json``, and how often the certificates held."""
    return {
        "certificate": {
            str(runs): certificate([row for row in rows if row["runs"] == runs])
            for runs in sorted({row["runs"] for row in rows if row["bound_coverage"] is not None})
        },
        "rows": [
            {key: row[key] for key in _KEPT if row[key] is not None}
            for row in rows
            if row["method"] != "random" or row["runs"] == 1
        ],
    }


def certificate(rows: Sequence[Row]) -> Figures:
    """Return on how many landscapes there was a bound, and the share on which it held."""
    ours = [row for row in rows if row["bound_coverage"] is not None]
    landscapes = sum(row["groups"] for row in ours)
    held = sum(row["groups"] * row["bound_coverage"] for row in ours) / landscapes
    return {"landscapes": landscapes, "held": round(held, 5)}


def example(printed: str) -> Figures:
    """Return the lines that the page's example prints."""
    return {"lines": printed.strip().splitlines()}


def aiconfigurator(text: str) -> Figures:
    """Return the median errors at the bottom of ledger/aiconfigurator.md."""
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in text.splitlines()]
    medians = {row[0]: row for row in rows if row[0].startswith("median error")}
    return {
        "version": text.split("aiconfigurator ", 1)[1].split(" ", 1)[0],
        "cells": sum(row[0].startswith("h") and len(row) > 3 for row in rows),
        "ours": _share(medians["median error"][5]),
        "theirs": _share(medians["median error"][9]),
        "ours_after": _share(medians["median error, cells not run"][7]),
        "theirs_after": _share(medians["median error, cells not run"][9]),
    }


def _share(text: str) -> float:
    return round(float(text.removesuffix("%")) / 100, 5)


def reference_ledger(document: Mapping[str, Any]) -> Figures:
    """Return the summary of ledger.json.

    Raises:
        AccuracyError: When it was built without leaving models out.
    """
    if not document["leave_one_model_out"]:
        raise AccuracyError("the ledger leaves no model out: build it with --leave-one-out")
    names = list(document["surrogates"])
    first, related = names[0], next(name for name in names if name.endswith("known"))
    rows = document["surrogates"][first]["rows"]
    early = max(document["stopping_early"][related], key=lambda item: item["stop_regret"])
    return {
        "landscapes": len(rows),
        "aims": document["surrogates"][first]["aims"],
        "related": {aim["name"]: aim["value"] for aim in document["surrogates"][related]["aims"]},
        "coverage_after": {
            engine: statistics.fmean(row["after"]["coverage"] for row in rows if _of(row, engine))
            for engine in ("vllm", "hf")
        },
        "grids": _grids(rows),
        "stopping": early,
        "left_out": _left_out(document["leave_one_model_out"]),
    }


def _grids(rows: Sequence[Row]) -> Figures:
    sizes = [row["configurations"] for row in rows]
    small = [size for size in sizes if size < LARGE_GRID]
    large = [row for row in rows if row["configurations"] >= LARGE_GRID]
    return {
        "small": {"n": len(small), "least": min(small), "most": max(small)},
        "large": {
            "n": len(large),
            "times_fewer": {
                engine: statistics.median(_times_fewer(row) for row in large if _of(row, engine))
                for engine in ("vllm", "hf")
            },
        },
    }


def _times_fewer(row: Row) -> float:
    return float(row["restarted_gpu_minutes"] / row["gpu_minutes"])


def _of(row: Row, engine: str) -> bool:
    return bool(row["engine"] == engine)


def _left_out(found: Sequence[Row]) -> Figures:
    return {
        how: {
            gpu: statistics.median(item[how]["error"] for item in found if item["gpu"] == gpu)
            for gpu in sorted({item["gpu"] for item in found})
        }
        for how in ("taught", "anew")
    }
