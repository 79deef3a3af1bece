"""vLLM in this process: one start, every batch size."""

import gc
import json
import os
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from autotune.engines.base import EngineInfo, Load
from autotune.engines.metrics import Pass, RequestTiming
from autotune.engines.vllm.arguments import engine_arguments, environment_defaults
from autotune.engines.weights import Weights, find_weights
from autotune.schema.engine_config import EngineConfig

# Where a running scheduler keeps its admission cap; 0.32 asserts on the older name when lowered.
_CAP_ATTRIBUTES = ("max_num_active_reqs", "max_num_running_reqs")


class VllmEngine:
    """``vllm.LLM`` with its scheduler's admission cap set to each batch size."""

    def __init__(self) -> None:
        self._llm: Any = None
        self._cap: str | None = None
        self._scheduler: Any = None

    def start(self, config: EngineConfig, *, max_batch_size: int, max_model_len: int) -> EngineInfo:
        """Start the engine; arguments it does not accept raise its own error."""
        self._set_environment(config)
        import vllm

        weights = find_weights(config.model, config.like)
        arguments = {"skip_tokenizer_init": True, "disable_log_stats": False} | engine_arguments(
            config, weights, max_batch_size=max_batch_size, max_model_len=max_model_len
        )
        with _model_directory(weights) as directory:
            self._llm = vllm.LLM(model=str(directory), **arguments)
        core = self._llm.llm_engine
        self._find_scheduler(core)
        model_config, cache = core.vllm_config.model_config, core.vllm_config.cache_config
        blocks = getattr(cache, "num_gpu_blocks", None)
        return EngineInfo(
            engine_version=vllm.__version__,
            dtype=str(model_config.dtype).removeprefix("torch."),
            weights="random" if arguments["load_format"] == "dummy" else weights.kind,
            vocab_size=_vocab_size(model_config),
            kv_cache_tokens=blocks * cache.block_size if blocks else None,
            settings={"engine_reuse": self._cap or "batch size by number of prompts"},
        )

    def run(self, load: Load) -> Pass:
        """Keep ``load.in_flight`` requests in the engine; the scheduler admits no more either."""
        if self._cap is not None:
            setattr(self._scheduler, self._cap, load.in_flight)
        requests = [{"prompt_token_ids": list(prompt)} for prompt in load.prompts]
        sampling = [_sampling(n) for n in load.output_lens]
        whole = load.in_flight >= len(requests)
        begin = time.perf_counter()
        timings, output_tokens = (
            self._batch(requests, sampling)
            if whole
            else self._stream(requests, sampling, load.in_flight)
        )
        return Pass(
            duration_s=time.perf_counter() - begin,
            n_requests=len(requests),
            input_tokens=load.input_tokens,
            output_tokens=output_tokens,
            requests=tuple(timings),
        )

    def _batch(self, requests: list[Any], sampling: list[Any]) -> tuple[list[RequestTiming], int]:
        """Hand all requests over at once; their times count from there."""
        handed_over = time.time()
        outputs = self._llm.generate(requests, sampling, use_tqdm=False)
        timings = [t for o in outputs if (t := _timing(o, handed_over)) is not None]
        return timings, sum(map(_n_output, outputs))

    def _stream(
        self, requests: list[Any], sampling: list[Any], in_flight: int
    ) -> tuple[list[RequestTiming], int]:
        """Hand a request over whenever one has ended; its times count from its own arrival."""
        waiting = deque(zip(requests, sampling, strict=True))
        timings, output_tokens, running = [], 0, 0
        while waiting or running:
            while waiting and running < in_flight:
                request, parameters = waiting.popleft()
                self._llm.enqueue([request], [parameters], use_tqdm=False)
                running += 1
            for output in self._llm.llm_engine.step():
                if output.finished:
                    running -= 1
                    output_tokens += _n_output(output)
                    timing = _timing(output)
                    timings += [] if timing is None else [timing]
        return timings, output_tokens

    def close(self) -> None:
        """Drop the engine and its memory."""
        self._llm = self._scheduler = None
        gc.collect()

    @staticmethod
    def _set_environment(config: EngineConfig) -> None:
        defaults = environment_defaults(config)
        if config.n_gpus == 1:
            # The scheduler must live in this process for its cap to be set.
            defaults["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        for name, value in defaults.items():
            os.environ.setdefault(name, value)

    def _find_scheduler(self, core: Any) -> None:
        client = getattr(core, "engine_core", None)
        scheduler = getattr(getattr(client, "engine_core", None), "scheduler", None)
        self._scheduler = scheduler
        self._cap = next((name for name in _CAP_ATTRIBUTES if hasattr(scheduler, name)), None)


def create() -> VllmEngine:
    """Return a fresh engine."""
    return VllmEngine()


def _vocab_size(model_config: Any) -> int:
    if hasattr(model_config, "get_vocab_size"):
        return int(model_config.get_vocab_size())
    return int(model_config.hf_text_config.vocab_size)


def _sampling(n_tokens: int) -> Any:
    from vllm import SamplingParams

    return SamplingParams(temperature=0.0, max_tokens=n_tokens, ignore_eos=True, detokenize=False)


def _n_output(output: Any) -> int:
    return len(output.outputs[0].token_ids)


def _timing(output: Any, handed_over: float | None = None) -> RequestTiming | None:
    """Return a request's times from the hand-over of its batch, or else from its own arrival.

    A request's arrival and its first-token latency are wall time of the front end; from first to
    last token the core's monotonic clock counts. ``None`` where the engine did not keep them.
    """
    stats = output.metrics
    latency, first, last, arrival = (
        getattr(stats, name, None)
        for name in ("first_token_latency", "first_token_ts", "last_token_ts", "arrival_time")
    )
    if not latency or not first or not last:
        return None
    waited = 0.0 if handed_over is None else max(0.0, (arrival or handed_over) - handed_over)
    ttft = waited + latency
    return RequestTiming(
        ttft_ms=ttft * 1e3, e2el_ms=(ttft + last - first) * 1e3, n_output=_n_output(output)
    )


@contextmanager
def _model_directory(weights: Weights) -> Iterator[Path]:
    """Yield a directory vLLM can read; one is made for a model known by its config alone."""
    if weights.directory is not None:
        yield weights.directory
        return
    with tempfile.TemporaryDirectory(prefix="autotune-model-") as made:
        (Path(made) / "config.json").write_text(json.dumps(weights.config), encoding="utf-8")
        yield Path(made)
