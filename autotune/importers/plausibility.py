"""The checks that every imported row passes, whatever its format.

A row is refused when it repeats an earlier one, when its measures cannot be (a 99th percentile
below the median, more generated than total tokens), or when its throughput contradicts its
latency: with ``batch_size`` sequences in flight, each of ``output_len`` tokens in ``e2el``
(or ``ttft + tpot x (output_len - 1)``) milliseconds, the output throughput is their product. In
RunRecords ``batch_size`` may be a cap that was not filled: there only more than that contradicts.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from autotune.importers.base import ImportResult, Place, Rejection
from autotune.schema.record import RunRecord

# A throughput may differ by this much from what its latency says.
TOLERANCE: Final = 0.20
# Rounding of printed figures.
_SLACK: Final = 1.001
OWN_SOURCE: Final = "autotune"
# Keys of a record's environment that say how full the closed loop was.
REQUESTS: Final = "completed_requests"
IN_FLIGHT: Final = "mean_requests_in_flight"


def screen(result: ImportResult, path: Path, *, may_be_cap: bool = False) -> ImportResult:
    """Return the result with the rows that fail a check among the rejected.

    Args:
        may_be_cap: Whether ``batch_size`` may be a limit that the run did not fill.
    """
    places = result.places or [
        Place(file=path, line=row) for row in range(1, len(result.records) + 1)
    ]
    screened = ImportResult(rejected=list(result.rejected))
    seen: dict[str, Place] = {}
    for record, place in zip(result.records, places, strict=True):
        first = seen.get(record.record_id)
        reason = _repeated(first) if first else fault(record, may_be_cap=may_be_cap)
        if reason is None:
            seen[record.record_id] = place
            screened.records.append(record)
            screened.places.append(place)
        else:
            screened.rejected.append(
                Rejection(line=place.line, reason=reason, row=record.to_dict(), file=place.file)
            )
    return screened


def _repeated(first: Place) -> str:
    return (
        f"duplicate key: the same configuration, time and session as {first.file.name} line "
        f"{first.line}"
    )


def fault(record: RunRecord, *, may_be_cap: bool = False) -> str | None:
    """Return why a record cannot be taken, or ``None``.

    Failed configurations have no measures, and what is marked suspect is kept as just that.
    """
    if record.status != "completed" or record.suspect:
        return None
    reason = _disorder(record) or _excess(record)
    return reason or _contradiction(record, may_be_cap=may_be_cap)


def _disorder(record: RunRecord) -> str | None:
    for metric in ("ttft", "tpot", "itl", "e2el"):
        median = getattr(record, f"median_{metric}_ms")
        p99 = getattr(record, f"p99_{metric}_ms")
        if median is not None and p99 is not None and median > p99 * _SLACK:
            return f"impossible: median_{metric}_ms={median:g} is above p99_{metric}_ms={p99:g}"
    first, whole = record.mean_ttft_ms, record.mean_e2el_ms
    if first is not None and whole is not None and first > whole * _SLACK:
        return f"impossible: mean_ttft_ms={first:g} is above mean_e2el_ms={whole:g}"
    return None


def _excess(record: RunRecord) -> str | None:
    output, total = record.output_throughput, record.total_throughput
    if output is not None and total is not None and output > total * _SLACK:
        return f"impossible: output_throughput={output:g} is above total_throughput={total:g}"
    return None


def _contradiction(record: RunRecord, *, may_be_cap: bool) -> str | None:
    """Compare throughput and latency of a closed loop.

    Own runs are left alone: their ``batch_size`` is a cap that the last requests do not fill. So
    are runs at a request rate, where the rate and not the cap bounds what is in flight.
    """
    if record.source == OWN_SOURCE or record.is_throttled:
        return None
    latency = request_latency_ms(record)
    if latency is None or record.output_throughput is None or record.output_len is None:
        return None
    full = record.batch_size * record.output_len / latency * 1000
    share = 0.0 if may_be_cap else _share_in_flight(record.batch_size, record.environment)
    least = full * share
    if least / (1 + TOLERANCE) <= record.output_throughput <= full * (1 + TOLERANCE):
        return None
    return (
        f"output_throughput={record.output_throughput:.4g} contradicts its latency: "
        f"{record.batch_size} in flight x {record.output_len} tokens / {latency:.4g} ms "
        f"= {full:.4g} tok/s, more than {TOLERANCE:.0%} away"
    )


def request_latency_ms(record: RunRecord) -> float | None:
    """Return the mean time of a request: measured, or TTFT + TPOT x (n - 1)."""
    if record.mean_e2el_ms is not None:
        return record.mean_e2el_ms
    step = record.mean_tpot_ms if record.mean_tpot_ms is not None else record.mean_itl_ms
    if record.mean_ttft_ms is None or step is None or record.output_len is None:
        return None
    return record.mean_ttft_ms + step * (record.output_len - 1)


def _share_in_flight(batch_size: int, environment: Mapping[str, Any]) -> float:
    """Return the share of ``batch_size`` that was in flight on average.

    The tool measured it, or it follows from a last wave of requests that is not full.
    """
    measured = environment.get(IN_FLIGHT)
    if isinstance(measured, int | float) and measured > 0:
        return min(1.0, measured / batch_size)
    requests = environment.get(REQUESTS)
    if not isinstance(requests, int) or requests < 1:
        return 1.0
    return requests / (math.ceil(requests / batch_size) * batch_size)
