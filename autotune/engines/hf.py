"""Hugging Face pipelines: ``text-generation`` over ``device_map`` shards, one load for all batches."""

import gc
import time
from collections.abc import Sequence
from typing import Any

import torch
import transformers
from accelerate import dispatch_model, infer_auto_device_map, init_empty_weights
from accelerate.utils import get_balanced_memory, set_module_tensor_to_device
from tokenizers import Tokenizer, models, pre_tokenizers

from autotune.engines.base import EngineInfo
from autotune.engines.weights import Weights, find_weights
from autotune.errors import TrialError
from autotune.metrics import Pass, RequestTiming
from autotune.spec import EngineConfig


class TokenClock(transformers.generation.streamers.BaseStreamer):
    """Notes when each step's tokens reach the host; ``generate`` hands the prompt over first."""

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
        dtype: Any = "auto" if config.dtype == "auto" else getattr(torch, config.dtype)
        if weights.kind == "checkpoint":
            model = _load_checkpoint(config, weights, dtype)
        else:
            model = _build_random(config, weights, dtype)
        tokenizer = _tokenizer(weights, model.config.vocab_size)
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
            vocab_size=model.config.vocab_size,
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


def create() -> HfEngine:
    """Return a fresh engine."""
    return HfEngine()


def _load_checkpoint(config: EngineConfig, weights: Weights, dtype: Any) -> Any:
    options: dict[str, Any] = {"dtype": dtype, "trust_remote_code": config.trust_remote_code}
    if "attn_implementation" in config.knobs:
        options["attn_implementation"] = config.knobs["attn_implementation"]
    if torch.cuda.is_available():
        options["device_map"] = config.knobs.get("device_map", "auto")
        options["max_memory"] = _max_memory(config)
    return transformers.AutoModelForCausalLM.from_pretrained(str(weights.directory), **options)


def _build_random(config: EngineConfig, weights: Weights, dtype: Any) -> Any:
    """Build the architecture empty, place it, then fill it where it lies."""
    hf_config = transformers.AutoConfig.for_model(**weights.config)
    dtype = (getattr(hf_config, "dtype", None) or torch.float32) if dtype == "auto" else dtype
    options = {}
    if "attn_implementation" in config.knobs:
        options["attn_implementation"] = config.knobs["attn_implementation"]
    with init_empty_weights(include_buffers=False):
        model = transformers.AutoModelForCausalLM.from_config(hf_config, dtype=dtype, **options)
    model.tie_weights()
    device_map = _device_map(config, model, dtype)
    generator = torch.Generator().manual_seed(config.seed)
    for name, parameter in list(model.named_parameters()):
        device = _device_of(name, device_map)
        place = torch.device(device if device not in ("disk",) else "cpu")
        value = torch.empty(parameter.shape, dtype=dtype, device=place)
        if place.type == "cpu":
            value.normal_(0.0, 0.02, generator=generator)
        else:
            value.normal_(0.0, 0.02)
        set_module_tensor_to_device(model, name, place, value=value, dtype=dtype)
    model.tie_weights()
    model.eval()
    return dispatch_model(model, device_map) if device_map else model


def _max_memory(config: EngineConfig) -> dict[int | str, Any]:
    limits: dict[int | str, Any] = {
        index: torch.cuda.mem_get_info(index)[0] for index in range(config.n_gpus)
    }
    if "max_memory_gb" in config.knobs:
        limits = dict.fromkeys(limits, f"{config.knobs['max_memory_gb']}GiB")
    return limits | {"cpu": "1000GiB"}


def _device_map(config: EngineConfig, model: Any, dtype: Any) -> dict[str, Any]:
    """Balanced over the GPUs as ``device_map='auto'`` does; empty on a host without one."""
    if not torch.cuda.is_available():
        return {}
    no_split = list(model._no_split_modules or [])
    limits = get_balanced_memory(
        model, max_memory=_max_memory(config), no_split_module_classes=no_split, dtype=dtype
    )
    return dict(
        infer_auto_device_map(
            model, max_memory=limits, no_split_module_classes=no_split, dtype=dtype
        )
    )


def _device_of(name: str, device_map: dict[str, Any]) -> Any:
    prefixes = [key for key in device_map if key == "" or name == key or name.startswith(key + ".")]
    return device_map[max(prefixes, key=len)] if prefixes else "cpu"


def _describe_device_map(model: Any) -> str:
    devices = getattr(model, "hf_device_map", None) or {"": str(model.device)}
    return ", ".join(sorted({str(device) for device in devices.values()}))


def _tokenizer(weights: Weights, vocab_size: int) -> Any:
    """Return the model's tokenizer, or one whose words are the token ids themselves."""
    if weights.has_tokenizer:
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(weights.directory))
    else:
        words = models.WordLevel({f"t{i}": i for i in range(vocab_size)}, unk_token="t0")
        raw = Tokenizer(words)
        raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="t0")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    return tokenizer
