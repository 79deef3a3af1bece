"""The results file: the figures of each part, with what they were made by, when and from what."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from autotune.errors import AutotuneError
from autotune.files import write_atomically
from research.reference.landscapes import REFERENCE

RESULTS: Final = REFERENCE / "ledger" / "accuracy.json"

Figures = Mapping[str, Any]


class AccuracyError(AutotuneError):
    """A part, a block or a figure is missing or unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """Where a part's figures come from.

    Attributes:
        commit: Of the code that made them.
        data: Name and checksum of what they were made from; ``None`` for the project's own runs.
        seconds: ``None`` where a file was taken that had been made before.
    """

    command: str
    date: str
    commit: str
    data: str | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Results:
    """Figures by part."""

    parts: Mapping[str, Mapping[str, Any]]

    @classmethod
    def load(cls, path: Path) -> "Results":
        """Read a results file; an absent one has no part."""
        return cls(json.loads(path.read_text(encoding="utf-8")) if path.exists() else {})

    def figures(self, part: str) -> Figures:
        """Return a part's figures.

        Raises:
            AccuracyError: When the part was never made.
        """
        if part not in self.parts:
            raise AccuracyError(f"no results of {part}: `scripts/accuracy {part}` makes them")
        figures: Figures = self.parts[part]["figures"]
        return figures

    def made(self) -> dict[str, Made]:
        """Return what each part was made by, in order of their names."""
        return {name: Made(**part["made"]) for name, part in sorted(self.parts.items())}

    def replaced(self, part: str, made: Made, figures: Figures) -> "Results":
        """Return the results with a part made anew."""
        new = {"made": dataclasses.asdict(made), "figures": figures}
        return Results({**self.parts, part: new})

    def save(self, path: Path) -> None:
        """Write the file, parts in order of their names."""
        write_atomically(path, _text(dict(sorted(self.parts.items()))) + "\n")


def _text(value: object, indent: int = 0) -> str:
    """Return JSON in which what holds nothing but figures stands on one line."""
    if not isinstance(value, dict | list) or not _is_deep(value):
        return json.dumps(value, allow_nan=False)
    deeper = indent + 1
    if isinstance(value, dict):
        inner = [f"{json.dumps(key)}: {_text(item, deeper)}" for key, item in value.items()]
    else:
        inner = [_text(item, deeper) for item in value]
    first, last = "{}" if isinstance(value, dict) else "[]"
    pad = "\n" + " " * deeper
    return f"{first}{pad}{f',{pad}'.join(inner)}\n{' ' * indent}{last}"


def _is_deep(value: dict[str, object] | list[object]) -> bool:
    items = value.values() if isinstance(value, dict) else value
    return any(isinstance(item, dict | list) for item in items)
