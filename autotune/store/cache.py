"""A columnar copy of the store's records beside the store, so that advice need not open MLflow.

Whatever writes to the store refreshes it; ``autotune train`` and every other command that opens
the store may rebuild it. It can be deleted at any time.
"""

import contextlib
import fcntl
import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from autotune.errors import InvalidRecordError
from autotune.files import file_name, write_atomically
from autotune.schema.codec import from_json_line, to_json_line
from autotune.schema.record import RECORD_FIELDS, RunRecord
from autotune.store.sampling import sample_of

_VERSION = 4


def seal(values: Mapping[str, Any]) -> str:
    """Return JSON under a line that says its version and checksum."""
    body = json.dumps(values, separators=(",", ":"))
    return json.dumps(_head(body)) + "\n" + body


def unseal(text: str) -> Any:
    """Return what was sealed.

    Raises:
        ValueError: When it has another version or another content.
    """
    head, _, body = text.partition("\n")
    if json.loads(head) != _head(body):
        raise ValueError("another version, or changed")
    return json.loads(body)


def _head(body: str) -> dict[str, Any]:
    return {"version": _VERSION, "sha256": hashlib.sha256(body.encode()).hexdigest()}


def to_columns(records: Sequence[RunRecord]) -> dict[str, Any]:
    """Return the records by column."""
    rows = [record.to_dict() for record in records]
    columns: dict[str, Any] = {}
    for name in RECORD_FIELDS:
        values = [row[name] for row in rows]
        is_same = bool(values) and all(value == values[0] for value in values)
        columns[name] = {"all": values[0]} if is_same else {"each": values}
    return {"n": len(records), "columns": columns}


def from_columns(data: Mapping[str, Any]) -> list[RunRecord]:
    """Return the records that ``to_columns`` took.

    Raises:
        InvalidRecordError, KeyError, TypeError, ValueError: When they are none.
    """
    lists = [
        column["each"] if "each" in column else [column["all"]] * data["n"]
        for column in (data["columns"][name] for name in RECORD_FIELDS)
    ]
    return [
        RunRecord.from_dict(dict(zip(RECORD_FIELDS, row, strict=True)))
        for row in zip(*lists, strict=True)
    ]


_COLUMNS, _TAIL = "columns-", "tail-"
_LONGEST_TAIL = 2**20
_LONGEST_SAMPLE = 2**22
_TRIES = 3


class RecordCache:
    """The cache of one store: a file of columns a model, and what was added since as JSON lines.

    An index names each model's file. Files are named by their content, so that readers see the old
    cache or the new one, never a part. A sample of all models' runs is kept beside them.
    """

    def __init__(self, directory: Path) -> None:
        self._folder = directory / "cache"
        self.path = self._folder / "index.json"
        # No name of runs to import: a folder that is imported may hold a store.
        self._sample = self._folder / "sample.lines"

    def read(self, *, model: str | None = None) -> list[RunRecord] | None:
        """Return the cached records, or ``None`` when there is no usable cache.

        Those of one model come in the order of the store.

        Args:
            model: Only this model's records (the others are never read, which saves time).
        """
        # What an index names may be replaced before it is read; the new index then names others.
        for _ in range(_TRIES):
            with contextlib.suppress(FileNotFoundError):
                try:
                    return self._read(model)
                except FileNotFoundError:
                    raise
                except (OSError, ValueError, KeyError, TypeError, RecursionError):
                    return None
        return None

    def sample(self) -> list[RunRecord]:
        """Return some runs of every landscape; of what was added last there may be more."""
        runs = []
        for line in _lines(self._sample):
            with contextlib.suppress(InvalidRecordError):
                runs.append(from_json_line(line))
        return runs

    def extend(self, records: Iterable[RunRecord]) -> bool:
        """Add records that were written to the store; false when there is no cache to add to.

        A disk that refuses them leaves no cache, rather than one that lacks something.
        """
        if not self.path.exists():
            return False
        lines: dict[str, str] = {}
        for record in records:
            lines[record.model] = lines.get(record.model, "") + to_json_line(record) + "\n"
        try:
            with self._changing():
                for model, text in lines.items():
                    with self._tail_path(model).open("a", encoding="utf-8") as file:
                        file.write(text)
                    if self._tail_path(model).stat().st_size > _LONGEST_TAIL:
                        self._fold(model)
                with self._sample.open("a", encoding="utf-8") as file:
                    file.write("".join(lines.values()))
                if self._sample.stat().st_size > _LONGEST_SAMPLE:
                    self._write_sample(self.sample())
        except OSError:
            self.drop()
        return True

    def replace(self, records: Sequence[RunRecord]) -> None:
        """Write the whole cache; what another process has added since they were read stays."""
        by_model: dict[str, list[RunRecord]] = {}
        for record in records:
            by_model.setdefault(record.model, []).append(record)
        held = {record.record_id for record in records}
        try:
            with self._changing():
                index = {model: self._write(model, rows) for model, rows in by_model.items()}
                write_atomically(self.path, seal(index))
                self._write_sample(records)
                for path in self._folder.glob(f"{_TAIL}*"):
                    kept = [line for line in _lines(path) if _is_other(line, held)]
                    write_atomically(path, "".join(line + "\n" for line in kept))
                self._sweep(index)
        except OSError:
            self.drop()

    def drop(self) -> None:
        """Delete the cache; whoever needs it reads the store instead."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)

    def _read(self, model: str | None) -> list[RunRecord]:
        # First what was added: what moves into a file meanwhile is then seen twice, not missed.
        added = self._added(model)
        index: dict[str, str] = unseal(self.path.read_text(encoding="utf-8"))
        names = [name for key, name in index.items() if model is None or key == model]
        records = [
            record
            for name in names
            for record in from_columns(unseal((self._folder / name).read_text(encoding="utf-8")))
        ]
        held = {record.record_id for record in records}
        return records + [record for record in added if record.record_id not in held]

    def _added(self, model: str | None) -> list[RunRecord]:
        paths = (
            sorted(self._folder.glob(f"{_TAIL}*")) if model is None else [self._tail_path(model)]
        )
        return [from_json_line(line) for path in paths for line in _lines(path)]

    def _write(self, model: str, records: Sequence[RunRecord]) -> str:
        """Write one model's file; return its name."""
        text = seal(to_columns(records))
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        name = f"{_COLUMNS}{file_name(model)}-{digest}.json"
        write_atomically(self._folder / name, text)
        return name

    def _write_sample(self, records: Sequence[RunRecord]) -> None:
        lines = (to_json_line(record) + "\n" for record in sample_of(records))
        write_atomically(self._sample, "".join(lines))

    def _fold(self, model: str) -> None:
        """Put what was added of one model into its file; the others are left alone."""
        try:
            index = unseal(self.path.read_text(encoding="utf-8"))
            index[model] = self._write(model, self._read(model))
        except (ValueError, KeyError, TypeError):
            self.drop()
            return
        write_atomically(self.path, seal(index))
        self._tail_path(model).unlink()
        self._sweep(index)

    def _sweep(self, index: Mapping[str, str]) -> None:
        """Delete the files of columns that an index does not name."""
        named = set(index.values())
        for path in self._folder.glob(f"{_COLUMNS}*"):
            if path.name not in named:
                path.unlink(missing_ok=True)

    def _tail_path(self, model: str) -> Path:
        return self._folder / f"{_TAIL}{file_name(model)}.jsonl"

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Let one process of this host after the other change the cache."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / ".lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _lines(path: Path) -> list[str]:
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    return [line for line in text.split("\n") if line]


def _is_other(line: str, held: Collection[str]) -> bool:
    """Whether a line is a record, and none of those held."""
    try:
        return from_json_line(line).record_id not in held
    except InvalidRecordError:
        return False
