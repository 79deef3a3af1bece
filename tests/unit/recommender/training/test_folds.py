"""What a backtest leaves out together."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.training.folds import MAX_FOLDS, held_out_groups
from tests.support.records import record


def names(*rows) -> list[tuple[str, str]]:
    return [(group.kind, group.name) for group in held_out_groups(rows)]


def test_whole_gpus_and_whole_models_where_there_are_two() -> None:
    here, there = record(gpu="H200"), record(gpu="A100-80GB")
    other = record(gpu="H200", model="microsoft/phi-2")
    assert names(here, there) == [("gpu", "A100-80GB"), ("gpu", "H200")]
    assert names(here, other) == [
        ("model", "meta-llama/Llama-3.1-8B"),
        ("model", "microsoft/phi-2"),
    ]
    assert {kind for kind, _ in names(here, there, other)} == {"gpu", "model"}


def test_blocks_of_a_single_landscape() -> None:
    rows = [record(batch_size=2**k, n_gpus=n) for n in (1, 2) for k in range(6)]
    assert names(*rows) == [
        ("n_gpus", "1"),
        ("n_gpus", "2"),
        ("batch_size", "1, 2"),
        ("batch_size", "4, 8"),
        ("batch_size", "16, 32"),
    ]


@pytest.mark.parametrize("n", [0, 1])
def test_nothing_can_be_left_out_of_one_cell(n: int) -> None:
    assert held_out_groups([record()] * n) == []


def test_many_gpus_are_dealt_to_five_groups() -> None:
    gpus = ("A10", "A100-40GB", "A100-80GB", "H100-80GB", "H200", "L4", "T4")
    groups = held_out_groups([record(gpu=gpu) for gpu in gpus])
    assert len(groups) == MAX_FOLDS
    assert sorted(row.gpu for group in groups for row in group.rows) == sorted(gpus)


@given(st.lists(st.integers(1, 1024), min_size=2, max_size=40))
def test_blocks_are_contiguous_and_hold_every_run_once(sizes: list[int]) -> None:
    rows = [record(batch_size=size) for size in sizes]
    groups = held_out_groups(rows)
    assert len(groups) == (0 if len(set(sizes)) < 2 else min(3, len(set(sizes))))
    if groups:
        assert sum(len(group.rows) for group in groups) == len(rows)
        for low, high in pairwise(groups):
            assert max(r.batch_size for r in low.rows) < min(r.batch_size for r in high.rows)
