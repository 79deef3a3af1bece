"""Recommendations and their confirmations on disk, beside the store, and from there into MLflow.

A recommendation is a JSON file the moment it is made; whatever opens the store next logs it.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autotune.cache import write_atomically
from autotune.errors import InvalidConfigError
from autotune.spec import Slo, Workload
from autotune.tracking_api import DocumentStore
from recommender.candidates import Candidate
from recommender.migration import Migration
from recommender.query import Query
from recommender.recommend import Recommendation

FOLDER = "recommendations"
_LOGGED = "logged"
_CONFIRMED = "-confirmed"
# What reading a document that is none may raise.
_NOT_ONE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


def save(recommendation: Recommendation, directory: Path) -> Path:
    """Write a recommendation under a store's directory; return the file."""
    path = directory / FOLDER / f"{recommendation.recommendation_id}.json"
    write_atomically(path, json.dumps(to_dict(recommendation), indent=1, allow_nan=False))
    return path


def to_dict(recommendation: Recommendation) -> dict[str, Any]:
    """Return everything a recommendation holds: the contract's keys and what it was made from."""
    return {
        **recommendation.to_dict(),
        "created_at": recommendation.created_at,
        "query": dataclasses.asdict(recommendation.query),
        "landscape": [candidate.to_dict() for candidate in recommendation.landscape],
        "n_known_runs": recommendation.n_known_runs,
    }


def load(reference: str, directory: Path) -> Recommendation:
    """Return a recommendation by its id, by its file, or by a saved ``recommend --json`` output.

    Raises:
        InvalidConfigError: When there is none, or the file is not one.
    """
    path = next((place for place in _places(reference, directory) if _is_file(place)), None)
    if path is None:
        known = sorted(
            p.stem for p in (directory / FOLDER).glob("*.json") if not p.stem.endswith(_CONFIRMED)
        )
        hint = f"; known: {', '.join(known[-5:])}" if known else "; `autotune recommend` makes one"
        raise InvalidConfigError(f"no recommendation {reference!r} in {directory / FOLDER}{hint}")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if "landscape" not in data:
            return load(data["recommendation_id"], directory)
        return from_dict(data)
    except _NOT_ONE as error:
        raise InvalidConfigError(f"{path} is not a recommendation: {error!r}") from error


def _places(reference: str, directory: Path) -> tuple[Path, Path]:
    return Path(reference), directory / FOLDER / f"{Path(reference).name}.json"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # too long for a path, for one
        return False


def from_dict(data: Mapping[str, Any]) -> Recommendation:
    """Build a recommendation from ``to_dict``'s result; what older files lack takes its default."""
    query = dict(data["query"])
    query["workload"] = Workload(**query["workload"])
    query["slo"] = Slo(**query.get("slo", {}))
    keep, migration = data["keep_source"], data.get("migration")
    return Recommendation(
        recommendation_id=data["recommendation_id"],
        created_at=data["created_at"],
        query=Query(**query),
        target_gpu=data["target_gpu"],
        best=Candidate(**data["best"]),
        candidates=tuple(Candidate(**c) for c in data["candidates"]),
        keep_source=None if keep is None else Candidate(**keep),
        baselines={name: Candidate(**c) for name, c in data["baselines"].items()},
        landscape=tuple(Candidate(**c) for c in data["landscape"]),
        explanation=data["explanation"],
        remarks=tuple(data["remarks"]),
        n_known_runs=data["n_known_runs"],
        migration=None if migration is None else Migration.from_dict(migration),
    )


def save_confirmation(document: Mapping[str, Any], directory: Path) -> Path:
    """Write a confirmation, its session's id in it, under a store's directory; return the file."""
    name = f"{document['recommendation_id']}-{document['session_id']}{_CONFIRMED}.json"
    path = directory / FOLDER / name
    write_atomically(path, json.dumps(document, indent=1, allow_nan=False))
    return path


def load_confirmations(directory: Path) -> list[dict[str, Any]]:
    """Return the confirmations written under a store's directory, in the order they were made.

    Raises:
        InvalidConfigError: When a file is not one.
    """
    found = []
    for path in (directory / FOLDER).glob(f"*{_CONFIRMED}.json"):
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            found.append((document["session_id"], path.stem, document))
        except _NOT_ONE as error:
            raise InvalidConfigError(f"{path} is not a confirmation: {error!r}") from error
    return [document for _, _, document in sorted(found, key=lambda item: item[:2])]


def log_pending(store: DocumentStore) -> int:
    """Log every recommendation and confirmation that the store does not hold; return how many."""
    folder = store.directory / FOLDER
    marker = folder / _LOGGED
    done = set(marker.read_text(encoding="utf-8").split()) if marker.exists() else set()
    pending = [path for path in sorted(folder.glob("*.json")) if path.stem not in done]
    for path in pending:
        document = json.loads(path.read_text(encoding="utf-8"))
        if path.stem.endswith(_CONFIRMED):
            _log_confirmation(store, path, document)
        else:
            _log_recommendation(store, path, from_dict(document))
        with marker.open("a", encoding="utf-8") as file:
            file.write(path.stem + "\n")
    return len(pending)


def _log_recommendation(store: DocumentStore, path: Path, made: Recommendation) -> None:
    best, query, migration = made.best, made.query, made.migration
    store.log_document(
        kind="recommendation",
        name=f"{query.model.rpartition('/')[2]} · recommendation · {made.target_gpu}",
        document_id=made.recommendation_id,
        params=_without_none(
            model=query.model,
            gpu=made.target_gpu,
            source_gpu=query.source_gpu,
            engine=best.engine,
            n_gpus=best.n_gpus,
            batch_size=best.batch_size,
            replicas=made.deployment.replicas,
            input_len=query.workload.input_len,
            output_len=query.workload.output_len,
            objective=query.objective,
            max_ttft_ms=query.slo.max_ttft_ms,
            max_tpot_ms=query.slo.max_tpot_ms,
            migration_verdict=None if migration is None else migration.verdict,
        ),
        metrics=_metrics(best, migration),
        note=f"{made.explanation}\n\n```\n{best.command}\n```",
        artifacts=[path],
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


def _log_confirmation(store: DocumentStore, path: Path, document: Mapping[str, Any]) -> None:
    winner = document["winner"]
    errors = [abs(run["error"]) for run in document["runs"] if run["error"] is not None]
    metrics = {"confirmed_runs": float(len(document["runs"]))}
    if errors:
        metrics["mean_absolute_error"] = sum(errors) / len(errors)
    if winner is not None:
        metrics["measured_output_throughput"] = winner["output_throughput"]
    certificate = document.get("certificate")
    if certificate is not None:
        metrics["regret_bound90"] = certificate["regret_bound90"]
        if certificate["kept_slowdown"] is not None:
            metrics["kept_slowdown"] = certificate["kept_slowdown"]
    store.log_document(
        kind="confirmation",
        name=f"{document['model'].rpartition('/')[2]} · confirmation · {document['target_gpu']}",
        document_id=path.stem,
        params={
            "recommendation_id": document["recommendation_id"],
            "model": document["model"],
            "gpu": document["target_gpu"],
            **(
                {} if winner is None else {k: winner[k] for k in ("engine", "n_gpus", "batch_size")}
            ),
        },
        metrics=metrics,
        note=document["summary"],
        artifacts=[path],
    )
