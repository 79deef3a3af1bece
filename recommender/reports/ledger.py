"""Recommendations and their confirmations on disk, beside the store.

A recommendation is a JSON file the moment it is made; whatever opens the store next logs it, see
``advice_runs.py``.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autotune.errors import InvalidConfigError
from autotune.schema.study_spec import Slo, Workload
from autotune.store.cache import write_atomically
from recommender.recommendation.candidates import Candidate
from recommender.recommendation.migration import Migration
from recommender.recommendation.query import Query
from recommender.recommendation.recommend import Recommendation

FOLDER = "recommendations"
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


def is_confirmation(path: Path) -> bool:
    """Whether a file of the folder is a confirmation; the others are recommendations."""
    return path.stem.endswith(_CONFIRMED)
