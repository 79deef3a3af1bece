"""Where a model's weights come from: a checkpoint when there is one, otherwise random values.

Speed does not depend on the values of the weights, so a model is measured from its config.json.
"""

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autotune.catalog.architecture.families import required_int, text_config
from autotune.catalog.model_files import model_directory, read_files
from autotune.catalog.naming import name_model

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# PyTorch's own format is a pickle, which can run code: never opened, such a model is measured with
# random weights.
_WEIGHTS, _INDEX = "*.safetensors", "*.safetensors.index.json"
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What to load.

    Attributes:
        kind: ``checkpoint`` or ``random``.
        directory: Holds config.json (and the checkpoint); ``None`` when only ``config`` is known.
    """

    kind: str
    config: Mapping[str, Any]
    directory: Path | None

    @property
    def has_tokenizer(self) -> bool:
        """Whether the directory holds a tokenizer."""
        return self.directory is not None and any(
            (self.directory / name).is_file() for name in _TOKENIZERS
        )


def find_weights(model: str, like: str | None = None) -> Weights:
    """Look in the model's directory, then in the local Hugging Face cache; fetch no weights."""
    directory = model_directory(model)
    if directory is not None:
        config: Mapping[str, Any] = read_files(directory).config
    else:
        named = name_model(model, like)
        config, directory = named.config, named.directory
    is_there = directory is not None and has_checkpoint(directory)
    kind = "checkpoint" if is_there else "random"
    return Weights(kind=kind, config=config, directory=directory)


def has_checkpoint(directory: Path) -> bool:
    """Whether the directory holds all files of a checkpoint (a download may have been cut off)."""
    files = list(directory.glob(_WEIGHTS))
    for index in directory.glob(_INDEX):
        shards = json.loads(index.read_text(encoding="utf-8")).get("weight_map", {}).values()
        if all((directory / shard).is_file() for shard in shards):
            return bool(shards)
        files = [path for path in files if path.name not in shards]
    return bool(files)


# Beside the model's own config.json, transformers takes the usual tokenizer class of some
# architectures and not the one named here; beside none, vLLM waits two seconds and looks again.
_TOKENIZER_FILES = {
    "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "t0"},
    "config.json": {"model_type": "gpt2", "transformers_version": "5.0.0"},
}


def word_tokenizer(vocab_size: int) -> "Tokenizer":
    """Return a tokenizer that reads and writes ``t17 t4`` for the ids 17 and 4."""
    from tokenizers import Tokenizer, models, pre_tokenizers

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
