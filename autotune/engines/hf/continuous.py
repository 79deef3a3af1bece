"""Continuous batching by ``transformers``: a paged cache, requests enter and leave one by one."""

import itertools
import math
import time
from collections import deque
from typing import Any

import transformers

from autotune.engines.base import Load
from autotune.engines.metrics import Pass, RequestTiming
from autotune.errors import TrialError

_POLL_S = 5.0
_STOP_S = 30.0
# An id no vocabulary holds: every request runs to its full length.
_NO_TOKEN = -1


class ContinuousBatching:
    """A generation thread of ``transformers`` that this engine feeds.

    Args:
        model: A loaded causal language model.
        generation_config: Greedy generation without an end token.
        max_batch_size: Most requests in one forward pass.
        max_model_len: Most tokens of a request.

    Raises:
        TrialError: When the installed transformers has no continuous batching.
    """

    def __init__(
        self, model: Any, generation_config: Any, *, max_batch_size: int, max_model_len: int
    ) -> None:
        if not hasattr(model, "init_continuous_batching"):
            raise TrialError(
                "load_failed", f"transformers {transformers.__version__} has no continuous batching"
            )
        generation_config.eos_token_id = _NO_TOKEN
        settings = transformers.ContinuousBatchingConfig(max_requests_per_batch=max_batch_size)
        if model.device.type == "cpu":
            # On a GPU the cache takes the memory that is left; the host's is not for it alone.
            blocks_each = math.ceil(max_model_len / settings.page_size) + 1
            settings.num_blocks = blocks_each * max_batch_size
        self._manager = model.init_continuous_batching(
            generation_config=generation_config, continuous_batching_config=settings
        )
        self._manager.start()

    def run(self, load: Load) -> Pass:
        """Keep ``load.in_flight`` requests in the generation thread until all have ended."""
        waiting = deque(zip(load.prompts, load.output_lens, strict=True))
        sent_at: dict[str, float] = {}
        timings: list[RequestTiming] = []
        begin = time.perf_counter()
        while waiting or sent_at:
            while waiting and len(sent_at) < load.in_flight:
                prompt, n_tokens = waiting.popleft()
                now = time.perf_counter()
                name = self._manager.add_request(
                    list(prompt), max_new_tokens=n_tokens, record_timestamps=True
                )
                sent_at[name] = now
            result = self._next_result()
            timings.append(_timing(result, sent_at.pop(result.request_id)))
        return Pass(
            duration_s=time.perf_counter() - begin,
            n_requests=len(load.prompts),
            input_tokens=load.input_tokens,
            output_tokens=sum(timing.n_output for timing in timings),
            requests=tuple(timings),
        )

    def _next_result(self) -> Any:
        """Return the next request that ended; an idle thread that died raises its own error."""
        while True:
            result = self._manager.get_result(timeout=_POLL_S)
            if result is not None and result.error is not None:
                raise RuntimeError(result.error)
            if result is not None and result.is_finished():
                return result
            if result is None and not self._manager.is_running():
                raise RuntimeError("the generation thread of continuous batching has ended")

    def close(self) -> None:
        """End the thread and give its cache back."""
        self._manager.stop(block=True, timeout=_STOP_S)


def _timing(result: Any, sent_at: float) -> RequestTiming:
    times = [(at - sent_at) * 1e3 for at in result.timestamps]
    return RequestTiming(
        ttft_ms=times[0],
        e2el_ms=times[-1],
        n_output=len(result.generated_tokens),
        itl_ms=tuple(b - a for a, b in itertools.pairwise(times)),
    )
