"""RunRecords as JSON lines and as CSV: the formats that leave and enter the program."""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from autotune.errors import InvalidRecordError
from autotune.schema.record import RECORD_FIELDS, RunRecord
from autotune.schema.validation import METRIC_FIELDS

_JSON_CELLS = frozenset({"knobs", "environment", "suspect"})
_INT_FIELDS = frozenset(
    {"schema", "n_gpus", "batch_size", "input_len", "output_len", "repeats", "kv_cache_tokens"}
)
_NUMBER_FIELDS = frozenset(METRIC_FIELDS)
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")


def to_json_line(record: RunRecord) -> str:
    """Return one line of strict JSON (no NaN or infinity), without the newline; nulls left out."""
    row = {key: value for key, value in record.to_dict().items() if value not in (None, {})}
    return json.dumps(row, allow_nan=False, separators=(",", ":"), ensure_ascii=False)


def from_json_line(line: str) -> RunRecord:
    """Read one JSON line.

    Raises:
        InvalidRecordError: When it is not a JSON object or not a RunRecord.
    """
    return RunRecord.from_dict(parse_json_object(line))


def parse_json_object(line: str) -> dict[str, Any]:
    """Return the JSON object on a line.

    Raises:
        InvalidRecordError: When the line is anything else.
    """
    try:
        row = json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidRecordError(f"not JSON: {error}") from None
    if not isinstance(row, dict):
        raise InvalidRecordError(f"expected a JSON object, not {type(row).__name__}")
    return row


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number in JSON")


def to_csv(records: Iterable[RunRecord]) -> str:
    """Return the records as CSV text with a header; null is an empty cell."""
    lines = [_csv_line(RECORD_FIELDS)]
    for record in records:
        row = record.to_dict()
        lines.append(_csv_line([_to_cell(name, row[name]) for name in RECORD_FIELDS]))
    return "".join(lines)


def _csv_line(cells: Sequence[str]) -> str:
    """Return one line; only with its default ending does the writer quote carriage returns."""
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue().removesuffix("\r\n") + "\n"


def _to_cell(name: str, value: object) -> str:
    if value is None or value == {}:
        return ""
    if name in _JSON_CELLS:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    return repr(value) if isinstance(value, float) else str(value)


def from_csv_row(row: Mapping[str | None, str | list[str] | None]) -> RunRecord:
    """Build a record from one ``csv.DictReader`` row; empty cells are null.

    Raises:
        InvalidRecordError: For surplus cells, unknown columns or cells that do not parse.
    """
    if None in row:
        raise InvalidRecordError(f"{len(row[None] or ())} more cells than the header has columns")
    cells = {str(k): v for k, v in row.items() if isinstance(v, str) and v.strip() != ""}
    return RunRecord.from_dict({name: _from_cell(name, cell) for name, cell in cells.items()})


def _from_cell(name: str, cell: str) -> Any:
    try:
        if name in _JSON_CELLS:
            return json.loads(
                cell.lower() if name == "suspect" else cell, parse_constant=_refuse_constant
            )
        if name in _INT_FIELDS and _WHOLE_NUMBER.fullmatch(cell.strip()):
            return int(cell)
        if name in _NUMBER_FIELDS and name not in _INT_FIELDS:
            return float(cell)
    except (ValueError, RecursionError):
        raise InvalidRecordError(f"{name}={cell[:200]!r} does not parse") from None
    return cell


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield ``(line number, text)`` of the non-empty lines of a UTF-8 file."""
    with path.open(encoding="utf-8", newline="\n") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, line.rstrip("\n")
