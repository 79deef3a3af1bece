"""The append-only record of a study: every result is on disk here before anything else sees it.

A journal is a file of RunRecords, one JSON line each. A line is whole or absent: it is written by
one ``write`` and flushed to the disk. A last line torn by a crash is set aside in ``FILE.torn``.
One process writes at a time (an advisory lock says so); readers need no lock.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autotune.codec import from_json_line, read_lines, to_json_line
from autotune.errors import InvalidRecordError, JournalError
from autotune.records import RunRecord


class Journal:
    """An open journal. Use ``open_journal``.

    Attributes:
        torn: A last line that a crash tore and that was set aside; ``None`` normally.
    """

    def __init__(
        self, path: Path, descriptor: int, records: list[RunRecord], torn: str | None = None
    ) -> None:
        self.path = path
        self.records = records
        self.torn = torn
        self._descriptor = descriptor

    def append(self, record: RunRecord) -> None:
        """Write one record durably.

        Raises:
            JournalError: When the disk refuses; the file then ends with the last whole line.
        """
        line = (to_json_line(record) + "\n").encode()
        end = os.lseek(self._descriptor, 0, os.SEEK_END)
        try:
            if os.write(self._descriptor, line) != len(line):
                raise OSError("the disk took only a part of the line")
            os.fsync(self._descriptor)
        except OSError as error:
            os.ftruncate(self._descriptor, end)
            raise JournalError(f"cannot write to journal {self.path}: {error}") from error
        self.records.append(record)


@contextmanager
def open_journal(path: Path, *, resume: bool) -> Iterator[Journal]:
    """Open a journal for writing and hold it for this process.

    Args:
        path: The file; its folder is created.
        resume: Go on with a file that holds records already; without it such a file is refused.

    Raises:
        JournalError: When it cannot be opened, is in use, or holds records and ``resume`` is off.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise JournalError(f"cannot open journal {path}: {error}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise JournalError(f"journal {path} is in use by another study") from error
        torn = set_torn_line_aside(path, descriptor)
        records = read_journal(path)
        if records and not resume:
            raise JournalError(
                f"journal {path} already holds {len(records)} records; "
                "add --resume to go on with it, or name another file"
            )
        yield Journal(path, descriptor, records, torn)
    finally:
        os.close(descriptor)


def set_torn_line_aside(path: Path, descriptor: int) -> str | None:
    """Move a last line without a newline to ``FILE.torn``; return it, or ``None``."""
    data = path.read_bytes()
    if not data or data.endswith(b"\n"):
        return None
    keep = data.rfind(b"\n") + 1
    with path.with_name(path.name + ".torn").open("ab") as torn:
        torn.write(data[keep:] + b"\n")
    os.ftruncate(descriptor, keep)
    return data[keep:].decode(errors="replace")


def read_journal(path: Path) -> list[RunRecord]:
    """Return the records of a journal; a torn last line is left out.

    Raises:
        JournalError: When the file cannot be read, or a whole line is not a RunRecord.
    """
    try:
        torn = not path.read_bytes().endswith(b"\n")
        lines = list(read_lines(path))
    except (OSError, UnicodeDecodeError) as error:
        raise JournalError(f"cannot read journal {path}: {error}") from error
    records = []
    for number, line in lines:
        try:
            records.append(from_json_line(line))
        except InvalidRecordError as error:
            if torn and number == lines[-1][0]:
                break
            raise JournalError(f"{path}:{number}: {error}") from error
    return records
