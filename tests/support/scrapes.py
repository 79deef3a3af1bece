"""What vLLM's /metrics answers after given requests, with the metrics that a version has.

``fixtures/scrapes/vllm_names.json`` holds the names that ``vllm/v1/metrics/loggers.py`` of each
version gives to its counters, gauges and histograms.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAMES: Mapping[str, Mapping[str, Sequence[str]]] = json.loads(
    (Path(__file__).parents[1] / "fixtures" / "scrapes" / "vllm_names.json").read_text()
)
VERSIONS = tuple(NAMES)
MODEL = "meta-llama/Llama-3.1-8B"
_WITHOUT_ENGINE = "vllm:admission_rejections"
_BUCKETS = (1.0, 2.0, 5.0, 100.0, 1000.0)
# Reasons as `vllm/v1/engine/__init__.py` has them.
_REASONS = ("stop", "length", "abort", "error", "repetition")


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request that ended; times in seconds."""

    prompt: int = 100
    generated: int = 11
    cached: int = 0
    queue_s: float = 0.1
    ttft_s: float = 0.5
    tpot_s: float = 0.05
    why: str = "length"

    @property
    def e2e_s(self) -> float:
        return self.ttft_s + self.tpot_s * (self.generated - 1)


def scrape(
    requests: Sequence[Request] | Mapping[str, Sequence[Request]],
    *,
    version: str = VERSIONS[-1],
    model: str = MODEL,
    running: float = 3,
    waiting: float = 1,
    preemptions: int = 0,
    started: float = 1.7e9,
) -> str:
    """Return the text; a mapping gives what each engine served."""
    engines = requests if isinstance(requests, Mapping) else {"0": requests}
    lines = [
        "# HELP process_start_time_seconds Start time of the process since unix epoch in seconds.",
        "# TYPE process_start_time_seconds gauge",
        f"process_start_time_seconds {started!r}",
        'http_requests_total{handler="/v1/completions",method="POST",status="2xx"} 7.0',
    ]
    gauges = {
        "vllm:num_requests_running": running,
        "vllm:num_requests_waiting": waiting,
        "vllm:kv_cache_usage_perc": 0.25,
    }
    for kind, names in NAMES[version].items():
        for name in names:
            lines.append(f"# TYPE {name}{'_total' if kind == 'counter' else ''} {kind}")
            if name == _WITHOUT_ENGINE:
                lines.append(f'{name}_total{{model_name="{model}",reason="num_requests"}} 0.0')
                continue
            for engine, ended in engines.items():
                labels = f'engine="{engine}",model_name="{model}"'
                if kind == "gauge":
                    lines.append(f"{name}{{{labels}}} {gauges.get(name, 0.0)!r}")
                elif kind == "counter":
                    lines += _counter(name, labels, ended, preemptions)
                else:
                    lines += _histogram(name, labels, ended)
    return "\n".join(lines) + "\n"


def _counter(name: str, labels: str, ended: Sequence[Request], preemptions: int) -> Iterator[str]:
    if name == "vllm:request_success":
        for why in _REASONS:
            n = sum(request.why == why for request in ended)
            yield f'{name}_total{{{labels},finished_reason="{why}"}} {float(n)}'
        return
    values = {
        "vllm:prompt_tokens": sum(r.prompt for r in ended),
        "vllm:generation_tokens": sum(r.generated for r in ended),
        "vllm:prefix_cache_queries": sum(r.prompt for r in ended),
        "vllm:prefix_cache_hits": sum(r.cached for r in ended),
        "vllm:num_preemptions": preemptions,
    }
    yield f"{name}_total{{{labels}}} {float(values.get(name, 0))}"
    yield f"{name}_created{{{labels}}} 1.7000000001e+09"


def _histogram(name: str, labels: str, ended: Sequence[Request]) -> Iterator[str]:
    seen: Mapping[str, list[Any]] = {
        "vllm:request_prompt_tokens": [r.prompt for r in ended],
        "vllm:request_generation_tokens": [r.generated for r in ended],
        "vllm:time_to_first_token_seconds": [r.ttft_s for r in ended],
        "vllm:inter_token_latency_seconds": [
            r.tpot_s for r in ended for _ in range(r.generated - 1)
        ],
        "vllm:request_time_per_output_token_seconds": [
            r.tpot_s if r.generated > 1 else 0.0 for r in ended
        ],
        "vllm:e2e_request_latency_seconds": [r.e2e_s for r in ended],
        "vllm:request_queue_time_seconds": [r.queue_s for r in ended],
    }
    values = seen.get(name, [])
    for bound in _BUCKETS:
        yield f'{name}_bucket{{{labels},le="{bound}"}} {float(sum(v <= bound for v in values))}'
    yield f'{name}_bucket{{{labels},le="+Inf"}} {float(len(values))}'
    yield f"{name}_count{{{labels}}} {float(len(values))}"
    yield f"{name}_sum{{{labels}}} {float(sum(values))!r}"
