"""The append-only record of a study: every result is on disk here before anything else sees it.

A journal is a file of RunRecords, one JSON line each. A line is whole or absent: it is written by
one ``write`` and flushed to the disk. A last line torn by a crash is set aside in ``FILE.torn``;
one that lacks only its newline is whole. One process writes at a time (an advisory lock says so);
readers need no lock.
"""

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autotune.errors import InvalidRecordError, JournalError
from autotune.schema.codec import from_json_line, to_json_line
from autotune.schema.record import RunRecord


class Journal:
    """An open journal. Use ``open_journal``.

    Attributes:
        records: What it holds, the oldest first.
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
            JournalError: When the disk refuses; the file then ends with the last whole line, and
                the message with the one that found no room.
        """
        line = to_json_line(record)
        try:
            _write_whole(self._descriptor, (line + "\n").encode())
        except OSError as error:
            raise JournalError(
                f"cannot write to journal {self.path}: {error}. Make room and go on with --resume; "
                f"this result is nowhere else (`autotune import` takes it from a file):\n{line}"
            ) from error
        self.records.append(record)


@contextmanager
def open_journal(path: Path, *, resume: bool) -> Iterator[Journal]:
    """Open a journal for writing and hold it for this process.

    Args:
        path: The file; its folder is created.
        resume: Go on with a file that holds records already; without it such a file is refused.

    Raises:
        JournalError: When it cannot be opened, is in use, is not a journal, or holds records and
            ``resume`` is off.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise JournalError(f"cannot open journal {path}: {error}") from error
    try:
        yield _take(path, descriptor, resume=resume)
    finally:
        os.close(descriptor)


def _take(path: Path, descriptor: int, *, resume: bool) -> Journal:
    """Lock an open journal and read it; nothing is changed in a file that is refused."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise JournalError(f"journal {path} is in use by another study") from error
    except OSError as error:
        raise JournalError(f"journal {path} cannot be locked: {error}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise JournalError(f"journal {path} is not a regular file")
    records, tail = _parse(path, _read(path))
    if records and not resume:
        raise JournalError(
            f"journal {path} already holds {len(records)} records; "
            "add --resume to go on with it, or name another file"
        )
    try:
        torn = _mend(path, descriptor, tail)
        if not records:
            _flush_folder(path.parent)
    except OSError as error:
        raise JournalError(f"cannot mend journal {path}: {error}") from error
    return Journal(path, descriptor, records, torn)


def _mend(path: Path, descriptor: int, tail: bytes) -> str | None:
    """Complete a last line that lacks its newline; set a torn one aside and return it."""
    if tail and _is_whole(tail):
        _write_whole(descriptor, b"\n")
        return None
    if tail:
        _set_aside(path, descriptor, tail)
    return tail.decode(errors="replace") or None


def read_journal(path: Path) -> list[RunRecord]:
    """Return the records of a journal; a torn last line is left out.

    Raises:
        JournalError: When the file cannot be read, or a whole line is not a RunRecord.
    """
    records, _ = _parse(path, _read(path))
    return records


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise JournalError(f"cannot read journal {path}: {error}") from error


def _parse(path: Path, data: bytes) -> tuple[list[RunRecord], bytes]:
    """Return the records of all whole lines, and what follows the last newline."""
    *lines, tail = data.split(b"\n")
    if tail and not tail.startswith((b"{", b"\0")):
        raise JournalError(f"{path}:{len(lines) + 1}: not a journal: {tail[:80]!r}")
    records = []
    for number, line in enumerate([*lines, tail] if _is_whole(tail) else lines, start=1):
        if not line.strip():
            continue
        try:
            records.append(_record(line))
        except InvalidRecordError as error:
            raise JournalError(f"{path}:{number}: {error}") from error
    return records, tail


def _record(line: bytes) -> RunRecord:
    try:
        return from_json_line(line.decode())
    except UnicodeDecodeError as error:
        raise InvalidRecordError(f"not UTF-8: {error.reason}") from None


def _is_whole(line: bytes) -> bool:
    try:
        _record(line)
    except InvalidRecordError:
        return False
    return True


def _write_whole(descriptor: int, data: bytes) -> None:
    """Append all of ``data`` and flush it, or leave the file as it was."""
    end = os.lseek(descriptor, 0, os.SEEK_END)
    try:
        if os.write(descriptor, data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # it took a part of the line
        os.fsync(descriptor)
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, end)
        raise


def _set_aside(path: Path, descriptor: int, tail: bytes) -> None:
    """Move a torn last line to ``FILE.torn``; it is there before it is gone here."""
    with path.with_name(path.name + ".torn").open("ab") as torn:
        torn.write(tail + b"\n")
        torn.flush()
        os.fsync(torn.fileno())
    os.ftruncate(descriptor, os.lseek(descriptor, 0, os.SEEK_END) - len(tail))
    os.fsync(descriptor)


def _flush_folder(folder: Path) -> None:
    """Make a new file's name as durable as its content."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
