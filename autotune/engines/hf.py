"""Hugging Face pipelines: ``text-generation`` over ``device_map`` shards, one load for all."""

import gc
import time
from collections.abc import Sequence
from typing import Any

import torch
import transformers

from autotune.engine_config import EngineConfig
from autotune.engines.base import EngineInfo
from autotune.engines.hf_model import load_model, load_tokenizer
from autotune.engines.weights import find_weights
from autotune.errors import TrialError
from autotune.metrics import Pass, RequestTiming


class TokenClock:
    """A ``generate`` streamer that notes when tokens reach the host: the prompt, then each step."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def put(self, value: Any) -> None:
        """Called with the prompt, then once a step."""
        self.times.append(time.perf_counter())

    def end(self) -> None:
        """Called after the last step."""


class HfEngine:
    """A ``transformers`` text-generation pipeline, one call per batch."""

    def __init__(self) -> None:
        self._pipe: Any = None

    def start(self, config: EngineConfig, *, max_batch_size: int, max_model_len: int) -> EngineInfo:
        """Load the model on the devices that ``config.n_gpus`` names."""
        weights = find_weights(config.model)
        model = load_model(config, weights)
        vocab_size = model.config.get_text_config().vocab_size
        tokenizer = load_tokenizer(weights, vocab_size, trust=config.trust_remote_code)
        # The host's device is named, or a pipeline would move an unsharded model by itself.
        device = None if hasattr(model, "hf_device_map") else next(model.parameters()).device
        self._pipe = transformers.pipeline(
            "text-generation", model=model, tokenizer=tokenizer, device=device
        )
        generation = self._pipe.generation_config
        generation.eos_token_id = None
        generation.max_length = None
        generation.do_sample = False
        for name in ("temperature", "top_p", "top_k"):
            setattr(generation, name, None)
        if "cache_implementation" in config.knobs:
            generation.cache_implementation = config.knobs["cache_implementation"]
        return EngineInfo(
            engine_version=transformers.__version__,
            dtype=str(model.dtype).removeprefix("torch."),
            weights=weights.kind,
            vocab_size=vocab_size,
            settings={
                "torch": torch.__version__,
                "tokenizer": "model's own" if weights.has_tokenizer else "one word per token id",
                "device_map": _describe_device_map(model),
            },
        )

    def generate(self, prompts: Sequence[Sequence[int]], output_len: int) -> Pass:
        """One pipeline call: tokenise, generate as one batch, decode."""
        input_len = len(prompts[0])
        # Twice the ids: decoding and re-encoding may merge tokens; truncation makes it exact.
        texts = [self._pipe.tokenizer.decode([*prompt, *prompt]) for prompt in prompts]
        clock = TokenClock()
        begin = time.perf_counter()
        results = self._pipe(
            texts,
            batch_size=len(prompts),
            max_new_tokens=output_len,
            return_tensors=True,
            streamer=clock,
            tokenizer_encode_kwargs={"truncation": True, "max_length": input_len},
        )
        duration = time.perf_counter() - begin
        lengths = [len(result[0]["generated_token_ids"]) for result in results]
        if any(length != input_len + output_len for length in lengths):
            raise TrialError(
                "crashed",
                f"the pipeline returned {sorted(set(lengths))} tokens a sequence, "
                f"not {input_len} + {output_len}",
            )
        timing = RequestTiming(
            ttft_ms=(clock.times[1] - begin) * 1e3,
            e2el_ms=(clock.times[-1] - begin) * 1e3,
            n_output=output_len,
        )
        return Pass(
            duration_s=duration,
            n_requests=len(prompts),
            input_tokens=input_len * len(prompts),
            output_tokens=output_len * len(prompts),
            requests=(timing,) * len(prompts),
        )

    def close(self) -> None:
        """Drop the model and its memory."""
        self._pipe = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _describe_device_map(model: Any) -> str:
    devices = getattr(model, "hf_device_map", None) or {"": str(model.device)}
    return ", ".join(sorted({str(device) for device in devices.values()}))


def create() -> HfEngine:
    """Return a fresh engine."""
    return HfEngine()
