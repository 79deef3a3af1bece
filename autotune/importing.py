"""``autotune import``: find the format, read it, set bad rows aside."""

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autotune.errors import InvalidConfigError, UsageError, did_you_mean
from autotune.importers import infpop, published, runs
from autotune.importers.base import ImportResult, Rejection
from autotune.records import RECORD_FIELDS, RunRecord

FORMATS: Mapping[str, Callable[[Path], ImportResult]] = {
    "runs": runs.read,
    "published": published.read,
    "infpop": infpop.read,
}
_REASONS_SHOWN = 5
_SOUGHT = (
    "JSON lines or CSV of RunRecords (runs), the table of published measurements (published), "
    "allData.csv of arXiv 2408.01050 with its RQ2_tables (infpop)"
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
    if set(infpop.COLUMNS) <= columns:
        return "infpop"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportSummary:
    """What an import did.

    Attributes:
        n_logged: Runs that were new to the store.
        rejected_paths: Where each file's refused rows went.
    """

    files: tuple[ImportedFile, ...]
    n_logged: int
    rejected_paths: tuple[Path, ...]

    @property
    def n_rejected(self) -> int:
        """Rows that were refused."""
        return sum(len(file.rejected) for file in self.files)

    @property
    def text(self) -> str:
        """One line a file, the first refusals, and the total."""
        lines = []
        for file in self.files:
            lines.append(
                f"{file.path} ({file.format}): {len(file.records)} good rows, "
                f"{len(file.rejected)} refused"
            )
            lines += [f"  line {r.line}: {r.reason}" for r in file.rejected[:_REASONS_SHOWN]]
            if len(file.rejected) > _REASONS_SHOWN:
                lines.append(f"  and {len(file.rejected) - _REASONS_SHOWN} more")
        lines += [f"refused rows written to {path}" for path in self.rejected_paths]
        n_good = sum(len(file.records) for file in self.files)
        return "\n".join([*lines, f"{self.n_logged} runs logged, {n_good - self.n_logged} known"])

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            "files": [
                {
                    "path": str(file.path),
                    "format": file.format,
                    "good": len(file.records),
                    "rejected": [{"line": r.line, "reason": r.reason} for r in file.rejected],
                }
                for file in self.files
            ],
            "logged": self.n_logged,
            "rejected_paths": [str(path) for path in self.rejected_paths],
        }


def import_files(
    paths: Sequence[Path], tracking_uri: str, *, format_name: str = "auto"
) -> ImportSummary:
    """Read all files, then log their good rows; nothing is logged if one cannot be read.

    Raises:
        UsageError: For an unknown format, or a file that cannot be read or holds no good row.
    """
    if format_name not in ("auto", *FORMATS):
        hint = did_you_mean(format_name, FORMATS)
        raise UsageError(
            f"unknown format {format_name!r}; known: auto, {', '.join(FORMATS)}.{hint}"
        )
    files = tuple(read_file(path, format_name=format_name) for path in paths)
    rejected_paths = tuple(p for file in files if (p := set_rejected_aside(file)) is not None)
    for file in files:
        if not file.records:
            first = f" (line {file.rejected[0].line}: {file.rejected[0].reason})" * bool(
                file.rejected
            )
            raise UsageError(f"{file.path} holds no good row{first}")
    from autotune.tracking import Store

    store = Store(tracking_uri)
    n_logged = store.log([record for file in files for record in file.records])
    return ImportSummary(files=files, n_logged=n_logged, rejected_paths=rejected_paths)
