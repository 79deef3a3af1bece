"""A ``transformers`` model on its devices, from a checkpoint or with random weights."""

from typing import Any

import torch
import transformers
from accelerate import dispatch_model, infer_auto_device_map, init_empty_weights
from accelerate.utils import get_balanced_memory, set_module_tensor_to_device

from autotune.engines.weights import Weights, word_tokenizer
from autotune.errors import TrialError
from autotune.schema.engine_config import EngineConfig


def load_model(config: EngineConfig, weights: Weights) -> Any:
    """Return the model in evaluation mode, spread over ``config.n_gpus`` or on the host.

    Raises:
        TrialError: When the configuration wants a GPU and PyTorch sees none.
    """
    if not config.is_on_cpu and not torch.cuda.is_available():
        raise TrialError("load_failed", f"PyTorch {torch.__version__} sees no GPU here")
    dtype: Any = "auto" if config.dtype == "auto" else getattr(torch, config.dtype)
    options: dict[str, Any] = {"trust_remote_code": config.trust_remote_code}
    if "attn_implementation" in config.knobs:
        options["attn_implementation"] = config.knobs["attn_implementation"]
    if weights.kind == "checkpoint":
        return _load_checkpoint(config, weights, options | {"dtype": dtype})
    return _build_random(config, weights, dtype, options)


def _load_checkpoint(config: EngineConfig, weights: Weights, options: dict[str, Any]) -> Any:
    if not config.is_on_cpu:
        options["device_map"] = config.knobs.get("device_map", "auto")
        options["max_memory"] = _max_memory(config)
    return transformers.AutoModelForCausalLM.from_pretrained(
        str(weights.directory), use_safetensors=True, **options
    )


def _build_random(
    config: EngineConfig, weights: Weights, dtype: Any, options: dict[str, Any]
) -> Any:
    """Build the architecture empty, place it, then fill it where it lies."""
    hf_config = _architecture(config, weights)
    if dtype == "auto":
        dtype = getattr(hf_config, "dtype", None) or torch.float32
    with init_empty_weights(include_buffers=False):
        model = transformers.AutoModelForCausalLM.from_config(hf_config, dtype=dtype, **options)
    model.tie_weights()
    device_map = {} if config.is_on_cpu else _device_map(config, model, dtype)
    for name, parameter in list(model.named_parameters()):
        place = torch.device(_device_of(name, device_map))
        generator = torch.Generator(place).manual_seed(config.seed)
        value = torch.empty(parameter.shape, dtype=dtype, device=place)
        value.normal_(0.0, 0.02, generator=generator)
        set_module_tensor_to_device(model, name, place, value=value, dtype=dtype)
    model.tie_weights()
    model.eval()
    return dispatch_model(model, device_map) if device_map else model


def _architecture(config: EngineConfig, weights: Weights) -> Any:
    if weights.directory is None:
        return transformers.AutoConfig.for_model(**weights.config)
    return transformers.AutoConfig.from_pretrained(
        str(weights.directory), trust_remote_code=config.trust_remote_code
    )


def _max_memory(config: EngineConfig) -> dict[int | str, Any]:
    limits: dict[int | str, Any] = {
        index: torch.cuda.mem_get_info(index)[0] for index in range(config.n_gpus)
    }
    if "max_memory_gb" in config.knobs:
        limits = dict.fromkeys(limits, f"{config.knobs['max_memory_gb']}GiB")
    return limits | {"cpu": "1000GiB"}


def _device_map(config: EngineConfig, model: Any, dtype: Any) -> dict[str, Any]:
    """Lay the modules over the GPUs as ``from_pretrained`` does for the same ``device_map``."""
    kind = config.knobs.get("device_map", "auto")
    no_split = list(model._no_split_modules or [])
    limits = _max_memory(config)
    if kind != "sequential":
        limits = get_balanced_memory(
            model,
            max_memory=limits,
            no_split_module_classes=no_split,
            dtype=dtype,
            low_zero=kind == "balanced_low_0",
        )
    return dict(
        infer_auto_device_map(
            model, max_memory=limits, no_split_module_classes=no_split, dtype=dtype
        )
    )


def _device_of(name: str, device_map: dict[str, Any]) -> Any:
    prefixes = [key for key in device_map if key == "" or name == key or name.startswith(key + ".")]
    return device_map[max(prefixes, key=len)] if prefixes else "cpu"


def load_tokenizer(weights: Weights, vocab_size: int, *, trust: bool) -> Any:
    """Return the model's tokenizer, or one whose words are the token ids themselves."""
    if weights.has_tokenizer:
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            str(weights.directory), trust_remote_code=trust
        )
    else:
        tokenizer = transformers.PreTrainedTokenizerFast(
            tokenizer_object=word_tokenizer(vocab_size), pad_token="t0"
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    return tokenizer
