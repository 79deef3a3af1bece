"""RunRecords as a training set: what may be learned from, what is set aside and why."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autotune.schema.record import RunRecord
from autotune.store.sampling import landscape_of
from recommender.features.placement import run_of_one_replica
from recommender.features.roofline import peak_throughput
from recommender.features.table import Array, ConfigurationTable, collect, is_catalogued

PEAK_MARGIN: Final = 1.1
OVERFLOW_MARGIN: Final = 1.2
FULL_WEIGHT_ROWS: Final = 24.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Measured rows that may be learned from.

    Attributes:
        records: n rows.
        inputs: Their numbers.
        log_throughput: Natural log of the measured tokens/s, shape (n,).
        source: Index of who measured into ``sources``, shape (n,).
        weight: So that no source or landscape drowns the others, shape (n,).
        failures: Rows that failed for lack of memory, for the feasibility model.
        set_aside: Rows not learned from, by reason.
    """

    records: list[RunRecord]
    inputs: ConfigurationTable
    log_throughput: Array
    source: NDArray[np.int64]
    sources: tuple[str, ...]
    weight: Array
    failures: list[RunRecord]
    set_aside: Mapping[str, int]

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "Dataset":
        """Return a part of the measured rows, with their weights anew; failures stay."""
        index = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        records = [self.records[i] for i in index]
        return Dataset(
            records=records,
            inputs=self.inputs.take(index),
            log_throughput=self.log_throughput[index],
            source=self.source[index],
            sources=self.sources,
            weight=weights(records),
            failures=self.failures,
            set_aside=self.set_aside,
        )


def prepare(records: Sequence[RunRecord]) -> Dataset:
    """Sort records into measured rows, memory failures and rows set aside.

    Of replicas behind one server, one is kept.
    """
    reasons: Counter[str] = Counter()
    measured: list[RunRecord] = []
    failures: list[RunRecord] = []
    for record in records:
        reason = _reason(record)
        if reason is None:
            measured.append(run_of_one_replica(record))
        else:
            reasons[reason] += 1
            if reason == OUT_OF_MEMORY:
                failures.append(run_of_one_replica(record))
    inputs = collect(measured)
    throughput = np.array([float(record.output_throughput or 0.0) for record in measured])
    slow_enough = throughput <= PEAK_MARGIN * peak_throughput(inputs)
    overflow = inputs["memory_total_gb"] > OVERFLOW_MARGIN * inputs["memory_available_gb"]
    fits = inputs.is_engine("hf") | ~overflow
    reasons["beats the roofline's peak"] += int((~slow_enough).sum())
    reasons["does not fit the GPUs named"] += int((slow_enough & ~fits).sum())
    possible = slow_enough & fits
    kept = [record for record, ok in zip(measured, possible, strict=True) if ok]
    sources = tuple(sorted({record.source for record in kept}))
    return Dataset(
        records=kept,
        inputs=inputs.take(possible),
        log_throughput=np.log(throughput[possible]),
        source=np.array([sources.index(record.source) for record in kept], dtype=np.int64),
        sources=sources,
        weight=weights(kept),
        failures=failures,
        set_aside=dict(sorted(item for item in reasons.items() if item[1])),
    )


OUT_OF_MEMORY: Final = "out of memory (kept for feasibility)"


def _reason(record: RunRecord) -> str | None:
    """Return why a record is not a measured row; None when it is one."""
    if record.suspect:
        return "suspect"
    if not is_catalogued(record):
        return "model, GPU or format not in the catalogue"
    if record.status == "out_of_memory":
        return OUT_OF_MEMORY
    if not record.is_measured:
        return "not measured"
    return "fewer requests offered than it could take" if record.is_throttled else None


def weights(records: Sequence[RunRecord]) -> Array:
    """Return row weights, shape (n,): a landscape of m rows weighs like min(m, 24) of them."""
    sizes = Counter(landscape_of(record) for record in records)
    return np.array([min(1.0, FULL_WEIGHT_ROWS / sizes[landscape_of(r)]) for r in records])
