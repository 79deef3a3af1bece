"""Where a model's weights come from: a checkpoint when there is one, otherwise random values.

Speed does not depend on the values of the weights, so a model is measured from its config.json.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autotune.catalog.models import is_model_directory, model_config

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


def find_weights(model: str) -> Weights:
    """Look in the model's directory, then in the local Hugging Face cache, never on the network."""
    config = model_config(model)
    directory = Path(model) if is_model_directory(model) else cached_snapshot(model)
    if directory is None:
        return Weights(kind="random", config=config, directory=None)
    kind = "checkpoint" if has_checkpoint(directory) else "random"
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


def cached_snapshot(model: str) -> Path | None:
    """Return the newest snapshot of a hub model in the local cache, or ``None``."""
    home = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    cache = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    snapshots = cache / f"models--{model.replace('/', '--')}" / "snapshots"
    if not snapshots.is_dir():
        return None
    whole = [path for path in snapshots.iterdir() if (path / "config.json").is_file()]
    return max(whole, key=lambda path: path.stat().st_mtime, default=None)
