"""Numbers for a person."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.views.wording import number, speed


@pytest.mark.parametrize(
    ("tokens", "text"),
    [(48113.6, "48,114"), (10.0, "10"), (9.96, "10"), (1.24, "1.2"), (0.0412, "0.041"), (0.0, "0")],
)
def test_few_tokens_a_second_keep_two_digits(tokens: float, text: str) -> None:
    assert speed(tokens) == text


@given(st.floats(1e-3, 1e7))
def test_what_is_shown_is_within_a_twentieth(tokens: float) -> None:
    assert float(speed(tokens).replace(",", "")) == pytest.approx(tokens, rel=0.05)


def test_what_is_not_there_is_a_dash() -> None:
    assert number(None, 1) == "-"
    assert number(1234.56, 1) == "1,234.6"
