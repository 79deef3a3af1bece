"""The demo's model: a Llama of six million parameters with its own tokenizer, made on the spot.

Its weights are random; its speed is what is measured, and that does not depend on them.
"""

import importlib.util
import json
import tempfile
from pathlib import Path
from typing import Any

from autotune.errors import EngineUnavailableError, InvalidConfigError

VOCAB_SIZE = 2048
CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": VOCAB_SIZE,
    "hidden_size": 256,
    "intermediate_size": 768,
    "num_hidden_layers": 6,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 32,
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "hidden_act": "silu",
    "tie_word_embeddings": False,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "dtype": "bfloat16",
    "torch_dtype": "bfloat16",
}
_DIMENSIONS = (
    "hidden_size",
    "intermediate_size",
    "head_dim",
    "num_attention_heads",
    "num_key_value_heads",
    "num_hidden_layers",
)
_NEEDS = ("numpy", "safetensors", "tokenizers")


def build_demo_model(directory: Path, *, seed: int = 0) -> Path:
    """Write config.json, a byte-level BPE tokenizer and a safetensors checkpoint.

    The directory appears whole or not at all.

    Raises:
        InvalidConfigError: When the directory holds something else already.
        EngineUnavailableError: When the packages that write it are not installed.
    """
    if is_demo_model(directory):
        return directory
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise InvalidConfigError(f"{directory} is not empty; name a new directory")
    missing = [name for name in _NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        raise EngineUnavailableError(
            f"the demo model needs {', '.join(missing)}, not installed here: install the extra `hf`"
        )
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=directory.name, dir=directory.parent) as made:
        part = Path(made) / "model"
        part.mkdir()
        _write_tokenizer(part)
        _write_weights(part, seed)
        text = json.dumps(CONFIG, indent=2) + "\n"
        (part / "config.json").write_text(text, encoding="utf-8")
        part.replace(directory)
    return directory


def is_demo_model(directory: Path) -> bool:
    """Whether the directory holds a demo model."""
    try:
        return bool(json.loads((directory / "config.json").read_text(encoding="utf-8")) == CONFIG)
    except (OSError, ValueError):
        return False


def _write_tokenizer(directory: Path) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    package = Path(__file__).parents[1]
    sources = sorted([*package.rglob("*.py"), *package.rglob("*.toml")])
    texts = (path.read_text(encoding="utf-8") for path in sources)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.save(str(directory / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "pad_token": "</s>",
        "model_max_length": CONFIG["max_position_embeddings"],
    }
    text = json.dumps(settings, indent=2) + "\n"
    (directory / "tokenizer_config.json").write_text(text, encoding="utf-8")


def weight_shapes() -> dict[str, tuple[int, ...]]:
    """Return the checkpoint's tensor names and shapes."""
    hidden, ffn, head, heads, kv_heads, layers = (CONFIG[name] for name in _DIMENSIONS)
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (VOCAB_SIZE, hidden)}
    for layer in range(layers):
        prefix = f"model.layers.{layer}"
        shapes |= {
            f"{prefix}.input_layernorm.weight": (hidden,),
            f"{prefix}.self_attn.q_proj.weight": (heads * head, hidden),
            f"{prefix}.self_attn.k_proj.weight": (kv_heads * head, hidden),
            f"{prefix}.self_attn.v_proj.weight": (kv_heads * head, hidden),
            f"{prefix}.self_attn.o_proj.weight": (hidden, heads * head),
            f"{prefix}.post_attention_layernorm.weight": (hidden,),
            f"{prefix}.mlp.gate_proj.weight": (ffn, hidden),
            f"{prefix}.mlp.up_proj.weight": (ffn, hidden),
            f"{prefix}.mlp.down_proj.weight": (hidden, ffn),
        }
    return shapes | {"model.norm.weight": (hidden,), "lm_head.weight": (VOCAB_SIZE, hidden)}


def _write_weights(directory: Path, seed: int) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    rng = np.random.default_rng(seed)
    tensors = {
        name: np.ones(shape, np.float32)
        if len(shape) == 1
        else rng.normal(0.0, 0.02, shape).astype(np.float32)
        for name, shape in weight_shapes().items()
    }
    save_file(tensors, str(directory / "model.safetensors"), metadata={"format": "pt"})
