"""Figures of this project's own runs that need no fit: what was confirmed, what was served."""

import json
from pathlib import Path
from typing import Any, Final

from autotune.store.journal import read_journal
from recommender.reports.ledger import Entry
from recommender.reports.ledger_summary import ledger_of
from recommender.surrogate.predictor import PRETRAINED, Predictor
from research.reference.landscapes import REFERENCE
from research.reference.replicas import Served, markdown, read

CONFIRMED: Final = REFERENCE / "confirmed"
_ENTRY: Final = (
    "model", "engine", "n_gpus", "batch_size", "error", "is_inside", "regret", "runs",
    "winner_regret", "regret_bound90",
)  # fmt: skip


def confirmed(output: Path) -> dict[str, Any]:
    """Return what came of the recommendations confirmed on the H200; write them all down."""
    runs = [run for path in sorted(REFERENCE.rglob("*.jsonl")) for run in read_journal(path)]
    kept = ledger_of(CONFIRMED, lambda model: [run for run in runs if run.model == model])
    text = f"# Recommendations confirmed on the H200\n\n{kept.markdown}\n"
    output.write_text(text, encoding="utf-8")
    return {
        "totals": kept.totals(),
        "entries": [{key: getattr(entry, key) for key in _ENTRY} for entry in kept.entries],
        "overtaken": [found for entry in kept.entries if (found := _overtaken(entry))],
    }


def _overtaken(entry: Entry) -> dict[str, Any] | None:
    """Return what won over the recommended configuration, if something did."""
    (path,) = CONFIRMED.rglob(f"{entry.recommendation_id}-{entry.confirmed}-confirmed.json")
    document = json.loads(path.read_text(encoding="utf-8"))
    winner = document["winner"]
    place = (winner["n_gpus"], winner["batch_size"])
    if place == (entry.n_gpus, entry.batch_size):
        return None
    measured = {(r["measured"]["n_gpus"], r["measured"]["batch_size"]): r["measured"]
                for r in document["runs"]}  # fmt: skip
    recommended = measured[(entry.n_gpus, entry.batch_size)]
    return {
        "model": entry.model,
        "engine": entry.engine,
        "recommended": entry.batch_size,
        "winner": winner["batch_size"],
        "lead": measured[place]["output_throughput"] / recommended["output_throughput"] - 1,
        "passes": recommended["repeats"],
        "scatter": recommended["throughput_ci95"],
        "winner_regret": entry.winner_regret,
        "regret_bound90": entry.regret_bound90,
    }


def replicas(output: Path) -> dict[str, Any]:
    """Return every load that was served in two ways; write them all down."""
    journals = sorted((REFERENCE / "modes").glob("*.jsonl"))
    runs = [run for path in journals for run in read_journal(path)]
    found = read(runs, Predictor.load(PRETRAINED))
    output.write_text(markdown(found), encoding="utf-8")
    return {"loads": [_load(served) for served in found]}


def _load(served: Served) -> dict[str, Any]:
    run = served.runs[served.faster]
    return {
        "model": run.model.rpartition("/")[2],
        "in_flight": run.batch_size,
        "replicas": served.measured(max(served.runs)),
        "over_all": served.measured(min(served.runs)),
        "is_right": served.chosen == served.faster,
        "lost": 1 - served.measured(served.chosen) / served.measured(served.faster),
    }
