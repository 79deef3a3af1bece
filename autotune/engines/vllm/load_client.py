"""Puts a load on a server with vLLM's own benchmark client, the one behind ``vllm bench serve``."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from autotune.engines.base import Load
from autotune.engines.metrics import Pass, RequestTiming
from autotune.errors import TrialError

_METRICS = ("ttft", "tpot", "itl", "e2el")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadClient:
    """A client of one server.

    Attributes:
        base_url: ``http://host:port``.
        model: The name it is served under.
        tokenizer: The client sums up latencies only when it has one.
    """

    base_url: str
    model: str
    tokenizer: Any

    def run(self, load: Load) -> Pass:
        """Send every request, ``load.in_flight`` at a time, and wait for the last token.

        Raises:
            TrialError: When a request failed, or has other lengths than asked.
        """
        return read_result(self.send(load), load)

    def send(self, load: Load) -> dict[str, Any]:
        """Return the client's own result: its aggregates and the lists it made them of."""
        import numpy as np
        from vllm.utils.gc_utils import freeze_gc_heap

        # The client draws the gaps between requests from numpy's own generator.
        np.random.seed(load.seed)
        freeze_gc_heap()
        return asyncio.run(self._benchmark(load))

    async def _benchmark(self, load: Load) -> dict[str, Any]:
        """Call what the command calls once it has read its data set.

        The command's own data sets are text, which other ids may come back from; here the server
        gets the ids themselves.
        """
        from vllm.benchmarks.serve import TaskType, benchmark

        result: dict[str, Any] = await benchmark(
            task_type=TaskType.GENERATION,
            endpoint_type="openai",
            api_url=f"{self.base_url}/v1/completions",
            base_url=self.base_url,
            model_id=self.model,
            model_name=self.model,
            tokenizer=self.tokenizer,
            input_requests=list(_sample_requests(load)),
            logprobs=None,
            request_rate=load.request_rate or float("inf"),
            burstiness=load.burstiness,
            disable_tqdm=True,
            num_warmups=0,
            profile=False,
            selected_percentile_metrics=list(_METRICS),
            selected_percentiles=[99.0],
            ignore_eos=True,
            goodput_config_dict={},
            max_concurrency=load.in_flight,
            lora_modules=None,
            extra_headers=None,
            extra_body={"temperature": 0.0},
            ready_check_timeout_sec=0,
        )
        return result


def _sample_requests(load: Load) -> Iterator[Any]:
    from vllm.benchmarks.datasets import SampleRequest

    for prompt, output_len in zip(load.prompts, load.output_lens, strict=True):
        yield SampleRequest(
            prompt=list(prompt), prompt_len=len(prompt), expected_output_len=output_len
        )


def read_result(result: Mapping[str, Any], load: Load) -> Pass:
    """Turn the client's result into a pass.

    Tokens are the server's own count of each request.

    Raises:
        TrialError: When a request failed, or has other lengths than asked.
    """
    _check_errors(result)
    _check_lengths("generated", result["output_lens"], load.output_lens)
    _check_lengths("prompt", result["input_lens"], [len(prompt) for prompt in load.prompts])
    return Pass(
        duration_s=result["duration"],
        n_requests=len(result["output_lens"]),
        input_tokens=sum(result["input_lens"]),
        output_tokens=sum(result["output_lens"]),
        requests=tuple(_timings(result)),
    )


def _check_errors(result: Mapping[str, Any]) -> None:
    errors, n = result["errors"], len(result["errors"])
    n_failed = n - result["completed"]
    if n_failed or not n:
        first = next((error for error in errors if error), "no reason given").strip()
        raise TrialError(
            "crashed",
            f"{n_failed} of {n} requests failed: {first.splitlines()[-1]}; "
            "the server's log has the root cause",
        )


def _check_lengths(what: str, counted: list[int], asked: Any) -> None:
    wrong = [(got, want) for got, want in zip(counted, asked, strict=True) if got != want]
    if wrong:
        got, want = wrong[0]
        raise TrialError(
            "crashed",
            f"{len(wrong)} of {len(counted)} requests failed: {got} {what} tokens instead of "
            f"{want}; the server's log has the root cause",
        )


def _timings(result: Mapping[str, Any]) -> Iterator[RequestTiming]:
    rows = zip(result["ttfts"], result["itls"], result["output_lens"], strict=True)
    for index, (ttft, gaps, n_output) in enumerate(rows):
        # vLLM 0.26 does not list the latencies; they are these sums to within microseconds.
        latencies = result.get("latencies")
        yield RequestTiming(
            ttft_ms=ttft * 1e3,
            e2el_ms=(latencies[index] if latencies else ttft + sum(gaps)) * 1e3,
            n_output=n_output,
            itl_ms=tuple(gap * 1e3 for gap in gaps),
        )
