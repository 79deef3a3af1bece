"""A tokenizer whose words are the token ids themselves, for models that come without one."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers

from autotune.catalog.architecture.families import required_int, text_config
from autotune.engines.weights import Weights

# Beside the model's own config.json, transformers takes the usual tokenizer class of some
# architectures and not the one named here; beside none, vLLM waits two seconds and looks again.
_TOKENIZER_FILES = {
    "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "t0"},
    "config.json": {"model_type": "gpt2", "transformers_version": "5.0.0"},
}


def word_tokenizer(vocab_size: int) -> Tokenizer:
    """Return a tokenizer that reads and writes ``t17 t4`` for the ids 17 and 4."""
    words = models.WordLevel({f"t{i}": i for i in range(vocab_size)}, unk_token="t0")
    tokenizer = Tokenizer(words)
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


@contextmanager
def model_files(weights: Weights) -> Iterator[dict[str, str]]:
    """Yield the directories of ``model`` and ``tokenizer``; what has to be made goes afterwards.

    Raises:
        InvalidModelConfigError: When the config.json names no vocabulary size.
    """
    if weights.directory is not None and weights.has_tokenizer:
        yield {"model": str(weights.directory), "tokenizer": str(weights.directory)}
        return
    with tempfile.TemporaryDirectory(prefix="autotune-model-") as made:
        model = weights.directory or _write(
            Path(made) / "model", {"config.json": dict(weights.config)}
        )
        tokenizer = _write(Path(made) / "tokenizer", _TOKENIZER_FILES)
        vocab_size = required_int(text_config(weights.config), "vocab_size")
        word_tokenizer(vocab_size).save(str(tokenizer / "tokenizer.json"))
        yield {"model": str(model), "tokenizer": str(tokenizer)}


def _write(directory: Path, files: dict[str, dict[str, Any]]) -> Path:
    directory.mkdir()
    for name, content in files.items():
        (directory / name).write_text(json.dumps(content), encoding="utf-8")
    return directory
