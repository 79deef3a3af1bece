"""What describes a model beside its weights: in a directory, or in the local Hugging Face cache.

The cache is read as huggingface_hub lays it out, without that package: importing it takes longer
than all the rest of an answer.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from autotune.catalog.architecture.families import Config, text_config
from autotune.errors import InvalidModelConfigError

CONFIG = "config.json"
INDEX = "model.safetensors.index.json"
# Where a format is told that config.json does not tell: ModelOpt's, AutoGPTQ's and AutoAWQ's file.
QUANTIZATION_FILES: Mapping[str, str] = {
    "hf_quant_config.json": "modelopt",
    "quantize_config.json": "gptq",
    "quant_config.json": "awq",
}
_COMMIT = re.compile(r"[0-9a-zA-Z]{6,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFiles:
    """What the files of a directory say.

    Attributes:
        config: Of config.json, with the quantisation that a file beside it tells.
        checkpoint_bytes: Of the weights, by their safetensors index; ``None`` without one.
    """

    directory: Path
    config: dict[str, object]
    checkpoint_bytes: int | None


def model_directory(name: str) -> Path | None:
    """Return the directory that holds the config.json which a name is the path of, or leads to."""
    path = Path(name)
    try:
        if (path / CONFIG).is_file():
            return path
        return path.parent if path.name == CONFIG and path.is_file() else None
    except OSError:  # too long for a path, for one
        return None


def cached_snapshot(name: str) -> Path | None:
    """Return the snapshot of a Hub model in the local cache: that of main, else the newest."""
    repository = cache_directory() / f"models--{name.strip().replace('/', '--')}"
    try:
        commit = (repository / "refs" / "main").read_text(encoding="utf-8").strip()
        current = repository / "snapshots" / commit
        if _COMMIT.fullmatch(commit) and (current / CONFIG).is_file():
            return current
    except (OSError, ValueError):  # not there, no text, or no name for a file
        pass
    try:
        there = [path for path in (repository / "snapshots").iterdir() if (path / CONFIG).is_file()]
        return max(there, key=lambda path: path.stat().st_mtime, default=None)
    except (OSError, ValueError):
        return None


def cache_directory() -> Path:
    """Return where huggingface_hub keeps models, by the variables that it reads."""
    environment = os.environ
    home = Path(environment.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    hub = Path(environment.get("HF_HOME") or home) / "hub"
    chosen = environment.get("HF_HUB_CACHE") or environment.get("HUGGINGFACE_HUB_CACHE") or str(hub)
    return Path(os.path.expandvars(chosen)).expanduser()


def read_files(directory: Path) -> ModelFiles:
    """Return what a directory's files say of its model.

    Raises:
        InvalidModelConfigError: When its config.json is not a JSON object.
    """
    config = _read_object(directory / CONFIG)
    if not text_config(config).get("quantization_config"):
        told = _quantization(directory)
        config |= {} if told is None else {"quantization_config": told}
    return ModelFiles(
        directory=directory, config=config, checkpoint_bytes=_checkpoint_bytes(directory)
    )


def _quantization(directory: Path) -> dict[str, object] | None:
    """Return the quantisation of a file beside config.json, with the keys that config.json has."""
    for name, method in QUANTIZATION_FILES.items():
        if (directory / name).is_file():
            told = _read_object(directory / name)
            inner = told.get("quantization")
            keys: Config = inner if isinstance(inner, Mapping) else told
            bits = keys.get("bits", keys.get("w_bit"))
            return {"quant_method": method, **keys} | ({} if bits is None else {"bits": bits})
    return None


def _checkpoint_bytes(directory: Path) -> int | None:
    path = directory / INDEX
    if not path.is_file():
        return None
    metadata = _read_object(path).get("metadata")
    total = metadata.get("total_size") if isinstance(metadata, Mapping) else None
    if isinstance(total, bool) or not isinstance(total, int | float) or total != total // 1:
        return None
    return int(total) if total > 0 else None


def _read_object(path: Path) -> dict[str, object]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as err:
        raise InvalidModelConfigError(f"{path} is not JSON: {err}") from err
    if not isinstance(value, dict):
        raise InvalidModelConfigError(f"{path} must hold an object")
    return value
