"""Prometheus's text format, as a server's /metrics answers it.

Grammar: https://prometheus.io/docs/instrumenting/exposition_formats. What OpenMetrics adds behind a
value, an exemplar, is passed over.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from autotune.errors import InvalidRecordError

_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL: Final = re.compile(r'[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\]|\\.)*)"[ \t]*')
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?Inf|NaN")
# Behind the value: when it was taken, and the exemplar.
_REST: Final = re.compile(r"(?:[ \t]+[+-]?[0-9.eE+-]+)?[ \t]*(?:#.*)?")
_ESCAPED: Final = re.compile(r"\\(.)")
_MEANT: Final = {"n": "\n", '"': '"', "\\": "\\"}
_SHOWN = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One value of one series."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    value: float


def parse_exposition(text: str) -> list[Sample]:
    """Read every sample, in the order they stand; comments and types are passed over.

    Raises:
        InvalidRecordError: For a line that is no sample, naming it.
    """
    samples = []
    # Only a line feed ends a line: a label may hold what other systems take for one.
    for number, line in enumerate(text.split("\n"), start=1):
        stripped = line.strip(" \t\r")
        if stripped and not stripped.startswith("#"):
            sample = _sample(stripped)
            if sample is None:
                raise InvalidRecordError(
                    f"line {number} is no sample of Prometheus's text format: {line[:_SHOWN]!r}"
                )
            samples.append(sample)
    return samples


def _sample(line: str) -> Sample | None:
    name = _NAME.match(line)
    if name is None:
        return None
    at, labels = name.end(), dict[str, str]()
    if line[at : at + 1] == "{":
        for end, label, text in _labels(line, at + 1):
            at = end
            if label:
                labels[label] = text
        if line[at - 1] != "}":
            return None
    elif line[at : at + 1] not in (" ", "\t"):
        return None
    rest = line[at:].lstrip(" \t")
    value = _NUMBER.match(rest)
    if value is None or _REST.fullmatch(rest, value.end()) is None:
        return None
    return Sample(name=name.group(), labels=labels, value=float(value.group()))


def _labels(line: str, start: int) -> Iterator[tuple[int, str, str]]:
    """Yield where each label ends, its name and value; after the last the end of the braces."""
    at = start
    while found := _LABEL.match(line, at):
        at = found.end()
        yield at, found[1], _ESCAPED.sub(_unescape, found[2])
        if line[at : at + 1] != ",":
            break
        at += 1
    at += len(line[at:]) - len(line[at:].lstrip(" \t"))
    if line[at : at + 1] == "}":
        yield at + 1, "", ""


def _unescape(found: re.Match[str]) -> str:
    return _MEANT.get(found[1], found[0])
