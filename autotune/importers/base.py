"""What every reader is made of: the signature it is recognised by, options, good rows, bad rows."""

import csv
import gzip
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autotune.errors import InvalidRecordError, UsageError
from autotune.schema.record import RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A row that was not taken.

    Attributes:
        line: 1-based line (or row) of the file.
        reason: What is wrong with it, in one sentence.
        row: The row as it was read.
        file: The file it stands in; ``None`` means the one that was imported.
    """

    line: int
    reason: str
    row: Mapping[str, Any]
    file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a good row stands: its file and 1-based line (or row)."""

    file: Path
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """Rows of one file or folder: those taken and those refused.

    Attributes:
        places: Where each of ``records`` stands, in their order; empty if the reader cannot say.
    """

    records: list[RunRecord] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """What the user adds to files that do not say it.

    Attributes:
        engine: The engine behind the server, which a client cannot see.
        model: Catalogue name of the model where the file has only a path or an alias.
        batch_size: Sequences in flight.
        input_len: Prompt tokens a request.
        output_len: Generated tokens a request.
    """

    engine: str | None = None
    gpu: str | None = None
    n_gpus: int | None = None
    engine_version: str | None = None
    model: str | None = None
    batch_size: int | None = None
    input_len: int | None = None
    output_len: int | None = None

    def given(self) -> list[str]:
        """Return the flags that the user gave."""
        return [flag(name) for name in OPTION_NAMES if getattr(self, name) is not None]

    def choose(self, name: str, stated: Any) -> Any:
        """Return what the file states, or else the option.

        Raises:
            InvalidRecordError: When both are there and differ.
        """
        option = getattr(self, name)
        if stated is None or option is None or stated == option:
            return option if stated is None else stated
        raise InvalidRecordError(
            f"the file says {name}={stated!r}, {flag(name)} says {option!r}: leave the option out"
        )

    def need(self, name: str, stated: Any) -> Any:
        """Return what the file states, or else the option, which must then be there.

        Raises:
            InvalidRecordError: Naming the option that is missing.
        """
        value = self.choose(name, stated)
        if value is None:
            raise InvalidRecordError(f"the file does not say {name}: give {flag(name)}")
        return value


OPTION_NAMES = tuple(ImportOptions.__dataclass_fields__)


def flag(name: str) -> str:
    """Return the command-line flag of an option: ``--n-gpus`` for ``n_gpus``."""
    return "--" + name.replace("_", "-")


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
