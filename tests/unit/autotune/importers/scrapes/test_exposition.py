"""Prometheus's text format: every sample is read, and what is none is refused by its line."""

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.errors import InvalidRecordError
from autotune.importers.scrapes.exposition import Sample, parse_exposition

NAMES = st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,20}", fullmatch=True)
LABELS = st.dictionaries(
    st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,10}", fullmatch=True), st.text(max_size=20), max_size=4
)
VALUES = st.floats(allow_nan=False)
SAMPLES = st.builds(Sample, name=NAMES, labels=LABELS, value=VALUES)
# What may stand behind a value: nothing, a time, an exemplar.
TAILS = st.sampled_from(["", " 1700000000123", ' # {trace="a b"} 0.5 1700000000.1', "  "])


def written(sample: Sample, tail: str = "") -> str:
    """Return a sample as the format's own page says to write it."""
    escaped = {
        name: text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
        for name, text in sample.labels.items()
    }
    labels = ",".join(f'{name}="{text}"' for name, text in escaped.items())
    value = repr(sample.value).replace("inf", "Inf")
    return f"{sample.name}{{{labels}}} {value}{tail}"


@given(st.lists(st.tuples(SAMPLES, TAILS), max_size=6))
def test_what_is_written_is_read(pairs: list[tuple[Sample, str]]) -> None:
    lines = [line for sample, tail in pairs for line in ("# HELP a b", written(sample, tail), "")]
    assert parse_exposition("\n".join(lines)) == [sample for sample, _ in pairs]


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidRecordError):
        parse_exposition(text)


@pytest.mark.parametrize(
    ("line", "labels", "value"),
    [
        ("up 1", {}, 1.0),
        ("up\t1.5e3\r", {}, 1500.0),
        ('up{ a = "b" , c="d", } .5', {"a": "b", "c": "d"}, 0.5),
        ("up{} +Inf", {}, math.inf),
        (r'up{a="\\n\"\n\t"} -1', {"a": '\\n"\n\\t'}, -1.0),
        ('up{a="x} 2",b="\x85"} 3', {"a": "x} 2", "b": "\x85"}, 3.0),
    ],
)
def test_what_the_format_allows(line: str, labels: dict[str, str], value: float) -> None:
    assert parse_exposition(line) == [Sample(name="up", labels=labels, value=value)]


def test_a_value_may_be_no_number() -> None:
    assert math.isnan(parse_exposition("up NaN")[0].value)


@pytest.mark.parametrize(
    "line",
    ["<html>", "up", "up one", "up{a} 1", 'up{a="b" 1', 'up{a="b"c="d"} 1', "up{,} 1", "up1_0 1_0",
     "1up 1", 'up{a="b', "up 1 now", "up=1", '{"up", a="b"} 1'],
)  # fmt: skip
def test_what_is_no_sample_is_refused_by_its_line(line: str) -> None:
    with pytest.raises(InvalidRecordError, match="line 2 is no sample"):
        parse_exposition(f"up 1\n{line}\n")
