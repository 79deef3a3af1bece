"""From a file's rows to records: rows are read one by one, the bad ones set aside with the reason.

Numbers are taken through :func:`number` and :func:`measure`, which know what an empty cell, a
``nan`` and a 0 mean in other people's files: not measured.
"""

import csv
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autotune.catalog.gpus import find_gpu
from autotune.catalog.models import find_model
from autotune.errors import InvalidRecordError, UnknownModelError, UsageError
from autotune.importers.base import ImportOptions, ImportResult, Place, Rejection, flag
from autotune.schema.configuration import WORKLOAD_PREFIX, Knob
from autotune.schema.record import RunRecord

_UNMEASURED = frozenset({"", "nan", "na", "n/a", "none", "null", "-"})
_ROW_TEXT_KEPT = 10_000
# What can come of a value of another kind than a tool writes.
_ODD_VALUES = (TypeError, KeyError, IndexError, AttributeError, OverflowError, ZeroDivisionError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row as it stands in its file.

    Attributes:
        values: Cells by column, or a JSON object.
        broken: Why it cannot be read at all; ``None`` for a readable row.
    """

    place: Place
    values: Mapping[str, Any]
    broken: str | None = None


def collect(rows: Iterable[Row], build: Callable[[Row], RunRecord]) -> ImportResult:
    """Build a record of each row; what ``build`` refuses comes back as a rejection."""
    result = ImportResult()
    for row in rows:
        try:
            result.records.append(_built(row, build))
            result.places.append(row.place)
        except UsageError as error:
            result.rejected.append(
                Rejection(
                    line=row.place.line, reason=str(error), row=row.values, file=row.place.file
                )
            )
    return result


def _built(row: Row, build: Callable[[Row], RunRecord]) -> RunRecord:
    if row.broken is not None:
        raise InvalidRecordError(row.broken)
    try:
        return build(row)
    except _ODD_VALUES as error:
        raise InvalidRecordError(f"a value of another kind than usual: {error}") from error


def csv_rows(path: Path, *, needed: Iterable[str]) -> Iterator[Row]:
    """Yield the rows of a CSV file with a header.

    Raises:
        InvalidRecordError: When a needed column is missing: it is another kind of table.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in needed if name not in (reader.fieldnames or ())]
            if missing:
                raise InvalidRecordError(f"{path}: missing column {', '.join(missing)}")
            for cells in reader:
                broken = None
                if None in cells or None in cells.values():
                    broken = f"its number of cells is not that of the {len(cells)} columns"
                yield Row(
                    place=Place(file=path, line=reader.line_num),
                    values={str(key): cell for key, cell in cells.items()},
                    broken=broken,
                )
    except UnicodeDecodeError as error:
        raise InvalidRecordError(f"{path} is not UTF-8 text: {error.reason}") from None


def json_rows(path: Path) -> Iterator[Row]:
    """Yield the JSON objects of a file: one, a list of them, or one a line."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidRecordError(f"{path} is not UTF-8 text: {error.reason}") from None
    whole = _parse(text)
    if whole is not None:
        for number_, item in enumerate(whole if isinstance(whole, list) else [whole], start=1):
            yield _json_row(path, number_, item, text)
        return
    parts = [(line, part) for line, part in enumerate(text.splitlines(), start=1) if part.strip()]
    objects = [(line, _parse(part), part) for line, part in parts]
    if not any(isinstance(item, dict) for _, item, _ in objects):
        # A damaged document of many lines is one row that cannot be read.
        objects = [(1, None, text)]
    for line, item, part in objects:
        yield _json_row(path, line, item, part)


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _json_row(path: Path, line: int, item: Any, text: str) -> Row:
    place = Place(file=path, line=line)
    if isinstance(item, dict):
        return Row(place=place, values=item)
    return Row(place=place, values={"text": text[:_ROW_TEXT_KEPT]}, broken="not a JSON object")


def files_of(path: Path, pattern: str) -> list[Path]:
    """Return the file itself, or those of a folder whose names fit, sorted."""
    if path.is_dir():
        return sorted(p for p in path.rglob(pattern) if not p.name.endswith(".rejected.jsonl"))
    return [path]


def at(values: Mapping[str, Any], *keys: str) -> Any:
    """Return the value under a path of keys, ``None`` when any step is absent."""
    found: Any = values
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def number(values: Mapping[str, Any], *keys: str) -> float | None:
    """Return a number, ``None`` for an absent, empty or not-a-number value.

    Raises:
        InvalidRecordError: When it is something else than a finite number.
    """
    value = at(values, *keys)
    if value is None or (isinstance(value, str) and value.strip().lower() in _UNMEASURED):
        return None
    try:
        if isinstance(value, bool):
            raise TypeError
        plain = float(value.replace(",", "") if isinstance(value, str) else value)
    except (TypeError, ValueError, OverflowError):
        raise _not_a_number(keys, value) from None
    if math.isinf(plain):
        raise _not_a_number(keys, value)
    return None if math.isnan(plain) else plain


def _not_a_number(keys: tuple[str, ...], value: object) -> InvalidRecordError:
    return InvalidRecordError(f"{'.'.join(keys)}={repr(value)[:200]} must be a number or empty")


def measure(values: Mapping[str, Any], *keys: str, scale: float = 1.0) -> float | None:
    """Return a measured value times ``scale``; the 0 of a tool that measured nothing is None."""
    value = number(values, *keys)
    return None if value is None or value == 0 else value * scale


def count(values: Mapping[str, Any], *keys: str) -> int | None:
    """Return a whole number; a mean such as 190.4 tokens is rounded."""
    value = number(values, *keys)
    return None if value is None else round(value)


def required_count(values: Mapping[str, Any], *keys: str) -> int:
    """Return a whole number that must be there.

    Raises:
        InvalidRecordError: When it is not.
    """
    value = count(values, *keys)
    if value is None:
        raise InvalidRecordError(f"{'.'.join(keys)} is empty")
    return value


def text(values: Mapping[str, Any], *keys: str) -> str:
    """Return a text that must be there, without the blanks around it.

    Raises:
        InvalidRecordError: When it is absent, empty or no text.
    """
    value = at(values, *keys)
    if not isinstance(value, str) or not value.strip():
        raise InvalidRecordError(f"{'.'.join(keys)} is empty")
    return value.strip()


def model_name(values: Mapping[str, Any], *keys: str, options: ImportOptions) -> str:
    """Return the catalogue's name of a file's model; ``--model`` stands for a path or an alias.

    Raises:
        InvalidRecordError: When neither names a known model.
    """
    if options.model is not None:
        return find_model(options.model).name
    name = at(values, *keys)
    if not isinstance(name, str) or not name.strip():
        raise InvalidRecordError(f"the file does not say the model: give {flag('model')}")
    try:
        return find_model(text(values, *keys)).name
    except UnknownModelError as error:
        raise InvalidRecordError(f"{error} {flag('model')} says which one it is.") from error


def arrival_knobs(request_rate: float | None, burstiness: float | None = None) -> dict[str, Knob]:
    """Return what a record's knobs say of requests that come at a rate (requests/s)."""
    if request_rate is None:
        return {}
    knobs: dict[str, Knob] = {WORKLOAD_PREFIX + "request_rate": request_rate}
    if burstiness not in (None, 1.0):
        knobs[WORKLOAD_PREFIX + "burstiness"] = burstiness
    return knobs


def gpu_name(stated: str | None, options: ImportOptions) -> str:
    """Return the catalogue's name of the GPU that the file states, or else the option's.

    Raises:
        InvalidRecordError: When neither is there, or they differ.
        UnknownGpuError: When the catalogue lacks it.
    """
    name = options.need("gpu", None if stated is None else find_gpu(stated).name)
    return find_gpu(name).name
