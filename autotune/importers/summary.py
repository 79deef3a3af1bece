"""What an import read and did, and the table that says so."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autotune.importers.base import Place, Rejection
from autotune.schema.record import RunRecord

_KINDS_SHOWN = 20
_FIGURE = re.compile(r"[-+]?\d[\d.,]*(?:e[-+]?\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedFile:
    """One file that was read, and what it held."""

    path: Path
    format: str
    records: list[RunRecord]
    rejected: list[Rejection]
    places: list[Place] = field(default_factory=list)

    @property
    def n_rows(self) -> int:
        """Rows that were read: each is good or refused."""
        return len(self.records) + len(self.rejected)


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
        """One line a file, one table of what was refused, and the total."""
        lines = []
        for file in self.files:
            lines.append(
                f"{file.path} ({file.format}): {len(file.records)} good rows, "
                f"{len(file.rejected)} refused"
            )
        lines += _table(self.files)
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
                    "rejected": [_rejection_row(file, r) for r in file.rejected],
                }
                for file in self.files
            ],
            "logged": self.n_logged,
            "rejected_paths": [str(path) for path in self.rejected_paths],
        }


def _rejection_row(file: ImportedFile, rejection: Rejection) -> dict[str, Any]:
    return {
        "file": str(rejection.file or file.path),
        "line": rejection.line,
        "reason": rejection.reason,
    }


def _table(files: tuple[ImportedFile, ...]) -> list[str]:
    """Return the refused rows as an aligned table, those of one kind in one line.

    Two reasons are of one kind when they differ in figures only.
    """
    kinds: dict[tuple[Path, str], list[Rejection]] = {}
    for file in files:
        for rejection in file.rejected:
            place = rejection.file or file.path
            kinds.setdefault((place, _FIGURE.sub("#", rejection.reason)), []).append(rejection)
    if not kinds:
        return []
    shown = [("rows", "file", "first of them: reason")]
    shown += [
        (str(len(rows)), path.name, f"line {rows[0].line}: {rows[0].reason}")
        for (path, _), rows in list(kinds.items())[:_KINDS_SHOWN]
    ]
    widths = [max(len(cells[column]) for cells in shown) for column in range(2)]
    lines = [
        f"  {rows:>{widths[0]}}  {name:<{widths[1]}}  {reason}" for rows, name, reason in shown
    ]
    if len(kinds) > _KINDS_SHOWN:
        lines.append(f"  and {len(kinds) - _KINDS_SHOWN} more kinds")
    return lines
