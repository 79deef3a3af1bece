"""Files: names safe on any system, YAML read with its mistakes named."""

import hashlib
import re
import tempfile
from pathlib import Path
from typing import Any

from autotune.errors import InvalidConfigError, StoreError

_MOST_BYTES = 2**20
_MOST_VALUES = 100_000


def read_yaml(path: Path) -> Any:
    """Return what a YAML (or JSON) file holds.

    Raises:
        InvalidConfigError: When it cannot be read, is no YAML, or stands for too much.
    """
    import yaml

    try:
        data = path.read_bytes()[: _MOST_BYTES + 1]
        if len(data) > _MOST_BYTES:
            raise InvalidConfigError(f"{path} is larger than {_MOST_BYTES} bytes")
        text = data.decode()
        if _count(yaml.compose(text, Loader=yaml.SafeLoader), {}) > _MOST_VALUES:
            raise InvalidConfigError(f"{path} stands for more than {_MOST_VALUES} values")
        return yaml.safe_load(text)
    except InvalidConfigError:
        raise
    # Besides its own errors, PyYAML lets those of the values through (a 13th month).
    except (OSError, ValueError, RecursionError, OverflowError, yaml.YAMLError) as error:
        raise InvalidConfigError(f"cannot read {path}: {error}") from error


def _count(node: Any, known: dict[int, int]) -> int:
    """Return how many values a node stands for; one that holds itself stands for too many."""
    if node is None or not isinstance(node.value, list):
        return 1
    if id(node) not in known:
        known[id(node)] = _MOST_VALUES
        parts = [part for item in node.value for part in (item if type(item) is tuple else (item,))]
        known[id(node)] = 1 + sum(_count(part, known) for part in parts)
    return known[id(node)]


_UNSAFE = re.compile(r"[^A-Za-z0-9._:+=@-]+")
_LONGEST = 120


def file_name(text: str) -> str:
    """Return ``text`` where it can name a file anywhere, else what is left of it and a checksum.

    >>> file_name("20260101-000000-abcdef")
    '20260101-000000-abcdef'
    >>> file_name("../../etc/passwd")
    'etc-passwd-f0a6c4ad'
    """
    plain = _UNSAFE.sub("-", text).strip(".-")[:_LONGEST]
    if plain and plain == text:
        return text
    digest = hashlib.sha256(text.encode(errors="replace")).hexdigest()[:8]
    return f"{plain}-{digest}" if plain else digest


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that readers see the old one or the new one, never a part.

    Raises:
        StoreError: When the disk refuses, naming the file.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f"{path.name}.") as folder:
            part = Path(folder) / path.name
            part.write_text(text, encoding="utf-8")
            part.replace(path)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error
