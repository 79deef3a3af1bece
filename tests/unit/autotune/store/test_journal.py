"""A journal line is whole or absent, whatever happened to the file."""

import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from autotune.errors import JournalError
from autotune.schema.codec import to_json_line
from autotune.schema.record import RunRecord
from autotune.store.journal import open_journal, read_journal
from tests.support import ROOT
from tests.support.records import record

RECORDS = [record(batch_size=2**k, notes="naïve 測試 🚀") for k in range(3)]
LINES = [(to_json_line(r) + "\n").encode() for r in RECORDS]


def write(path: Path, records: list[RunRecord]) -> None:
    with open_journal(path, resume=True) as journal:
        for item in records:
            journal.append(item)


def test_what_is_appended_is_read_back(tmp_path: Path) -> None:
    write(tmp_path / "new" / "folder" / "j.jsonl", RECORDS)
    assert read_journal(tmp_path / "new" / "folder" / "j.jsonl") == RECORDS
    with open_journal(tmp_path / "new" / "folder" / "j.jsonl", resume=True) as journal:
        assert journal.records == RECORDS
        assert journal.torn is None


@pytest.fixture
def memory_path() -> Iterator[Path]:
    """A folder where a thousand flushes take no time, if there is one."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


def test_a_tear_at_any_byte_loses_only_the_torn_line(memory_path: Path) -> None:
    data = b"".join(LINES)
    path, torn = memory_path / "j.jsonl", memory_path / "j.jsonl.torn"
    ends = [len(b"".join(LINES[: k + 1])) for k in range(len(LINES))]
    for offset in range(len(data) + 1):
        path.write_bytes(data[:offset])
        torn.unlink(missing_ok=True)
        # A line that lacks only its newline is whole.
        whole = sum(offset >= end - 1 for end in ends)
        tail = data[:offset].rpartition(b"\n")[2] if offset + 1 not in ends else b""
        assert read_journal(path) == RECORDS[:whole]
        with open_journal(path, resume=True) as journal:
            assert journal.records == RECORDS[:whole]
            assert (journal.torn is not None) == bool(tail)
            assert (torn.read_bytes() if torn.exists() else b"") == (tail + b"\n" if tail else b"")
            journal.append(RECORDS[-1])
        assert read_journal(path) == [*RECORDS[:whole], RECORDS[-1]]


def test_a_tail_of_zeros_after_a_power_cut_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    path.write_bytes(LINES[0] + b"\0" * 100)
    write(path, [RECORDS[1]])
    assert read_journal(path) == RECORDS[:2]


@pytest.mark.parametrize("content", [b"", b"\n", b"\n\n"])
def test_an_empty_journal_can_be_begun(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "j.jsonl"
    path.write_bytes(content)
    with open_journal(path, resume=False) as journal:
        journal.append(RECORDS[0])
    assert read_journal(path) == RECORDS[:1]


def test_a_journal_with_records_is_refused_without_resume_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    path.write_bytes(LINES[0] + LINES[1][:9])
    with (
        pytest.raises(JournalError, match="already holds 1 records; add --resume"),
        open_journal(path, resume=False),
    ):
        pass
    assert path.read_bytes() == LINES[0] + LINES[1][:9]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (LINES[0] + b"{}\n" + LINES[1], "j.jsonl:2: missing"),
        (LINES[0] + b'{"a": "\xff"}\n', "j.jsonl:2: not UTF-8"),
        (b"my shopping list", "j.jsonl:1: not a journal"),
        (b"a,b\n1,2\n", "j.jsonl:1: not JSON"),
    ],
)
def test_a_file_that_is_no_journal_is_refused_and_left_as_it_is(
    tmp_path: Path, content: bytes, says: str
) -> None:
    path = tmp_path / "j.jsonl"
    path.write_bytes(content)
    with pytest.raises(JournalError, match=says), open_journal(path, resume=True):
        pass
    with pytest.raises(JournalError, match=says):
        read_journal(path)
    assert path.read_bytes() == content
    assert not path.with_name("j.jsonl.torn").exists()


def test_a_second_writer_is_refused_until_the_first_is_done(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    with open_journal(path, resume=True) as journal:
        with pytest.raises(JournalError, match="in use"), open_journal(path, resume=True):
            pass
        journal.append(RECORDS[0])
        assert read_journal(path) == RECORDS[:1]
    with open_journal(path, resume=True) as journal:
        assert journal.records == RECORDS[:1]


def test_a_journal_that_cannot_be_opened_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path, tmp_path / "file" / "j.jsonl"):
        with (
            pytest.raises(JournalError, match="cannot open journal"),
            open_journal(path, resume=True),
        ):
            pass
    with pytest.raises(JournalError, match="cannot read journal"):
        read_journal(tmp_path / "absent.jsonl")


def test_a_full_disk_is_a_journal_error_and_leaves_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    limit = len(LINES[0]) + len(LINES[1]) // 2
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with open_journal(path, resume=True) as journal:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
            journal.append(RECORDS[0])
            with pytest.raises(JournalError, match="cannot write to journal"):
                journal.append(RECORDS[1])
            assert journal.records == RECORDS[:1]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert path.read_bytes() == LINES[0]
    write(path, [RECORDS[1]])
    assert read_journal(path) == RECORDS[:2]


def test_a_device_is_no_journal() -> None:
    with (
        pytest.raises(JournalError, match="/dev/zero is not a regular file"),
        open_journal(Path("/dev/zero"), resume=True),
    ):
        pass


WRITER = """
import sys
from pathlib import Path
from autotune.store.journal import open_journal
from tests.support.records import record
with open_journal(Path(sys.argv[1]), resume=True) as journal:
    begin = len(journal.records)
    print(begin, flush=True)
    for k in range(begin, 1_000_000):
        journal.append(record(batch_size=k + 1))
"""


def test_a_writer_killed_at_any_moment_leaves_whole_lines_in_order(memory_path: Path) -> None:
    path = memory_path / "j.jsonl"
    for delay in (0.0, 0.003, 0.01):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)],
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        assert writer.stdout is not None
        known = int(writer.stdout.readline())
        while len(path.read_bytes().splitlines()) < known + 5 + delay * 1000:
            pass
        writer.kill()
        writer.wait()
        writer.stdout.close()
        sizes = [r.batch_size for r in read_journal(path)]
        assert len(sizes) >= known + 5
        assert sizes == list(range(1, len(sizes) + 1))
