"""A few real runs on the target: each moves the predictions, the next is chosen from them.

The kept configuration is always among the first three, so the answer is never worse than it.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol

from autotune.errors import InvalidConfigError, UnknownGpuError, UnknownModelError
from autotune.gpus import find_gpu
from autotune.models import find_model
from autotune.records import Configuration, RunRecord
from recommender.acquisition import expected_improvement
from recommender.candidates import Candidate, cell, enumerate_configurations
from recommender.confirmation import Confirmation, ConfirmedRun
from recommender.predictor import Predictor
from recommender.pricing import price
from recommender.query import Query
from recommender.recommend import Recommendation, rank, score


class Device(Protocol):
    """Whatever runs a configuration: this host, or recorded runs."""

    def can_run(self, configuration: Configuration) -> bool:
        """Whether a run of it is to be had."""

    def run(self, configuration: Configuration) -> RunRecord:
        """Run it; a failure is a record too."""


class Replay:
    """Recorded runs as the measuring device."""

    def __init__(self, records: Sequence[RunRecord]) -> None:
        self._runs: dict[tuple[object, ...], RunRecord] = {}
        for record in records:
            if not record.suspect:
                self._runs.setdefault(cell(_canonical(record)), record)

    def can_run(self, configuration: Configuration) -> bool:
        """Whether it was recorded."""
        return cell(configuration) in self._runs

    def run(self, configuration: Configuration) -> RunRecord:
        """Return the recorded run as a confirmatory one."""
        found = _canonical(self._runs[cell(configuration)])
        return dataclasses.replace(found, purpose="confirm", run_key=None)


def confirm(
    recommendation: Recommendation,
    device: Device,
    predictor: Predictor,
    known: Sequence[RunRecord] = (),
    *,
    runs: int = 3,
    on_run: Callable[[RunRecord], None] | None = None,
) -> Confirmation:
    """Run up to ``runs`` configurations of a recommendation and name the winner.

    Args:
        known: Runs known of this model before.
        on_run: Called with each record as soon as it is there (the journal).

    Raises:
        InvalidConfigError: When the device can run none of the configurations.
    """
    query = recommendation.query
    questions = _runnable(query, recommendation.target_gpu, device)
    evidence = list(known)
    done: list[ConfirmedRun] = []
    for _ in range(runs):
        candidates = price(questions, predictor, evidence, query)
        chosen = _choose(recommendation, candidates, done)
        if chosen is None:
            break
        role, index = chosen
        record = device.run(questions[index])
        if on_run is not None:
            on_run(record)
        evidence.append(record)
        done.append(_confirmed(role, candidates[index], record))
    candidates = price(questions, predictor, evidence, query)
    tried = {_place(run.predicted) for run in done}
    measured = [c for c in candidates if _place(c) in tried and c.is_feasible]
    winner = rank(measured, query)[0] if measured else None
    return Confirmation(
        recommendation=recommendation,
        runs=tuple(done),
        winner=winner,
        remaining=_better(candidates, tried, winner, query),
    )


def _runnable(query: Query, target_gpu: str, device: Device) -> list[Configuration]:
    profile, gpu = find_model(query.model), find_gpu(target_gpu)
    everything = enumerate_configurations(query, profile, gpu)
    questions = [configuration for configuration in everything if device.can_run(configuration)]
    if not questions:
        work = query.workload
        raise InvalidConfigError(
            f"none of the {len(everything)} configurations of {query.model} on {target_gpu} with "
            f"{work.input_len}/{work.output_len} tokens can be run or replayed here"
        )
    return questions


def _choose(
    recommendation: Recommendation, candidates: Sequence[Candidate], done: Sequence[ConfirmedRun]
) -> tuple[str, int] | None:
    """Return role and index of the next run.

    First what was recommended, then the kept configuration, then the largest expected improvement.
    """
    objective = recommendation.query.objective
    tried = {_place(run.predicted) for run in done}
    open_ = {_place(c): i for i, c in enumerate(candidates) if _place(c) not in tried}
    feasible = [i for i in open_.values() if candidates[i].is_feasible]
    if not done and feasible:
        best = _place(recommendation.best)
        if best in open_:
            return "recommended", open_[best]
        ranked = rank([candidates[i] for i in feasible], recommendation.query)
        return "recommended", open_[_place(ranked[0])]
    keep = recommendation.keep_source
    if keep is not None and _place(keep) in open_:
        return "kept", open_[_place(keep)]
    if not feasible:
        return None
    return "challenger", max(
        feasible, key=lambda i: _gain(candidates[i], candidates, tried, objective)
    )


def _gain(
    candidate: Candidate,
    candidates: Sequence[Candidate],
    tried: set[tuple[str, int, int]],
    objective: str,
) -> float:
    """Return the expected improvement of the objective over the best that was run."""
    ran = [score(c, objective) for c in candidates if _place(c) in tried and c.is_feasible]
    scale = candidate.output_throughput / score(candidate, objective)
    return expected_improvement(candidate, max(ran, default=0.0) * scale) / scale


def _confirmed(role: str, predicted: Candidate, record: RunRecord) -> ConfirmedRun:
    measured = record.output_throughput if record.is_measured else None
    error = None if measured is None else measured / predicted.output_throughput - 1
    return ConfirmedRun(role=role, predicted=predicted, record=record, error=error)


def _better(
    candidates: Sequence[Candidate],
    tried: set[tuple[str, int, int]],
    winner: Candidate | None,
    query: Query,
) -> Candidate | None:
    rest = [c for c in candidates if _place(c) not in tried and c.is_feasible]
    if winner is None or not rest:
        return None
    first = max(rest, key=lambda c: score(c, query.objective))
    beats = score(first, query.objective) > score(winner, query.objective) * (1 + query.tolerance)
    return first if beats else None


def _place(candidate: Candidate) -> tuple[str, int, int]:
    return (candidate.engine, candidate.n_gpus, candidate.batch_size)


def _canonical(record: RunRecord) -> RunRecord:
    """Return the record under catalogue names; as it is when the catalogue does not know them."""
    try:
        model, gpu = find_model(record.model).name, find_gpu(record.gpu).name
    except (UnknownModelError, UnknownGpuError):
        return record
    return dataclasses.replace(record, model=model, gpu=gpu, run_key=None)
