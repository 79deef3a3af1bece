"""ServedLoad: what a running server was seen to serve over a while, as its own metrics tell it."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from autotune.schema.validation import (
    check_name,
    check_positive,
    check_positive_int,
    refuse_setting,
)
from autotune.schema.workload import Workload

SOURCE: Final = "metrics"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedLoad:
    """The load between two looks at a server, and how the server bore it.

    Where a RunRecord has the same field it means the same here, over all engines together. ``None``
    is what the server does not tell.

    Attributes:
        origin: Where it was read: a file's name and another's, or an address.
        served_model: The model by the name that the server gives it, which need not be its own.
        n_engines: Engines behind the address: the replicas of a data-parallel start.
        window_s: Time between the two looks.
        window_by: Who says so: ``clock`` (ours), ``user``, or ``files`` (when they were written).
        n_requests: Requests that ended meanwhile. Those that a client gave up are not among them.
        finished: Why they ended -> how many.
        input_len: Mean prompt tokens of a request that ended.
        output_len: Mean generated tokens of one.
        output_throughput: Generated tokens/s, those of unfinished requests among them.
        request_throughput: Requests that ended a second.
        in_flight: Mean number of requests in the server, waiting ones among them, by Little's law:
            how many end a second times how long each stays.
        running: Requests being computed, the mean of the two looks.
        waiting: Requests in the queue, the mean of the two looks.
        kv_cache_usage: Share of the KV cache in use, the mean of the two looks and of the engines.
        prefix_hit_rate: Share of the prompt tokens looked up that the prefix cache held.
        preemptions: How often a running request was sent back to the queue.
        mean_ttft_ms, mean_e2el_ms: From arrival in the server; no network in them.
        mean_tpot_ms: Of requests with more than one generated token.
        mean_queue_ms: From arrival in the queue to the first step.
    """

    origin: str
    served_model: str
    n_engines: int
    window_s: float
    window_by: str
    n_requests: int
    finished: Mapping[str, int] = field(default_factory=dict)
    input_len: float
    output_len: float
    output_throughput: float | None = None
    total_throughput: float | None = None
    request_throughput: float
    in_flight: float | None = None
    running: float | None = None
    waiting: float | None = None
    kv_cache_usage: float | None = None
    prefix_hit_rate: float | None = None
    preemptions: int | None = None
    mean_ttft_ms: float | None = None
    mean_tpot_ms: float | None = None
    mean_itl_ms: float | None = None
    mean_e2el_ms: float | None = None
    mean_queue_ms: float | None = None

    def __post_init__(self) -> None:
        for name in ("origin", "served_model", "window_by"):
            check_name(name, getattr(self, name))
        for name in ("n_engines", "n_requests"):
            check_positive_int(name, getattr(self, name))
        for name in ("window_s", "input_len", "output_len", "request_throughput"):
            check_positive(name, getattr(self, name))
        for entry in dataclasses.fields(self):
            value = getattr(self, entry.name)
            if entry.default is None and value is not None and not 0 <= value < float("inf"):
                raise refuse_setting(entry.name, value, "a number of at least 0, or left out")

    def workload(self) -> Workload:
        """Return requests like these, offered at the same rate."""
        return Workload(
            mode="serving",
            input_len=max(round(self.input_len), 1),
            output_len=max(round(self.output_len), 1),
            request_rate=self.request_throughput,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values.

        It is ``suspect`` as a measurement: nothing says on which GPUs, and it is the load, not the
        server, that may have set the throughput.
        """
        return {"source": SOURCE, "suspect": True, **dataclasses.asdict(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "ServedLoad":
        """Read what ``to_dict`` wrote."""
        return cls(**{k: v for k, v in data.items() if k not in ("source", "suspect")})


def describe_load(load: ServedLoad) -> list[str]:
    """Return what a person should know of it, a sentence each."""
    texts = [_lengths(load), _performance(load)]
    if load.prefix_hit_rate is not None and load.prefix_hit_rate >= _WORTH_SAYING:
        texts.append(
            f"Its prefix cache held {load.prefix_hit_rate:.0%} of the prompt tokens; the answer "
            "computes all of them"
        )
    if strained := _strain(load):
        texts.append(f"Meanwhile {strained}")
    return texts


_BY: Final = {
    "clock": "by the clock",
    "user": "by --scrape-seconds",
    "files": "between the files' times",
}
_WORTH_SAYING: Final = 0.01
_AS_WISHED: Final = ("stop", "length")


def _lengths(load: ServedLoad) -> str:
    return (
        f"Lengths are those of {_requests(load.n_requests)} that ended within "
        f"{_figure(load.window_s)} s ({_BY[load.window_by]}) at {load.origin}: "
        f"{load.input_len:,.1f} prompt and {load.output_len:,.1f} generated tokens on average"
    )


def _performance(load: ServedLoad) -> str:
    parts = (
        (load.output_throughput, "{} generated tok/s"),
        (load.request_throughput, "{} requests/s"),
        (load.in_flight, "{} in flight on average"),
        (load.mean_ttft_ms, "mean TTFT {} ms"),
        (load.mean_tpot_ms, "mean TPOT {} ms"),
    )
    known = [words.format(_figure(value)) for value, words in parts if value is not None]
    engines = "1 engine" if load.n_engines == 1 else f"{load.n_engines} engines"
    return (
        f"Served now by {engines} of {load.served_model}: {', '.join(known)}; its metrics do not "
        "say on which GPUs or at which batch size, so nothing is corrected by it"
    )


def _strain(load: ServedLoad) -> str:
    """Return what did not go as a client wishes."""
    ill = {why: n for why, n in load.finished.items() if n and why not in _AS_WISHED}
    parts = [f"{_requests(n)} ended by {why}" for why, n in ill.items()]
    if load.preemptions:
        parts.append(f"running requests were sent back to the queue {load.preemptions:,} times")
    return " and ".join(parts)


def _figure(value: float) -> str:
    """Return three digits of it, or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _requests(n: int) -> str:
    return "1 request" if n == 1 else f"{n:,} requests"
