"""Figures of the paper's tables and of its gain, ours beside them."""

import statistics
import tempfile
from pathlib import Path
from typing import Any

from research.paper.findings import gains, mean_percent, paper_landscapes, plotted
from research.paper.gain import RUNS, Harvest, harvest
from research.paper.stored import stored_runs
from research.paper.tables import check_tables


def replicate(folder: Path) -> dict[str, Any]:
    """Import the replication folder into a store, read it back, and play every direction."""
    from autotune.store.tracking.store import Store

    with tempfile.TemporaryDirectory() as temporary:
        records = stored_runs(folder, Store(f"sqlite:///{temporary}/mlflow.db"))
    every = paper_landscapes(records, with_suspect=True)
    check = check_tables(every, folder / "RQ2_tables")
    return {
        "cells": check.compared,
        "cells_differing": len(check.differing),
        "directions": [
            {
                "published": item.direction.published,
                "found": mean_percent(plotted(found := gains(every, item.direction))),
                "published_all": item.direction.published_all,
                "found_all": mean_percent(found),
                **_harvested(item),
            }
            for item in harvest(records, folder)
        ],
    }


def _harvested(item: Harvest) -> dict[str, Any]:
    failing = [model for model, (_, own) in item.by_model.items() if own[max(RUNS)] == -100]
    rest = {model: each for model, each in item.by_model.items() if model not in failing}
    return {
        "engine": item.direction.engine,
        "origin": item.direction.origin,
        "target": item.direction.target,
        "models": item.models,
        "attainable": item.attainable,
        "gain": {str(runs): item.gain[runs] for runs in RUNS},
        "infpop": item.infpop,
        "failing": failing,
        "rest": {
            "attainable": statistics.fmean(best for best, _ in rest.values()),
            "gain": {
                str(runs): statistics.fmean(own[runs] for _, own in rest.values()) for runs in RUNS
            },
            "worse_after_3": [model for model, (_, own) in rest.items() if own[3] < 0],
        },
    }
