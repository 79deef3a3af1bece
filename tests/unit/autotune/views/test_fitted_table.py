"""Tables at any width: columns go, values stay whole."""

from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from autotune.views.fitted_table import Column, FittedTable

COLUMNS = (
    Column(name="name", is_number=False),
    Column(name="tok/s"),
    Column(name="TTFT ms", priority=1),
    Column(name="GB/GPU", priority=2),
    Column(name="remark", priority=3, is_words=True),
)


def shown(table: FittedTable, width: int) -> str:
    out = StringIO()
    Console(file=out, width=width).print(table)
    return out.getvalue()


def table() -> FittedTable:
    made = FittedTable(COLUMNS, title="choices")
    made.add_row("best", "48,114", "120", "71.2", "reading the cache limits it")
    made.add_row("largest [8]", "18,493", "95", "40.0", "")
    return made


def test_all_columns_are_there_where_there_is_room() -> None:
    text = shown(table(), 100)
    for column in COLUMNS:
        assert column.name in text
    assert "largest [8]" in text


def test_the_last_priority_goes_first() -> None:
    seen = [
        [column.name for column in COLUMNS if column.name in shown(table(), width)]
        for width in (70, 50, 40, 30)
    ]
    assert seen == [
        ["name", "tok/s", "TTFT ms", "GB/GPU", "remark"],
        ["name", "tok/s", "TTFT ms", "GB/GPU"],
        ["name", "tok/s", "TTFT ms"],
        ["name", "tok/s"],
    ]


def test_where_nothing_fits_a_row_is_a_list() -> None:
    text = shown(table(), 18)
    assert "tok/s: 48,114" in text
    assert "GB/GPU: 71.2" in text
    assert "remark: reading \nthe cache limits \nit" in text


def test_a_path_that_is_too_long_goes_on_in_the_next_line() -> None:
    path = "/a/very/long/path" * 8
    made = FittedTable([Column(name="what", is_number=False), Column(name="found", is_words=True)])
    made.add_row("store", f"not there yet: {path}")
    lines = [line for line in shown(made, 70).splitlines() if line.startswith("│")]
    assert "".join(line.split("│")[2].strip() for line in lines).endswith(path)


def test_a_row_has_a_cell_for_each_column() -> None:
    with pytest.raises(ValueError, match="1 cells for 5 columns"):
        table().add_row("best")


@given(
    rows=st.lists(
        st.tuples(st.text("abcdefgh", min_size=1, max_size=12), st.integers(0, 10**9)),
        min_size=1,
        max_size=5,
    ),
    width=st.integers(20, 120),
)
def test_no_value_is_cut_at_any_width(rows: list[tuple[str, int]], width: int) -> None:
    made = FittedTable([Column(name="n", is_number=False), Column(name="value")])
    for name, value in rows:
        made.add_row(Text(name), f"{value:,}")
    text = shown(made, width)
    assert "\u2026" not in text
    for name, value in rows:
        assert f"{value:,}" in text
        assert name in text
