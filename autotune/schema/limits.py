"""What a record is worth under latency limits, which are held against its mean latencies."""

from collections.abc import Iterable

from autotune.schema.record import RunRecord
from autotune.schema.workload import Slo

# A failure counts as missing the limits by more than any run that completed can.
_FAILED, _WORST = 1e6, 1e3


def describe_limits(slo: Slo) -> str:
    """Return the limits in words."""
    limits = {"TTFT": slo.max_ttft_ms, "TPOT": slo.max_tpot_ms}
    return ", ".join(f"mean {k} up to {v:g} ms" for k, v in limits.items() if v is not None)


def excess(record: RunRecord, slo: Slo) -> float:
    """Return by how much the means miss the limits, as shares of them, summed; 0 meets them all.

    An unmeasured latency cannot be shown to meet its limit and counts as the worst miss.
    """
    pairs = ((record.mean_ttft_ms, slo.max_ttft_ms), (record.mean_tpot_ms, slo.max_tpot_ms))
    return sum(
        _WORST / 2 if measured is None else min(max(measured / limit - 1, 0.0), _WORST / 2)
        for measured, limit in pairs
        if limit is not None
    )


def meets(record: RunRecord, slo: Slo) -> bool:
    """Whether it completed with a throughput and within the limits."""
    return record.is_measured and excess(record, slo) == 0


def score(record: RunRecord, slo: Slo) -> float:
    """Return tok/s where the limits are met; below zero, by how far they are missed, where not."""
    if not record.is_measured or record.output_throughput is None:
        return -_FAILED
    missed = excess(record, slo)
    return record.output_throughput if missed == 0 else -missed


def best_of(records: Iterable[RunRecord], slo: Slo) -> RunRecord | None:
    """Return the fastest record that meets the limits."""
    good = [record for record in records if meets(record, slo)]
    return max(good, key=lambda record: record.output_throughput or 0.0, default=None)
