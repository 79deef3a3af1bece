"""``autotune import``: find the format, read it, set bad rows aside."""

import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from autotune.errors import InvalidConfigError, UsageError
from autotune.importers import published, runs
from autotune.importers.base import ImportResult, Rejection
from autotune.records import RECORD_FIELDS, RunRecord

FORMATS: Mapping[str, Callable[[Path], ImportResult]] = {
    "runs": runs.read,
    "published": published.read,
}
_SOUGHT = (
    "JSON lines or CSV of RunRecords (runs), the table of published measurements (published)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedFile:
    """One file that was read, and what it held."""

    path: Path
    format: str
    records: list[RunRecord]
    rejected: list[Rejection]


def read_file(path: Path, *, format_name: str = "auto") -> ImportedFile:
    """Read one file; nothing is written.

    Raises:
        UsageError: When it does not exist, is empty or is of no known format.
    """
    if not path.is_file():
        raise InvalidConfigError(f"{path} is not a file")
    if path.stat().st_size == 0:
        raise InvalidConfigError(f"{path} is empty: nothing to import")
    chosen = detect(path) if format_name == "auto" else format_name
    result = FORMATS[chosen](path)
    return ImportedFile(
        path=path,
        format=chosen,
        records=result.records,
        rejected=result.rejected,
    )


def set_rejected_aside(file: ImportedFile) -> Path | None:
    """Write the refused rows to ``<file>.rejected.jsonl`` with line and reason; return its path."""
    if not file.rejected:
        return None
    path = file.path.with_name(file.path.name + ".rejected.jsonl")
    lines = (
        json.dumps({"line": r.line, "reason": r.reason, "row": dict(r.row)}) + "\n"
        for r in file.rejected
    )
    path.write_text("".join(lines), encoding="utf-8")
    return path


def detect(path: Path) -> str:
    """Return the format of a file by its first line.

    Raises:
        UsageError: When none fits; says what was looked for.
    """
    first = _first_line(path)
    if first.startswith("{"):
        return "runs"
    columns = {cell.strip() for cell in first.split(",")}
    if {"source_path", "engine", "output_throughput", "mode"} <= columns:
        return "published"
    if {"engine", "model", "gpu"} <= columns & set(RECORD_FIELDS):
        return "runs"
    raise UsageError(f"{path} is of no known format; looked for {_SOUGHT}")


def _first_line(path: Path) -> str:
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8") as file:
            return str(file.readline(65536)).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error
