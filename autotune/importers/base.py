"""What every importer takes and returns: options, good rows with their place, and bad rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autotune.errors import InvalidRecordError
from autotune.schema.record import RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A row that was not taken.

    Attributes:
        line: 1-based line (or row) of the file.
        reason: What is wrong with it, in one sentence.
        row: The row as it was read.
        file: The file it stands in; ``None`` means the one that was imported.
    """

    line: int
    reason: str
    row: Mapping[str, Any]
    file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a good row stands: its file and 1-based line (or row)."""

    file: Path
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """Rows of one file or folder: those taken and those refused.

    Attributes:
        places: Where each of ``records`` stands, in their order; empty if the reader cannot say.
    """

    records: list[RunRecord] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """What the user adds to files that do not say it.

    Attributes:
        engine: The engine behind the server, which a client cannot see.
        model: Catalogue name of the model where the file has only a path or an alias.
        batch_size: Sequences in flight.
        input_len: Prompt tokens a request.
        output_len: Generated tokens a request.
    """

    engine: str | None = None
    gpu: str | None = None
    n_gpus: int | None = None
    engine_version: str | None = None
    model: str | None = None
    batch_size: int | None = None
    input_len: int | None = None
    output_len: int | None = None

    def given(self) -> list[str]:
        """Return the flags that the user gave."""
        return [flag(name) for name in OPTION_NAMES if getattr(self, name) is not None]

    def choose(self, name: str, stated: Any) -> Any:
        """Return what the file states, or else the option.

        Raises:
            InvalidRecordError: When both are there and differ.
        """
        option = getattr(self, name)
        if stated is None or option is None or stated == option:
            return option if stated is None else stated
        raise InvalidRecordError(
            f"the file says {name}={stated!r}, {flag(name)} says {option!r}: leave the option out"
        )

    def need(self, name: str, stated: Any) -> Any:
        """Return what the file states, or else the option, which must then be there.

        Raises:
            InvalidRecordError: Naming the option that is missing.
        """
        value = self.choose(name, stated)
        if value is None:
            raise InvalidRecordError(f"the file does not say {name}: give {flag(name)}")
        return value


OPTION_NAMES = tuple(ImportOptions.__dataclass_fields__)


def flag(name: str) -> str:
    """Return the command-line flag of an option: ``--n-gpus`` for ``n_gpus``."""
    return "--" + name.replace("_", "-")
