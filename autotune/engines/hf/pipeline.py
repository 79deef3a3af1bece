"""Hugging Face pipelines: ``text-generation`` over ``device_map`` shards, one load for all."""

import gc
import itertools
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import transformers

from autotune.engines.base import EngineInfo, Load
from autotune.engines.hf.continuous import ContinuousBatching
from autotune.engines.hf.loading import load_model, load_tokenizer
from autotune.engines.metrics import Pass, RequestTiming
from autotune.engines.weights import find_weights
from autotune.errors import TrialError
from autotune.schema.configuration import Knob
from autotune.schema.engine_config import EngineConfig


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
    """A ``transformers`` text-generation pipeline, one call per batch.

    With the knob ``continuous_batching`` requests enter and leave one by one instead.
    """

    def __init__(self) -> None:
        self._pipe: Any = None
        self._continuous: ContinuousBatching | None = None
        self._words_are_ids = False

    def start(self, config: EngineConfig, *, max_batch_size: int, max_model_len: int) -> EngineInfo:
        """Load the model on the devices that ``config.n_gpus`` names."""
        weights = find_weights(config.model, config.like)
        model = load_model(config, weights)
        vocab_size = model.config.get_text_config().vocab_size
        tokenizer = load_tokenizer(weights, vocab_size, trust=config.trust_remote_code)
        self._words_are_ids = not weights.has_tokenizer
        # The host's device is named, or a pipeline would move an unsharded model by itself.
        device = None if hasattr(model, "hf_device_map") else next(model.parameters()).device
        self._pipe = transformers.pipeline(
            "text-generation", model=model, tokenizer=tokenizer, device=device
        )
        # What is unset in the pipeline's settings is taken from the model's, the end token too.
        for generation in (self._pipe.generation_config, model.generation_config):
            _set_generation(generation, config.knobs)
        if config.knobs.get("continuous_batching"):
            self._continuous = ContinuousBatching(
                model,
                self._pipe.generation_config,
                max_batch_size=max_batch_size,
                max_model_len=max_model_len,
            )
        return EngineInfo(
            engine_version=transformers.__version__,
            dtype=str(model.dtype).removeprefix("torch."),
            weights=weights.kind,
            vocab_size=vocab_size,
            settings={
                "torch": torch.__version__,
                "tokenizer": "one word per token id" if self._words_are_ids else "model's own",
                "device_map": _describe_device_map(model),
            },
        )

    def run(self, load: Load) -> Pass:
        """Run the requests batch after batch, as a pipeline does with its ``batch_size``."""
        if self._continuous is not None:
            return self._continuous.run(load)
        prompts, texts = load.prompts, [self._text(prompt) for prompt in load.prompts]
        requests: list[RequestTiming] = []
        begin = time.perf_counter()
        for first in range(0, len(prompts), load.in_flight):
            batch = slice(first, first + load.in_flight)
            longest = max(map(len, prompts[batch]))
            requests += self._batch(texts[batch], longest, load.output_lens[batch])
        return Pass(
            duration_s=time.perf_counter() - begin,
            n_requests=len(prompts),
            input_tokens=load.input_tokens,
            output_tokens=sum(load.output_lens),
            requests=tuple(requests),
        )

    def _text(self, prompt: Sequence[int]) -> str:
        # Decoding and re-encoding may merge tokens: of twice the ids, truncation leaves enough.
        ids = prompt if self._words_are_ids else [*prompt, *prompt]
        return str(self._pipe.tokenizer.decode(ids))

    def _batch(
        self, texts: Sequence[str], input_len: int, output_lens: Sequence[int]
    ) -> list[RequestTiming]:
        """One pipeline call: tokenise, pad to the longest, generate to the longest, decode.

        A request that wants fewer tokens than the longest waits for it, and only the tokens it
        wanted count.
        """
        clock = TokenClock()
        new_tokens = max(output_lens)
        begin = time.perf_counter()
        results = self._pipe(
            texts,
            batch_size=len(texts),
            max_new_tokens=new_tokens,
            return_tensors=True,
            streamer=clock,
            tokenizer_encode_kwargs={"truncation": True, "max_length": input_len},
        )
        lengths = {len(result[0]["generated_token_ids"]) for result in results}
        if lengths != {input_len + new_tokens}:
            raise TrialError(
                "crashed",
                f"the pipeline returned {sorted(lengths)} tokens a sequence, "
                f"not {input_len} + {new_tokens}",
            )
        steps = [(at - begin) * 1e3 for at in clock.times[1:]]
        return [
            RequestTiming(
                ttft_ms=steps[0],
                e2el_ms=steps[-1],
                n_output=new_tokens,
                itl_ms=tuple(b - a for a, b in itertools.pairwise(steps)),
            )
            for _ in output_lens
        ]

    def close(self) -> None:
        """Drop the model and its memory."""
        if self._continuous is not None:
            self._continuous.close()
        self._pipe = self._continuous = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _set_generation(generation: Any, knobs: Mapping[str, Knob]) -> None:
    """Make generation greedy and endless, with the cache and the compilation asked for."""
    generation.eos_token_id = None
    generation.max_length = None
    generation.do_sample = False
    for name in ("temperature", "top_p", "top_k"):
        setattr(generation, name, None)
    if knobs.get("torch_compile"):
        # Generation compiles its decoding step by itself, but only over a cache of fixed shape.
        generation.cache_implementation = "static"
        generation.compile_config = transformers.CompileConfig()
        generation.compile_config._compile_all_devices = True
    if "cache_implementation" in knobs:
        generation.cache_implementation = knobs["cache_implementation"]
    if knobs.get("torch_compile") is False:
        generation.disable_compile = True


def _describe_device_map(model: Any) -> str:
    devices = getattr(model, "hf_device_map", None) or {"": str(model.device)}
    return ", ".join(sorted({str(device) for device in devices.values()}))


def create() -> HfEngine:
    """Return a fresh engine."""
    return HfEngine()
