"""A columnar copy of the store's records beside the store, so that advice need not open MLflow.

Whatever writes to the store refreshes it; ``autotune train`` and every other command that opens
the store may rebuild it. It can be deleted at any time.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from autotune.codec import from_json_line, to_json_line
from autotune.errors import InvalidRecordError, StoreError
from autotune.records import RECORD_FIELDS, RunRecord

DEFAULT_DIRECTORY = Path("mlruns")
_VERSION = 2


def default_uri() -> str:
    """Return ``MLFLOW_TRACKING_URI``, or the sqlite store under ``mlruns/`` of this directory."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{DEFAULT_DIRECTORY}/mlflow.db"


def store_directory(uri: str) -> Path:
    """Return where autotune keeps what belongs to a store: beside it, or in the user's cache."""
    if uri.startswith("sqlite:///"):
        return Path(uri.removeprefix("sqlite:///")).parent
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return home / "autotune" / hashlib.sha256(uri.encode()).hexdigest()[:16]


class RecordCache:
    """The cache of one store: a JSON file of columns, and the records added since as JSON lines."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "cache" / "records.json"
        self.tail_path = directory / "cache" / "records.tail.jsonl"
        self._lock_path = directory / "cache" / ".lock"

    def read(self, *, model: str | None = None) -> list[RunRecord] | None:
        """Return the cached records, or ``None`` when there is no usable cache.

        Args:
            model: Only this model's records (the others are never built, which saves time).
        """
        try:
            head, _, body = self.path.read_text(encoding="utf-8").partition("\n")
            if json.loads(head) != _head(body):
                return None
            data = json.loads(body)
            records = _from_columns(data["columns"], data["n"], model)
            tail = [from_json_line(line) for line in self._tail_lines()]
            # another process may have read the store while these were being logged
            held = {record.record_id for record in records}
            records += [
                r for r in tail if (model is None or r.model == model) and r.record_id not in held
            ]
        except (OSError, ValueError, KeyError, TypeError, InvalidRecordError):
            return None
        return records

    def extend(self, records: Iterable[RunRecord]) -> bool:
        """Add records that were written to the store; false when there is no cache to add to.

        A disk that refuses them leaves no cache, rather than one that lacks something.
        """
        if not self.path.exists():
            return False
        text = "".join(to_json_line(record) + "\n" for record in records)
        try:
            with self._changing(), self.tail_path.open("a", encoding="utf-8") as file:
                file.write(text)
        except OSError:
            self.drop()
        return True

    def replace(self, records: Sequence[RunRecord]) -> None:
        """Write the whole cache; readers see the old one or the new one, never a part.

        What another process has added since the records were read stays.
        """
        columns = _to_columns(records)
        body = json.dumps({"n": len(records), "columns": columns}, separators=(",", ":"))
        held = {record.record_id for record in records}
        try:
            with self._changing():
                tail = [line for line in self._tail_lines() if _is_other(line, held)]
                write_atomically(self.path, json.dumps(_head(body)) + "\n" + body)
                write_atomically(self.tail_path, "".join(line + "\n" for line in tail))
        except OSError:
            self.drop()

    def drop(self) -> None:
        """Delete the cache; whoever needs it reads the store instead."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)

    def _tail_lines(self) -> list[str]:
        if not self.tail_path.exists():
            return []
        text = self.tail_path.read_text(encoding="utf-8", errors="replace")
        return [line for line in text.split("\n") if line]

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Let one process of this host after the other change the cache."""
        self._lock_path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock_path.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _is_other(line: str, held: Collection[str]) -> bool:
    """Whether a line is a record, and none of those held."""
    try:
        return from_json_line(line).record_id not in held
    except InvalidRecordError:
        return False


def _head(body: str) -> dict[str, Any]:
    """Return what stands above the columns: a cache with another content is no cache."""
    return {"version": _VERSION, "sha256": hashlib.sha256(body.encode()).hexdigest()}


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


def _to_columns(records: Sequence[RunRecord]) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    rows = [record.to_dict() for record in records]
    for name in RECORD_FIELDS:
        values = [row[name] for row in rows]
        if values and all(value == values[0] for value in values):
            columns[name] = {"all": values[0]}
        else:
            columns[name] = {"each": values}
    return columns


def _from_columns(columns: dict[str, Any], n: int, model: str | None) -> list[RunRecord]:
    lists = [
        column["each"] if "each" in column else [column["all"]] * n
        for column in (columns[name] for name in RECORD_FIELDS)
    ]
    at = RECORD_FIELDS.index("model")
    return [
        RunRecord.from_dict(dict(zip(RECORD_FIELDS, row, strict=True)))
        for row in zip(*lists, strict=True)
        if model is None or row[at] == model
    ]
