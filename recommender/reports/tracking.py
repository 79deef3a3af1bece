"""Recommendations and confirmations as MLflow runs: a confirmation under its recommendation.

The runs that a confirmation made are its children; both sides name each other in their
descriptions and tags.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from autotune.schema.record import short_name
from autotune.store.tracking.layout import STUDY_ID
from autotune.views.pages.document import code, inline, table
from recommender.recommendation.candidates import Candidate
from recommender.recommendation.migration import Migration
from recommender.recommendation.recommendation import Recommendation
from recommender.reports.ledger import FOLDER, from_dict, is_confirmation

if TYPE_CHECKING:
    from autotune.store.tracking.store import Store

RECOMMENDATION, CONFIRMATION = "recommendation", "confirmation"
UP, DOWN = "autotune.recommendation_run_id", "autotune.confirmation_run_id"
_LOGGED: Final = "logged"


def log_pending(store: "Store") -> int:
    """Log every recommendation and confirmation that the store does not hold; return how many."""
    folder = store.directory / FOLDER
    marker = folder / _LOGGED
    done = set(marker.read_text(encoding="utf-8").split()) if marker.exists() else set()
    # a recommendation's name begins its confirmations' names, so it is logged before them
    pending = [path for path in sorted(folder.glob("*.json")) if path.stem not in done]
    for path in sorted(pending, key=lambda p: p.stem):
        document = json.loads(path.read_text(encoding="utf-8"))
        if is_confirmation(path):
            _log_confirmation(store, path, document)
        else:
            _log_recommendation(store, path, from_dict(document))
        with marker.open("a", encoding="utf-8") as file:
            file.write(path.stem + "\n")
    return len(pending)


def _log_recommendation(store: "Store", path: Path, made: Recommendation) -> None:
    best, query, migration = made.best, made.query, made.migration
    store.log_document(
        kind=RECOMMENDATION,
        name=f"{short_name(query.model)} · recommendation · {made.target_gpu}",
        document_id=made.recommendation_id,
        params=_without_none(
            model=query.model,
            gpu=made.target_gpu,
            source_gpu=query.source_gpu,
            engine=best.engine,
            n_gpus=best.n_gpus,
            batch_size=best.batch_size,
            replicas=best.replicas,
            input_len=query.workload.input_len,
            output_len=query.workload.output_len,
            objective=query.objective,
            max_ttft_ms=query.slo.max_ttft_ms,
            max_tpot_ms=query.slo.max_tpot_ms,
            migration_verdict=None if migration is None else migration.verdict,
        ),
        metrics=_metrics(best, migration),
        note=recommendation_note(made),
        artifacts=[path],
        tags={"model": query.model, "gpu": made.target_gpu, "engine": best.engine,
              "purpose": "recommend"},
    )  # fmt: skip


def recommendation_note(made: Recommendation) -> str:
    """Return the description of a recommendation's run, nothing confirmed yet."""
    rows = [
        (
            "best" if index == 0 else str(index + 1),
            c.engine,
            str(c.n_gpus),
            str(c.batch_size),
            f"{c.output_throughput:,.0f}",
            f"{c.low:,.0f} - {c.high:,.0f}",
        )
        for index, c in enumerate(made.candidates)
    ]
    head = ("choice", "engine", "GPUs", "batch", "tok/s", "90 % interval")
    return "\n\n".join(
        [
            inline(made.explanation),
            table(head, rows, numbers=(2, 3, 4, 5)),
            code(made.best.command, "sh"),
            f"Next: `autotune confirm {made.recommendation_id}` proves it with three runs; "
            f"`autotune report {made.recommendation_id} --output report.html` writes it down.",
        ]
    )


def _metrics(best: Candidate, migration: Migration | None) -> dict[str, float]:
    values = {
        "predicted_output_throughput": best.output_throughput,
        "predicted_low": best.low,
        "predicted_high": best.high,
        "p_feasible": best.p_feasible,
        "p_within_limits": best.p_within_limits,
        "predicted_cost_per_mtok": best.cost_per_mtok,
        "predicted_energy_j_per_token": best.energy_j_per_token,
    }
    if migration is not None:
        before = migration.before
        values |= {
            "migration_gain": migration.gain,
            "migration_p_pays": migration.p_pays,
            "source_output_throughput": before.output_throughput,
            "source_output_throughput_per_gpu": before.output_throughput_per_gpu,
            "source_cost_per_mtok": before.cost_per_mtok,
            "source_energy_j_per_token": before.energy_j_per_token,
        }
    return _without_none(**values)


def _without_none(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _log_confirmation(store: "Store", path: Path, document: Mapping[str, Any]) -> None:
    winner = document["winner"] or {}
    metrics = _outcome(document)
    above = store.find_document(RECOMMENDATION, document["recommendation_id"])
    linked = f"\n\nOf the {store.link(above, 'recommendation')}." if above is not None else ""
    run_id = store.log_document(
        kind=CONFIRMATION,
        name=f"{short_name(document['model'])} · confirmation · {document['target_gpu']}",
        document_id=path.stem,
        params={
            "recommendation_id": document["recommendation_id"],
            "model": document["model"],
            "gpu": document["target_gpu"],
            **{k: winner[k] for k in ("engine", "n_gpus", "batch_size") if k in winner},
        },
        metrics=metrics,
        note=f"{inline(document['summary'])}\n\n{confirmation_table(document)}{linked}",
        artifacts=[path],
        parent=above,
        tags={
            STUDY_ID: document["session_id"],
            "model": document["model"],
            "gpu": document["target_gpu"],
            "purpose": "confirm",
            **({} if above is None else {UP: above}),
        },
    )
    if above is not None:
        line = f"**{store.link(run_id, 'Confirmed')}:** {inline(document['summary'])}"
        note = f"{line}\n\n{store.note_of(above)}"
        store.amend(above, note=note, metrics=metrics, tags={DOWN: run_id})


def _outcome(document: Mapping[str, Any]) -> dict[str, float]:
    winner, certificate = document["winner"], document.get("certificate")
    errors = [abs(run["error"]) for run in document["runs"] if run["error"] is not None]
    metrics = {"confirmed_runs": float(len(document["runs"]))}
    if errors:
        metrics["mean_absolute_error"] = sum(errors) / len(errors)
    if winner is not None:
        metrics["measured_output_throughput"] = winner["output_throughput"]
    if certificate is not None:
        metrics["regret_bound90"] = certificate["regret_bound90"]
        if certificate["kept_slowdown"] is not None:
            metrics["kept_slowdown"] = certificate["kept_slowdown"]
    return metrics


def confirmation_table(document: Mapping[str, Any]) -> str:
    """Return predicted beside measured of each run of a confirmation's document."""
    head = ("run", "engine", "GPUs", "batch", "predicted", "90 % interval", "measured", "error",
            "inside")  # fmt: skip
    rows = []
    for run in document["runs"]:
        predicted, found = run["predicted"], run["measured"]
        speed, error = found["output_throughput"], run["error"]
        rows.append(
            (
                run["role"],
                predicted["engine"],
                str(predicted["n_gpus"]),
                str(predicted["batch_size"]),
                f"{predicted['output_throughput']:,.1f}",
                f"{predicted['low']:,.1f} - {predicted['high']:,.1f}",
                found["status"].replace("_", " ") if error is None else f"{speed:,.1f}",
                "-" if error is None else f"{error:+.1%}",
                {None: "-", True: "yes", False: "no"}[run["is_covered"]],
            )
        )
    return table(head, rows, numbers=(2, 3, 4, 5, 6, 7))
