"""Recommendations and their confirmations on disk, beside the store.

A recommendation is a JSON file the moment it is made; whatever opens the store next logs it, see
``tracking.py``.
"""

import dataclasses
import json
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from autotune.catalog.own_gpus import recorded_sheet, remember_sheets
from autotune.errors import InvalidConfigError
from autotune.files import write_atomically
from autotune.schema.configuration import Configuration
from autotune.schema.record import RunRecord
from autotune.schema.served_load import ServedLoad
from autotune.schema.workload import Slo, Workload
from recommender.recommendation.alternatives import Alternative
from recommender.recommendation.candidates import (
    Candidate,
    Place,
    cell,
    may_be_same_format,
    place_of,
)
from recommender.recommendation.migration import Migration
from recommender.recommendation.query import Query
from recommender.recommendation.ranking import score
from recommender.recommendation.recommendation import Recommendation

FOLDER = "recommendations"
_CONFIRMED = "-confirmed"
_SHEETS = "gpu_sheets"
# What reading a document that is none may raise.
_NOT_ONE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


def save(recommendation: Recommendation, directory: Path) -> Path:
    """Write a recommendation under a store's directory; return the file."""
    path = directory / FOLDER / f"{recommendation.recommendation_id}.json"
    write_atomically(path, json.dumps(to_dict(recommendation), indent=1, allow_nan=False))
    return path


def to_dict(recommendation: Recommendation) -> dict[str, Any]:
    """Return everything a recommendation holds: the contract's keys and what it was made from.

    Sheets of GPUs beside the catalogue go with it, so that it can be confirmed on another host.
    """
    gpus = {recommendation.target_gpu, recommendation.query.source_gpu} - {None}
    sheets = {gpu: sheet for gpu in sorted(map(str, gpus)) if (sheet := recorded_sheet(gpu))}
    return {
        **recommendation.to_dict(),
        "created_at": recommendation.created_at,
        "query": dataclasses.asdict(recommendation.query),
        "landscape": [candidate.to_dict() for candidate in recommendation.landscape],
        "n_known_runs": recommendation.n_known_runs,
        **({_SHEETS: sheets} if sheets else {}),
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
    """Build a recommendation from ``to_dict``'s result; what older files lack takes its default.

    Its GPUs are findable from then on.
    """
    remember_sheets(dict(data.get(_SHEETS, {})).items())
    if "schema" not in data:
        data = _with_plans(data)
    query = dict(data["query"])
    query["workload"] = Workload(**query["workload"])
    query["slo"] = Slo(**query.get("slo", {}))
    query.setdefault("keeps_what_was_measured", False)
    keep, migration = data["keep_source"], data.get("migration")
    served = data.get("served_load")
    return Recommendation(
        recommendation_id=data["recommendation_id"],
        created_at=data["created_at"],
        query=Query(**query),
        target_gpu=data["target_gpu"],
        best=Candidate.from_dict(data["best"]),
        candidates=tuple(Candidate.from_dict(c) for c in data["candidates"]),
        keep_source=None if keep is None else Candidate.from_dict(keep),
        baselines={name: Candidate.from_dict(c) for name, c in data["baselines"].items()},
        landscape=tuple(Candidate.from_dict(c) for c in data["landscape"]),
        explanation=data["explanation"],
        remarks=tuple(data["remarks"]),
        n_known_runs=data["n_known_runs"],
        frontier=tuple(Candidate.from_dict(c) for c in data.get("frontier", ())),
        reasons=tuple(data.get("reasons", ())),
        alternatives=tuple(Alternative.from_dict(a) for a in data.get("alternatives", ())),
        engine_version=data.get("engine_version"),
        migration=None if migration is None else Migration.from_dict(migration),
        served_load=None if served is None else ServedLoad.from_dict(served),
    )


# Of a document from before there were plans: what was said of one replica, whatever was asked for.
_OF_ONE_REPLICA: Final = {"throughput": "replica"}


def _with_plans(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document of the first schema as one of the second, nothing said in it changed.

    Its throughput and goodput were one replica's. Of a ratio (a GPU, a dollar, a joule) it said how
    many replicas the GPUs hold.
    """
    query = dict(data["query"])
    objective = query.get("objective", "throughput")
    query["objective"] = _OF_ONE_REPLICA.get(objective, objective)
    if objective == "goodput":
        query["max_replicas"] = 1
    is_ratio = objective in ("per-gpu", "cost", "energy")

    def with_replicas(candidate: Mapping[str, Any]) -> dict[str, Any]:
        held = max(query.get("max_gpus", 8) // candidate["n_gpus"], 1) if is_ratio else 1
        return {**candidate, "replicas": held}

    move, keep = data.get("migration"), data["keep_source"]
    sides = ("before", "after")
    return {
        **data,
        "query": query,
        "best": with_replicas(data["best"]),
        "candidates": [with_replicas(c) for c in data["candidates"]],
        "landscape": [with_replicas(c) for c in data["landscape"]],
        "baselines": {name: with_replicas(c) for name, c in data["baselines"].items()},
        "keep_source": None if keep is None else with_replicas(keep),
        "migration": move and {**move, **{side: with_replicas(move[side]) for side in sides}},
    }


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One confirmed recommendation. Throughputs in tokens/s, the rest in shares.

    Attributes:
        predicted: When it was recommended, with ``low`` and ``high`` (90 %).
        realised: Of the recommended configuration; ``None`` where its run failed, as ``error``
            (realised / predicted - 1) and ``is_inside`` then are.
        regret: 1 - recommended / the best measured configuration that the store knows of the
            landscape, by the recommendation's objective; ``None`` when that is not known any more.
            A configuration that was run several times counts with the mean of its runs.
        winner_regret: The same of the winner; ``regret_bound90`` is what its certificate promised.
    """

    confirmed: str
    recommendation_id: str
    model: str
    target_gpu: str
    engine: str
    n_gpus: int
    batch_size: int
    predicted: float
    low: float
    high: float
    realised: float | None
    error: float | None
    is_inside: bool | None
    regret: float | None
    runs: int
    winner_regret: float | None
    regret_bound90: float | None


def entry_of(
    document: Mapping[str, Any], made: Recommendation | None, known: Sequence[RunRecord]
) -> Entry:
    """Return a confirmation's line.

    Args:
        made: The recommendation, while its file is there.
        known: Runs of the model that the store holds, those of the confirmation among them.
    """
    first = document["runs"][0]
    run = Candidate.from_dict(first["predicted"])
    prediction = made.best if made is not None and _is_same(made.best, run) else run
    realised = first["measured"]["output_throughput"] if first["error"] is not None else None
    values = {} if made is None else _values(made, known)
    winner = document["winner"]
    certificate = document.get("certificate")
    return Entry(
        confirmed=document["session_id"],
        recommendation_id=document["recommendation_id"],
        model=document["model"],
        target_gpu=document["target_gpu"],
        engine=run.engine,
        n_gpus=run.n_gpus,
        batch_size=run.batch_size,
        predicted=prediction.output_throughput,
        low=prediction.low,
        high=prediction.high,
        realised=realised,
        error=None if realised is None else realised / prediction.output_throughput - 1,
        is_inside=None if realised is None else prediction.low <= realised <= prediction.high,
        regret=_regret(values, run) if realised is not None else 1.0 if values else None,
        runs=len(document["runs"]),
        winner_regret=None if winner is None else _regret(values, Candidate.from_dict(winner)),
        regret_bound90=None if certificate is None else certificate["regret_bound90"],
    )


def worth(made: Recommendation) -> dict[tuple[object, ...], float]:
    """Return what a token/s of each configuration considered is worth in the objective."""
    query = made.query
    return {
        cell(
            Configuration(
                engine=candidate.engine,
                model=query.model,
                gpu=made.target_gpu,
                n_gpus=candidate.n_gpus,
                batch_size=candidate.batch_size,
                input_len=query.workload.input_len,
                output_len=query.workload.output_len,
                mode=query.workload.mode,
                quantization=query.quantization,
            )
        ): _per_token(candidate, query.objective)
        for candidate in made.landscape
    }


def _values(made: Recommendation, known: Sequence[RunRecord]) -> dict[Place, float]:
    """Return what each measured configuration considered brings: the mean of its runs."""
    per_token = worth(made)
    brought = defaultdict(list)
    for run in known:
        counts = run.is_measured and not run.suspect and cell(run) in per_token
        if counts and may_be_same_format(made.query.dtype, run.dtype):
            brought[place_of(run)].append(per_token[cell(run)] * (run.output_throughput or 0.0))
    return {place: statistics.fmean(values) for place, values in brought.items()}


def _per_token(candidate: Candidate, objective: str) -> float:
    return score(candidate, objective) / candidate.output_throughput


def _regret(values: Mapping[Place, float], candidate: Candidate) -> float | None:
    reached = values.get(place_of(candidate))
    return None if reached is None else 1 - reached / max(values.values())


def _is_same(one: Candidate, other: Candidate) -> bool:
    return place_of(one) == place_of(other)
