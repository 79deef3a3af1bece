"""vLLM in this process: one start, every batch size."""

import gc
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from autotune.engine_config import EngineConfig
from autotune.engines.base import EngineInfo
from autotune.engines.weights import Weights, find_weights
from autotune.metrics import Pass, RequestTiming

# Where a running scheduler keeps its admission cap; 0.32 asserts on the older name when lowered.
_CAP_ATTRIBUTES = ("max_num_active_reqs", "max_num_running_reqs")
_CPU_KV_CACHE_GIB = 2


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

        weights = find_weights(config.model)
        arguments = _arguments(config, weights, max_batch_size, max_model_len)
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

    def generate(self, prompts: Sequence[Sequence[int]], output_len: int) -> Pass:
        """Hand all prompts over at once; the cap admits as many as there are prompts."""
        from vllm import SamplingParams

        if self._cap is not None:
            setattr(self._scheduler, self._cap, len(prompts))
        sampling = SamplingParams(
            temperature=0.0, max_tokens=output_len, ignore_eos=True, detokenize=False
        )
        requests = [{"prompt_token_ids": list(prompt)} for prompt in prompts]
        handed_over = time.time()
        begin = time.perf_counter()
        outputs = self._llm.generate(requests, sampling, use_tqdm=False)
        duration = time.perf_counter() - begin
        return Pass(
            duration_s=duration,
            n_requests=len(outputs),
            input_tokens=sum(len(prompt) for prompt in prompts),
            output_tokens=sum(len(output.outputs[0].token_ids) for output in outputs),
            requests=tuple(_timings(outputs, handed_over)),
        )

    def close(self) -> None:
        """Drop the engine and its memory."""
        self._llm = self._scheduler = None
        gc.collect()

    @staticmethod
    def _set_environment(config: EngineConfig) -> None:
        defaults = {"VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "INFO"}
        if config.n_gpus == 1:
            # The scheduler must live in this process for its cap to be set.
            defaults["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        if config.is_on_cpu:
            defaults["VLLM_CPU_KVCACHE_SPACE"] = str(_CPU_KV_CACHE_GIB)
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


def _arguments(
    config: EngineConfig, weights: Weights, max_batch_size: int, max_model_len: int
) -> dict[str, Any]:
    """Return what ``vllm.LLM`` is called with; a knob wins over a default."""
    defaults: dict[str, Any] = {
        "max_model_len": max_model_len,
        "enable_prefix_caching": False,
        "skip_tokenizer_init": True,
        "disable_log_stats": False,
        "load_format": "auto" if weights.kind == "checkpoint" else "dummy",
    }
    fixed: dict[str, Any] = {
        "tensor_parallel_size": config.n_gpus,
        "max_num_seqs": max_batch_size,
        "dtype": config.dtype,
        "quantization": config.quantization,
        "seed": config.seed,
        "trust_remote_code": config.trust_remote_code,
    }
    return defaults | dict(config.knobs) | fixed


def _vocab_size(model_config: Any) -> int:
    if hasattr(model_config, "get_vocab_size"):
        return int(model_config.get_vocab_size())
    return int(model_config.hf_text_config.vocab_size)


def _timings(outputs: Sequence[Any], handed_over: float) -> Iterator[RequestTiming]:
    """Yield the requests' times from the hand-over of the batch.

    A request's arrival and its first-token latency are wall time of the front end; from first to
    last token the core's monotonic clock counts. Requests without them are left out.
    """
    for output in outputs:
        stats = output.metrics
        latency, first, last = (
            getattr(stats, name, None)
            for name in ("first_token_latency", "first_token_ts", "last_token_ts")
        )
        if not latency or not first or not last:
            continue
        arrival = getattr(stats, "arrival_time", None) or handed_over
        ttft = max(0.0, arrival - handed_over) + latency
        yield RequestTiming(
            ttft_ms=ttft * 1e3,
            e2el_ms=(ttft + last - first) * 1e3,
            n_output=len(output.outputs[0].token_ids),
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
