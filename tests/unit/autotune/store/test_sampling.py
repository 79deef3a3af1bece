"""A sample of runs has something of every landscape."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from autotune.schema.record import RunRecord
from autotune.store.journal import read_journal
from autotune.store.sampling import MOST_OTHERS, MOST_OWN, sample_of, spread_over
from research.reference.landscapes import REFERENCE
from tests.support.records import record

MODELS = ("google/gemma-2b", "microsoft/phi-1_5", "Qwen/Qwen3-8B")


def runs_of(sizes: list[int]) -> list[RunRecord]:
    return [
        record(model=model, batch_size=batch)
        for model, size in zip(MODELS, sizes, strict=False)
        for batch in range(1, size + 1)
    ]


@given(sizes=st.lists(st.integers(0, 30), max_size=3), most=st.integers(0, 60))
def test_room_is_shared_evenly_and_used_up(sizes: list[int], most: int) -> None:
    runs = runs_of(sizes)
    chosen = spread_over(runs, most)
    assert len(chosen) == min(most, len(runs))
    assert len({run.run_key for run in chosen}) == len(chosen)
    taken = Counter(run.model for run in chosen)
    short = [taken[m] for m, n in zip(MODELS, sizes, strict=False) if taken[m] < n]
    # nobody who could have had more has two less than another
    assert not short or min(short) >= max(taken.values(), default=0) - 1


@given(runs=st.permutations(runs_of([9, 5, 7])), most=st.integers(0, 22))
def test_the_order_of_the_runs_changes_nothing(runs: list[RunRecord], most: int) -> None:
    assert spread_over(runs, most) == spread_over(runs_of([9, 5, 7]), most)


def test_the_ends_of_a_landscape_are_in() -> None:
    chosen = spread_over(runs_of([20]), 3)
    assert [run.batch_size for run in chosen] == [1, 11, 20]


def test_what_measured_nothing_or_is_suspect_is_not() -> None:
    failed = record(status="out_of_memory", output_throughput=None)
    assert spread_over([failed, record(suspect=True), record()], 5) == [record()]


def test_others_leave_the_harness_its_own_room() -> None:
    own = [record(source="autotune", batch_size=size) for size in range(1, MOST_OWN + 1)]
    others = [record(source="cmu", batch_size=size) for size in range(1, MOST_OTHERS + 100)]
    chosen = sample_of([*others, *own])
    assert [run for run in chosen if run.source != "cmu"] == own
    assert len(chosen) == MOST_OWN + MOST_OTHERS


def test_every_reference_run_that_measured_something_finds_room() -> None:
    runs = [run for path in sorted(REFERENCE.rglob("*.jsonl")) for run in read_journal(path)]
    measured = {run.record_id for run in runs if run.is_measured and not run.suspect}
    assert {run.record_id for run in sample_of(runs)} == measured
