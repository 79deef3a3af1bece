"""The cases of an evaluation: what is hidden, what is known, and which rows are the landscape.

A case is one model on one target GPU in one harness. Its candidates are the (n_gpus, batch_size)
cells of the workload with most cells (of these, the one with the fewest generated tokens).
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from autotune.schema.record import RunRecord
from recommender.features.placement import replicas_of
from recommender.features.table import is_catalogued

Protocol = Literal["migration", "leave-gpu-out", "leave-model-out"]
PROTOCOLS: Final = ("migration", "leave-gpu-out", "leave-model-out")
MODEL_FOLDS: Final = 3
FEWEST_CELLS: Final = 4
_FAILED: Final = ("out_of_memory", "load_failed", "crashed", "timed_out")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One landscape to find the best configuration of.

    Attributes:
        source_gpu: Where the user comes from; None under leave-model-out.
        candidates: One row a (n_gpus, batch_size) cell on the target, completed or failed.
        target_rows: All rows of the model on the target in this harness, for the errors.
        source_rows: The model's rows on the source GPU in this harness.
        fold: Names the fit that has not seen what this case hides.
    """

    harness: str
    engine: str
    model: str
    source_gpu: str | None
    target_gpu: str
    candidates: list[RunRecord]
    target_rows: list[RunRecord]
    source_rows: list[RunRecord]
    fold: tuple[str, str]


def scorable(records: Sequence[RunRecord], engine: str) -> list[RunRecord]:
    """Return the rows of an engine (or "all") that may score: not suspect, not confirmatory.

    Replicas are left out: a landscape is what one of them can be configured as.
    """
    return [
        record
        for record in records
        if not record.suspect
        and record.purpose != "confirm"
        and engine in ("all", record.engine)
        and (record.is_measured or record.status in _FAILED)
        and is_catalogued(record)
        and replicas_of(record) == 1
    ]


def cases_of(records: Sequence[RunRecord], protocol: Protocol, engine: str) -> list[Case]:
    """Return the cases of a protocol, in a fixed order."""
    groups: dict[tuple[str, str, str, str], dict[str, list[RunRecord]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for record in scorable(records, engine):
        key = (record.source, record.engine, record.mode, record.model)
        groups[key][record.gpu].append(record)
    cases = []
    for key, by_gpu in sorted(groups.items()):
        for target in sorted(by_gpu):
            for source in _sources(protocol, by_gpu, target):
                case = _case(protocol, key, by_gpu, source, target)
                if case is not None:
                    cases.append(case)
    return cases


def hides(protocol: Protocol, fold: tuple[str, str], record: RunRecord) -> bool:
    """Return whether a fold's fit must not see a record."""
    gpu, models = fold
    if protocol == "leave-gpu-out":
        return record.gpu == gpu
    in_fold = model_fold(record.model) == models
    return in_fold if protocol == "leave-model-out" else in_fold and record.gpu == gpu


def model_fold(model: str) -> str:
    """Return the fold of a model, by the hash of its name."""
    return str(int(hashlib.sha256(model.encode()).hexdigest(), 16) % MODEL_FOLDS)


def _sources(
    protocol: Protocol, by_gpu: dict[str, list[RunRecord]], target: str
) -> list[str | None]:
    """Return the source GPUs to come from: every other, the best known other, or none."""
    others = sorted(gpu for gpu in by_gpu if gpu != target)
    if protocol == "migration":
        return list(others)
    if protocol == "leave-model-out" or not others:
        return [None]
    return [max(others, key=lambda gpu: (len(by_gpu[gpu]), gpu))]


def _case(
    protocol: Protocol,
    key: tuple[str, str, str, str],
    by_gpu: dict[str, list[RunRecord]],
    source: str | None,
    target: str,
) -> Case | None:
    """Return the case, or None where the landscape is too small to choose in."""
    harness, engine, _, model = key
    candidates = principal_cells(by_gpu[target])
    if len(candidates) < FEWEST_CELLS or not any(row.is_measured for row in candidates):
        return None
    gpu = "" if protocol == "leave-model-out" else target
    models = "" if protocol == "leave-gpu-out" else model_fold(model)
    return Case(
        harness=harness,
        engine=engine,
        model=model,
        source_gpu=source,
        target_gpu=target,
        candidates=candidates,
        target_rows=by_gpu[target],
        source_rows=by_gpu[source] if source else [],
        fold=(gpu, models),
    )


def principal_cells(rows: Sequence[RunRecord]) -> list[RunRecord]:
    """Return one row a cell of the workload with most cells, the middle one of repeated runs."""
    workloads: dict[tuple[object, ...], dict[tuple[int, int], list[RunRecord]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for row in rows:
        workload = (row.input_len, row.output_len, row.dtype, row.quantization, row.engine_version)
        workloads[workload][(row.n_gpus, row.batch_size)].append(row)
    chosen = max(
        workloads,
        key=lambda w: (len(workloads[w]), -int(str(w[1] or 0)), -int(str(w[0] or 0)), str(w)),
    )
    return [_middle(repeats) for _, repeats in sorted(workloads[chosen].items())]


def _middle(repeats: Sequence[RunRecord]) -> RunRecord:
    return sorted(repeats, key=score)[(len(repeats) - 1) // 2]


def score(record: RunRecord) -> float:
    """Return tokens/s, 0 for a configuration that failed."""
    return float(record.output_throughput or 0.0) if record.is_measured else 0.0


def best_cell(rows: Sequence[RunRecord]) -> tuple[int, int]:
    """Return (n_gpus, batch_size) of the fastest row."""
    top = max(rows, key=score)
    return (top.n_gpus, top.batch_size)


def popular_cell(landscapes: Sequence[Sequence[RunRecord]]) -> tuple[int, int] | None:
    """Return the cell that is the best most often; of equally frequent ones the smallest."""
    counts = Counter(best_cell(rows) for rows in landscapes)
    if not counts:
        return None
    return max(counts, key=lambda cell: (counts[cell], -cell[0], -cell[1]))
