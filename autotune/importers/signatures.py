"""What a file shows of itself: its columns or JSON keys, by which its format is recognised."""

import csv
import gzip
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autotune.errors import UsageError

# What reading a file of text, compressed or not, may raise.
UNREADABLE = (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error)
_FIRST_LINE = 65_536
_SEARCHED = 262_144


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What a file of one format must show.

    Attributes:
        sought: The same in words, for the message when nothing fits.
        columns: Names that its CSV header holds.
        keys: Keys that its (first) JSON object holds.
        phrases: Texts that it holds near its beginning.
    """

    sought: str
    columns: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    phrases: tuple[str, ...] = ()

    def fits(self, head: "Head") -> bool:
        """Say whether a file shows all of it."""
        return (
            self.columns <= head.columns
            and self.keys <= head.keys
            and all(phrase in head.text for phrase in self.phrases)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The beginning of a file.

    Attributes:
        columns: Cells of its first line; empty for JSON.
        keys: Keys of its (first) JSON object, those of objects within as ``outer.inner``.
    """

    first_line: str
    text: str
    columns: frozenset[str]
    keys: frozenset[str]


def read_head(path: Path) -> Head:
    """Read what a file shows; a JSON document is read whole.

    Raises:
        UsageError: When it cannot be read or is not text.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8") as file:
            first = str(file.readline(_FIRST_LINE))
            is_json = first.lstrip()[:1] in ("{", "[")
            rest = file.read() if is_json else file.read(_SEARCHED)
    except UNREADABLE as error:
        raise UsageError(f"cannot read {path}: {error}") from error
    return Head(
        first_line=first.strip(),
        text=(first + rest)[:_SEARCHED],
        columns=frozenset() if is_json else frozenset(_cells(first)),
        keys=frozenset(_keys(first, first + rest)) if is_json else frozenset(),
    )


def _cells(line: str) -> Iterable[str]:
    # A byte-order mark, as spreadsheets write it, is no part of the first name.
    return (cell.strip() for cell in next(csv.reader([line.removeprefix("\ufeff")]), []))


def _keys(first: str, whole: str) -> Iterable[str]:
    for text in (whole, first):
        found = _first_object(text)
        if found is not None:
            yield from found
            for key, value in found.items():
                if isinstance(value, Mapping):
                    yield from (f"{key}.{inner}" for inner in value)
            return


def _first_object(text: str) -> Mapping[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, Mapping) else None
