"""Records as a text of columns under a checksum: what is the same in all rows stands once."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from autotune.schema.record import RECORD_FIELDS, RunRecord

_VERSION = 4


def seal(values: Mapping[str, Any]) -> str:
    """Return JSON under a line that says its version and checksum."""
    body = json.dumps(values, separators=(",", ":"))
    return json.dumps(_head(body)) + "\n" + body


def unseal(text: str) -> Any:
    """Return what was sealed.

    Raises:
        ValueError: When it has another version or another content.
    """
    head, _, body = text.partition("\n")
    if json.loads(head) != _head(body):
        raise ValueError("another version, or changed")
    return json.loads(body)


def _head(body: str) -> dict[str, Any]:
    return {"version": _VERSION, "sha256": hashlib.sha256(body.encode()).hexdigest()}


def to_columns(records: Sequence[RunRecord]) -> dict[str, Any]:
    """Return the records by column."""
    rows = [record.to_dict() for record in records]
    columns: dict[str, Any] = {}
    for name in RECORD_FIELDS:
        values = [row[name] for row in rows]
        is_same = bool(values) and all(value == values[0] for value in values)
        columns[name] = {"all": values[0]} if is_same else {"each": values}
    return {"n": len(records), "columns": columns}


def from_columns(data: Mapping[str, Any]) -> list[RunRecord]:
    """Return the records that ``to_columns`` took.

    Raises:
        InvalidRecordError, KeyError, TypeError, ValueError: When they are none.
    """
    lists = [
        column["each"] if "each" in column else [column["all"]] * data["n"]
        for column in (data["columns"][name] for name in RECORD_FIELDS)
    ]
    return [
        RunRecord.from_dict(dict(zip(RECORD_FIELDS, row, strict=True)))
        for row in zip(*lists, strict=True)
    ]
