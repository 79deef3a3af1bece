"""Prices as the user gives them, and what a million tokens cost by them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.errors import InvalidConfigError, UnknownGpuError
from recommender.recommendation.objectives import dollars_per_mtok, gather_prices


def test_two_gpus_at_3_dollars_and_1000_tokens_a_second() -> None:
    # 6 $/h / 3.6 million tokens/h
    assert dollars_per_mtok(3.0, 2, 1000.0) == pytest.approx(6 / 3.6)


@given(
    price=st.floats(0.01, 1000),
    more=st.floats(1.0, 10.0),
    n_gpus=st.integers(1, 64),
    throughput=st.floats(0.1, 1e6),
)
def test_a_higher_price_or_fewer_tokens_never_cost_less(
    price: float, more: float, n_gpus: int, throughput: float
) -> None:
    cost = dollars_per_mtok(price, n_gpus, throughput)
    assert dollars_per_mtok(price * more, n_gpus, throughput) >= cost
    assert dollars_per_mtok(price, n_gpus, throughput / more) >= cost


def test_any_name_of_the_catalogue_counts_and_an_option_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text("H100: 2.9\nA100-80GB: 1.8\n")
    found = gather_prices(["NVIDIA H100 80GB HBM3=2.5"], file)
    assert found == {"H100-80GB": 2.5, "A100-80GB": 1.8}


def test_a_json_file_reads_the_same(tmp_path: Path) -> None:
    file = tmp_path / "prices.json"
    file.write_text('{"H100": 2, "L4": 0.7}')
    assert gather_prices((), file) == {"H100-80GB": 2.0, "L4": 0.7}


@pytest.mark.parametrize(
    ("option", "word"),
    [
        ("H100", "H100=2.9"),
        ("=2", "H100=2.9"),
        ("H100=", "above zero"),
        ("H100=cheap", "cheap"),
        ("H100=-1", "-1"),
        ("H100=0", "above zero"),
        ("H100=nan", "nan"),
        ("H100=inf", "inf"),
    ],
)
def test_what_is_no_price_is_refused(option: str, word: str) -> None:
    with pytest.raises(InvalidConfigError, match="price") as refused:
        gather_prices([option])
    assert word in str(refused.value)


def test_a_gpu_that_nobody_knows_is_refused() -> None:
    with pytest.raises(UnknownGpuError, match="H10O"):
        gather_prices(["H10O=2"])


def test_two_prices_of_one_gpu_are_refused_unless_they_agree() -> None:
    with pytest.raises(InvalidConfigError, match="twice"):
        gather_prices(["H100=2", "H100-80GB=3"])
    assert gather_prices(["H100=2", "H100-80GB=2"]) == {"H100-80GB": 2.0}


@pytest.mark.parametrize("text", ["- H100\n", "[unclosed", "H100: [1]\n", "H100: true\n"])
def test_a_file_that_holds_no_prices_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(text)
    with pytest.raises(InvalidConfigError, match=r"prices\.yaml"):
        gather_prices((), file)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfigError, match="absent"):
        gather_prices((), tmp_path / "absent.yaml")
