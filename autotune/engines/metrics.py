"""From timed passes to the metrics of a RunRecord.

Definitions: output throughput is generated tokens over wall time, prefill included; TTFT counts
from the moment the batch was handed over; TPOT is (E2EL - TTFT) / (n - 1) per request with n >= 2
generated tokens, as vLLM defines it; ITL are the gaps between streamed chunks, pooled over the
requests; E2EL ends with the last token. Goodput counts the requests that met every latency limit.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from autotune.schema.workload import Slo

# Two-sided 95 % quantiles of Student's t for 1..30 degrees of freedom, and of the normal beyond.
_T95 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
_Z95 = 1.959964


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestTiming:
    """One request; times in milliseconds from when it was sent.

    Attributes:
        itl_ms: Gaps between the chunks as they were streamed; empty where they were not seen.
    """

    ttft_ms: float
    e2el_ms: float
    n_output: int
    itl_ms: tuple[float, ...] = ()

    @property
    def tpot_ms(self) -> float | None:
        """Milliseconds a token after the first; ``None`` where there is no second."""
        if self.n_output < 2:
            return None
        return (self.e2el_ms - self.ttft_ms) / (self.n_output - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One batch run from hand-over to last token.

    Attributes:
        requests: Timings where the engine gives them; may be empty.
    """

    duration_s: float
    n_requests: int
    input_tokens: int
    output_tokens: int
    requests: tuple[RequestTiming, ...] = ()


def relative_ci95(values: Sequence[float]) -> float | None:
    """Half width of the mean's 95 % confidence interval, relative to the mean; needs 2 values."""
    n = len(values)
    if n < 2:
        return None
    error = statistics.stdev(values) / math.sqrt(n)
    return _t95(n - 1) * error / statistics.fmean(values)


def _t95(degrees: int) -> float:
    """Student's t; beyond the table by the first terms of its expansion around the normal."""
    if degrees <= len(_T95):
        return _T95[degrees - 1]
    return _Z95 + (_Z95**3 + _Z95) / (4 * degrees)


def output_throughputs(passes: Sequence[Pass]) -> list[float]:
    """Generated tokens per second of each pass."""
    return [p.output_tokens / p.duration_s for p in passes]


def summarize(passes: Sequence[Pass], slo: Slo | None = None) -> dict[str, float | int | None]:
    """Return the metric fields of a RunRecord for repeated passes of one shape.

    Throughputs are means over the passes; latencies pool the requests of all passes.

    Args:
        slo: Latency limits; without one there is no goodput.

    Raises:
        ValueError: For no passes, or one that generated nothing.
    """
    if not passes or any(p.output_tokens == 0 for p in passes):
        raise ValueError("a pass without generated tokens has no throughput")
    throughputs = output_throughputs(passes)
    row: dict[str, float | int | None] = {
        "output_throughput": statistics.fmean(throughputs),
        "total_throughput": statistics.fmean(
            (p.input_tokens + p.output_tokens) / p.duration_s for p in passes
        ),
        "request_throughput": statistics.fmean(p.n_requests / p.duration_s for p in passes),
        "throughput_ci95": relative_ci95(throughputs),
        "repeats": len(passes),
        "measure_s": sum(p.duration_s for p in passes),
    }
    requests = [r for p in passes for r in p.requests]
    row |= latency_statistics("ttft", [r.ttft_ms for r in requests])
    row |= latency_statistics("tpot", [r.tpot_ms for r in requests if r.tpot_ms is not None])
    row |= latency_statistics("itl", [gap for r in requests for gap in r.itl_ms])
    row |= latency_statistics("e2el", [r.e2el_ms for r in requests])
    if slo is not None and slo.is_set and requests:
        good = sum(meets(r, slo) for r in requests)
        row["request_goodput"] = good / sum(p.duration_s for p in passes)
    return row


def mean_lengths(passes: Sequence[Pass]) -> dict[str, float]:
    """Return the mean prompt and generated tokens of a request, as they really were."""
    n = sum(p.n_requests for p in passes)
    return {
        "mean_input_tokens": round(sum(p.input_tokens for p in passes) / n, 1),
        "mean_output_tokens": round(sum(p.output_tokens for p in passes) / n, 1),
    }


def meets(request: RequestTiming, slo: Slo) -> bool:
    """Whether a request met every limit; one of a single token has no TPOT to miss."""
    in_time = slo.max_ttft_ms is None or request.ttft_ms <= slo.max_ttft_ms
    tpot = request.tpot_ms
    return in_time and (slo.max_tpot_ms is None or tpot is None or tpot <= slo.max_tpot_ms)


def latency_statistics(metric: str, values: Sequence[float]) -> dict[str, float]:
    """Return mean, median and 99th percentile of a metric in ms; nothing for no values."""
    if not values:
        return {}
    return {
        f"mean_{metric}_ms": statistics.fmean(values),
        f"median_{metric}_ms": statistics.median(values),
        f"p99_{metric}_ms": percentile(values, 99),
    }


def percentile(values: Sequence[float], q: float) -> float:
    """Percentile (``q`` in 0..100) of one value or more, linear between ranks as in numpy."""
    ordered = sorted(values)
    position = (len(ordered) - 1) * q / 100
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)
