"""What moves: a journal into a store, a store into a file."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autotune.errors import InvalidConfigError, JournalError
from autotune.files import write_atomically
from autotune.runner.runner import tail_path
from autotune.schema.codec import to_csv, to_json_line
from autotune.store.journal import read_journal
from autotune.store.location import store_directory


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncedJournal:
    """What became of one journal.

    Attributes:
        error: Why it could not be read; ``None`` when it was.
    """

    path: Path
    n_runs: int = 0
    n_logged: int = 0
    error: str | None = None

    @property
    def text(self) -> str:
        """A line for a terminal."""
        if self.error is not None:
            return self.error
        return f"{self.path}: {self.n_logged} runs logged, {self.n_runs - self.n_logged} known"

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            "journal": str(self.path),
            "runs": self.n_runs,
            "logged": self.n_logged,
            "error": self.error,
        }


def sync_journals(paths: Sequence[Path], tracking_uri: str) -> list[SyncedJournal]:
    """Log the runs of journals that the store lacks; a damaged journal does not stop the others.

    Args:
        paths: The journals; without any, all that lie beside the store.

    Raises:
        InvalidConfigError: For a path that is no file.
        StoreError: When the store refuses; what was logged before it stays.
    """
    for path in paths:
        if not path.is_file():
            raise InvalidConfigError(f"{path} is not a file")
    from autotune.store.tracking.store import Store

    store = Store(tracking_uri)
    found = list(paths) or sorted((store_directory(tracking_uri) / "journals").glob("*.jsonl"))
    synced = []
    for path in found:
        try:
            records = read_journal(path)
        except JournalError as error:
            synced.append(SyncedJournal(path=path, error=str(error)))
            continue
        n_logged = store.log(records, attachment=functools.partial(tail_path, _log_dir(path)))
        synced.append(SyncedJournal(path=path, n_runs=len(records), n_logged=n_logged))
    return synced


def _log_dir(journal: Path) -> Path:
    """Return where the study of a journal kept its engines' last words."""
    folder = journal.parent
    return (folder.parent if folder.name == "journals" else folder) / "logs"


def export_runs(output: Path, tracking_uri: str) -> int:
    """Write every run of the store (JSON lines, or CSV by suffix); return how many."""
    from autotune.store.tracking.store import Store

    records = Store(tracking_uri).read()
    if output.suffix == ".csv":
        text = to_csv(records)
    else:
        text = "".join(to_json_line(record) + "\n" for record in records)
    write_atomically(output, text)
    return len(records)
