"""What every importer returns: the good rows, and the bad ones with the reason."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from autotune.records import RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A row that was not taken.

    Attributes:
        line: 1-based line (or row) of the file.
        reason: What is wrong with it, in one sentence.
        row: The row as it was read.
    """

    line: int
    reason: str
    row: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """Rows of one file: those taken and those refused."""

    records: list[RunRecord] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
