"""RunRecords survive JSON lines and CSV unchanged, and bad text is refused by one error."""

import csv
import io
import json
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autotune.errors import InvalidRecordError
from autotune.schema.codec import from_csv_row, from_json_line, to_csv, to_json_line
from autotune.schema.record import RECORD_FIELDS, RunRecord
from autotune.schema.validation import METRIC_FIELDS
from tests.support.strategies import run_records

GOOD = {
    "source": "autotune",
    "engine": "vllm",
    "model": "m",
    "gpu": "H100",
    "n_gpus": 1,
    "batch_size": 8,
    "status": "completed",
    "output_throughput": 12.5,
}


def read_csv(text: str) -> list[RunRecord]:
    return [from_csv_row(row) for row in csv.DictReader(io.StringIO(text, newline=""))]


@given(run_records())
def test_json_line_round_trip_is_exact(record: RunRecord) -> None:
    line = to_json_line(record)
    assert "\n" not in line
    again = from_json_line(line)
    assert again == record
    assert again.run_key == record.run_key
    for name in METRIC_FIELDS:
        value = getattr(record, name)
        if isinstance(value, float):
            assert math.copysign(1, value) == math.copysign(1, getattr(again, name))


@given(st.lists(run_records(), max_size=3))
def test_csv_round_trip_is_exact(records: list[RunRecord]) -> None:
    assert read_csv(to_csv(records)) == records


@given(st.text())
@example('{"a": NaN}')
@example("[" * 100_000)
@example("1" * 5000)
def test_any_text_line_is_refused_by_one_error(line: str) -> None:
    with pytest.raises(InvalidRecordError):
        from_json_line(line)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=4
) | st.dictionaries(st.text(), st.none() | st.integers(), max_size=2)


@given(
    st.dictionaries(
        st.sampled_from(RECORD_FIELDS).filter(lambda name: name != "run_key") | st.text(),
        JSON_VALUES,
    )
)
@example({"output_throughput": 10**400})
@example({"n_gpus": 10**30})
@example({"knobs": {"a": 10**400}})
@example({"environment": {"a": float("inf")}})
@example({"notes": "\ud800"})
@example({"schema": True})
@example({"schema": 1.0})
def test_any_json_row_becomes_a_record_that_can_be_written_or_is_refused(row: dict) -> None:
    try:
        record = from_json_line(json.dumps(GOOD | row))
    except InvalidRecordError:
        return
    assert from_json_line(to_json_line(record)) == record
    assert read_csv(to_csv([record])) == [record]


@given(st.dictionaries(st.sampled_from(RECORD_FIELDS), st.text()))
@example({"environment": "[" * 100_000})
@example({"knobs": '{"a": Infinity}'})
@example({"repeats": "2.5"})
@example({"n_gpus": "1_0"})
def test_any_csv_row_becomes_a_record_or_is_refused_by_one_error(cells: dict[str, str]) -> None:
    row = {name: str(value) for name, value in GOOD.items()} | cells
    try:
        record = from_csv_row(row)
    except InvalidRecordError:
        return
    assert from_json_line(to_json_line(record)) == record


def test_a_csv_row_with_surplus_cells_is_refused() -> None:
    text = to_csv([RunRecord(**GOOD)]).rstrip("\n") + ",surplus\n"
    with pytest.raises(InvalidRecordError, match="1 more cells"):
        read_csv(text)


def test_nulls_are_left_out_of_a_json_line_and_are_empty_cells_of_csv() -> None:
    record = RunRecord(**GOOD)
    assert "mean_ttft_ms" not in to_json_line(record)
    assert "None" not in to_csv([record])
