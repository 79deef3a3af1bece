"""Two scrapes of vLLM's /metrics become the load that it served between them.

The names are those of vLLM 0.26 and 0.32 (``vllm/v1/metrics/loggers.py``), which are the same; the
names that a metric had before stand behind. Each engine of a data-parallel server has series of its
own, told apart by the label ``engine``: they are summed.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from autotune.errors import InvalidRecordError
from autotune.importers.scrapes.exposition import Sample, parse_exposition
from autotune.schema.served_load import ServedLoad

# It has counted since the first request, in every version, once an engine.
_ANCHOR: Final = "vllm:generation_tokens_total"
_PROMPT, _GENERATED = "vllm:request_prompt_tokens", "vllm:request_generation_tokens"
_ITL: Final = ("vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds")
_HITS: Final = ("vllm:prefix_cache_hits_total", "vllm:gpu_prefix_cache_hits_total")
_QUERIES: Final = ("vllm:prefix_cache_queries_total", "vllm:gpu_prefix_cache_queries_total")
_KV_USAGE: Final = ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc")
# They say when a process, or its counters, began; a server with several processes has neither.
_BIRTHS: Final = ("process_start_time_seconds", "vllm:generation_tokens_created")
_MS: Final = 1000.0
_ABSURD: Final = 1e18

Key = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrape:
    """What one look at a server showed.

    Attributes:
        origin: What to call it in a sentence.
        series: Name of a metric -> the labels of each of its series -> the value.
        models: Names of the models that the engines serve.
        engines: Labels of the engines, an entry for each series of theirs.
    """

    origin: str
    series: Mapping[str, Mapping[Key, float]]
    models: frozenset[str]
    engines: tuple[str, ...]

    def values(self, *names: str) -> Mapping[Key, float] | None:
        """Return the series of the first of these names that is there."""
        return next((self.series[name] for name in names if name in self.series), None)


def read_scrape(text: str, origin: str) -> Scrape:
    """Read what one server's /metrics answered.

    Raises:
        InvalidRecordError: When it is of no vLLM server, or of several.
    """
    try:
        samples = parse_exposition(text)
    except InvalidRecordError as error:
        raise InvalidRecordError(f"{origin}: {error}; {_HOW}") from None
    anchors = [sample.labels for sample in samples if sample.name == _ANCHOR]
    if not anchors:
        raise InvalidRecordError(f"{origin} shows no metrics of vLLM ({_ANCHOR}): {_HOW}")
    models = frozenset(labels.get("model_name", "?") for labels in anchors)
    engines = tuple(sorted(labels.get("engine", "0") for labels in anchors))
    if len(models) > 1 or len(set(engines)) < len(engines):
        raise InvalidRecordError(
            f"{origin} shows more than one server ({', '.join(sorted(models))}): scrape the "
            "/metrics of one alone"
        )
    return Scrape(origin=origin, series=_by_name(samples), models=models, engines=engines)


_HOW: Final = "save what a vLLM server answers at /metrics, as by `curl -s URL/metrics > FILE`"


def _by_name(samples: Iterable[Sample]) -> Mapping[str, Mapping[Key, float]]:
    """Return the series; what is no number, or none that a server can have counted, is left out."""
    series: defaultdict[str, dict[Key, float]] = defaultdict(dict)
    for sample in samples:
        if abs(sample.value) < _ABSURD:
            series[sample.name][tuple(sorted(sample.labels.items()))] = sample.value
    return dict(series)


def served_between(first: Scrape, second: Scrape, window_s: float, window_by: str) -> ServedLoad:
    """Return the load between two scrapes of one server.

    Args:
        window_s: Time between them.
        window_by: Who says so, as ``ServedLoad`` has it.

    Raises:
        InvalidRecordError: When they are of two servers, one and the same, or nothing ended
            between them.
    """
    check_pair(first, second)
    seen = _Difference(first, second)
    n_requests = round(seen.rise(f"{_GENERATED}_count") or 0)
    lengths = [seen.mean(name) for name in (_PROMPT, _GENERATED)]
    if n_requests < 1 or not all(lengths):
        raise InvalidRecordError(
            f"no request ended between {first.origin} and {second.origin}: scrape while it serves, "
            "further apart"
        )
    input_len, output_len = (length or 0.0 for length in lengths)
    generated, prompt = seen.rise(_ANCHOR), seen.rise("vllm:prompt_tokens_total")
    stay_s = seen.rise("vllm:e2e_request_latency_seconds_sum")
    same = first.origin == second.origin
    return ServedLoad(
        origin=first.origin if same else f"{first.origin} and {second.origin}",
        served_model=min(first.models),
        n_engines=len(first.engines),
        window_s=window_s,
        window_by=window_by,
        n_requests=n_requests,
        finished=seen.rise_by("vllm:request_success_total", "finished_reason"),
        input_len=input_len,
        output_len=output_len,
        output_throughput=_over(generated, window_s),
        total_throughput=_over(
            None if generated is None or prompt is None else generated + prompt, window_s
        ),
        request_throughput=n_requests / window_s,
        in_flight=_over(stay_s, window_s),
        running=seen.level("vllm:num_requests_running"),
        waiting=seen.level("vllm:num_requests_waiting"),
        kv_cache_usage=_over(seen.level(*_KV_USAGE), len(first.engines)),
        prefix_hit_rate=_over(seen.rise(*_HITS), seen.rise(*_QUERIES)),
        preemptions=_whole(seen.rise("vllm:num_preemptions_total")),
        mean_ttft_ms=_times(seen.mean("vllm:time_to_first_token_seconds")),
        mean_tpot_ms=_times(seen.mean_tpot()),
        mean_itl_ms=_times(seen.mean(*_ITL)),
        mean_e2el_ms=_times(seen.mean("vllm:e2e_request_latency_seconds")),
        mean_queue_ms=_times(seen.mean("vllm:request_queue_time_seconds")),
    )


def check_pair(first: Scrape, second: Scrape) -> None:
    """Refuse two scrapes that are not of one server, the second after the first.

    Raises:
        InvalidRecordError: Saying what is unlike.
    """
    if first.series == second.series:
        raise InvalidRecordError(
            f"{first.origin} and {second.origin} are the same scrape: take the second some time "
            "after the first"
        )
    unlike = _what_is_unlike(first, second)
    if unlike:
        raise InvalidRecordError(
            f"{first.origin} and {second.origin} are of two servers, or of one that was started "
            f"again ({unlike}): scrape one server twice while it runs"
        )
    fallen = _fallen(first, second)
    if fallen:
        raise InvalidRecordError(
            f"{fallen} falls from {first.origin} to {second.origin}: give the earlier scrape "
            "first, both of one server that ran all the while"
        )


def _what_is_unlike(first: Scrape, second: Scrape) -> str | None:
    if first.models != second.models:
        return f"they serve {min(first.models)} and {min(second.models)}"
    if first.engines != second.engines:
        return f"they have {len(first.engines)} and {len(second.engines)} engines"
    for name in _BIRTHS:
        born, other = first.values(name), second.values(name)
        if born is not None and other is not None and born != other:
            return f"{name} differs"
    return None


def _fallen(first: Scrape, second: Scrape) -> str | None:
    """Return a counter that fell or is gone; sums of seconds may, when a clock is set."""
    for name, series in first.series.items():
        if name.startswith("vllm:") and name.endswith(("_total", "_count")):
            later = second.series.get(name, {})
            if any(later.get(key, 0.0) < value for key, value in series.items()):
                return name
    return None


class _Difference:
    """What rose between two scrapes, over all engines."""

    def __init__(self, first: Scrape, second: Scrape) -> None:
        self._first, self._second = first, second

    def rise(self, *names: str) -> float | None:
        """Return by how much the first of these counters that is there rose."""
        after = self._second.values(*names)
        if after is None:
            return None
        return sum(after.values()) - sum((self._first.values(*names) or {}).values())

    def rise_by(self, name: str, label: str) -> dict[str, int]:
        """Return the rise of a counter for each value of a label."""
        rises: dict[str, int] = {}
        before = self._first.values(name) or {}
        for key, value in (self._second.values(name) or {}).items():
            what = dict(key).get(label, "")
            rises[what] = rises.get(what, 0) + round(value - before.get(key, 0.0))
        return rises

    def mean(self, *histograms: str) -> float | None:
        """Return the mean of what a histogram was given meanwhile."""
        total = self.rise(*(f"{name}_sum" for name in histograms))
        return _over(total, self.rise(*(f"{name}_count" for name in histograms)))

    def mean_tpot(self) -> float | None:
        """Return the mean of the requests' mean seconds an output token after the first.

        A request of one token has none, and vLLM puts it down as 0 s; the lowest bucket of the
        generated tokens says how many these are.
        """
        name = "vllm:request_time_per_output_token_seconds"
        single = self._up_to_one_token()
        total, count = self.rise(f"{name}_sum"), self.rise(f"{name}_count")
        return None if single is None or count is None else _over(total, count - single)

    def _up_to_one_token(self) -> float | None:
        rises = [
            value - (self._first.values(f"{_GENERATED}_bucket") or {}).get(key, 0.0)
            for key, value in (self._second.values(f"{_GENERATED}_bucket") or {}).items()
            if dict(key).get("le") in ("1", "1.0")
        ]
        return sum(rises) if rises else None

    def level(self, *names: str) -> float | None:
        """Return a gauge, the engines' sum, as the mean of both looks."""
        looks: Sequence[Mapping[Key, float] | None] = (
            self._first.values(*names),
            self._second.values(*names),
        )
        sums = [sum(series.values()) for series in looks if series is not None]
        return sum(sums) / len(sums) if sums else None


def _over(amount: float | None, by: float | None) -> float | None:
    """Return the quotient; ``None`` where a part is unknown or nothing is there to divide by."""
    return None if amount is None or by is None or by <= 0 else amount / by


def _times(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * _MS


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)
