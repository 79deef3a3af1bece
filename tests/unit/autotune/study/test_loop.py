"""The study's loop on made-up landscapes: starts, failures, baselines, budgets, resuming."""

import contextlib
import random
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.schema.configuration import Configuration, identity
from autotune.schema.record import RunRecord
from autotune.schema.study_spec import StudySpec
from autotune.schema.workload import Workload
from autotune.store.journal import open_journal
from autotune.study.loop import Budget
from tests.support.memory import MEMORY
from tests.support.plans import (
    MODEL,
    WORKLOAD,
    Landscape,
    Quiet,
    Recorded,
    drive,
    engine,
    planned,
    study_of,
)

SIZES = tuple(2**k for k in range(10))
LONG, SHORT = WORKLOAD, Workload(input_len=64, output_len=16)


def rising(of: Configuration) -> float:
    return 10.0 * of.batch_size


@pytest.mark.parametrize("strategy", ["grid", "random", "tpe"])
@pytest.mark.parametrize("room", [0, 1, 2, 5, 8, 64, 512])
def test_a_start_that_runs_out_of_memory_is_charged_to_its_largest_batch(
    tmp_path: Path, room: int, strategy: str
) -> None:
    device = Recorded(rising, room={1: room * LONG.max_len})
    records = drive(planned(), device, tmp_path / "j", strategy=strategy)
    fits = [size for size in SIZES if size <= room]
    assert sorted(r.batch_size for r in records if r.status == "completed") == fits
    failed = [r.batch_size for r in records if r.status == "out_of_memory"]
    assert all(size > room for size in failed)
    assert room >= 512 or min(size for size in SIZES if size > room) in failed
    assert len({r.run_key for r in records}) == len(records)
    assert len(device.starts) <= 8


def test_after_a_failed_start_the_lower_half_comes_first_with_a_start_for_it(
    tmp_path: Path,
) -> None:
    device = Recorded(rising, room={1: 256 * LONG.max_len})
    records = drive(planned(), device, tmp_path / "j")
    assert [start.max_batch_size for start, _ in device.starts] == [512, 16, 256]
    assert [(r.batch_size, r.status) for r in records[:2]] == [
        (512, "out_of_memory"),
        (16, "completed"),
    ]
    assert [r.batch_size for r in records[2:]] == [1, 2, 4, 8, 256, 32, 64, 128]


def test_a_failed_start_is_charged_to_the_longest_requests_it_was_for(tmp_path: Path) -> None:
    plan = planned((1, 2), workloads=(LONG,)) + planned((1, 2, 4, 8), workloads=(SHORT,))
    device = Recorded(rising, room={1: 8 * SHORT.max_len})
    records = drive(plan, device, tmp_path / "j")
    assert (records[0].batch_size, records[0].input_len) == (8, 512)
    measured = {(r.input_len, r.batch_size) for r in records if r.status == "completed"}
    assert measured == {(512, 1), (64, 1), (64, 2), (64, 4), (64, 8)}


def test_an_engine_that_will_not_start_ends_its_group_and_the_rest_goes_on(tmp_path: Path) -> None:
    def landscape(of: Configuration) -> float | str:
        return "load_failed" if of.n_gpus == 1 else rising(of)

    device, listener = Recorded(landscape), Quiet()
    plan = planned((1, 2, 4), starts=(engine(), engine(2)))
    records = drive(plan, device, tmp_path / "j", listener)
    assert [r.status for r in records] == ["load_failed", *["completed"] * 3]
    assert len(device.ran) == 5
    assert listener.remarks == [
        "vllm on 1 x H100-80GB: the engine did not start, so 2 more were not run"
    ]
    assert listener.left == [3, 2, 1, 0]
    again = Recorded(landscape)
    assert drive(plan, again, tmp_path / "j") == records
    assert not again.ran


class Flaky:
    """A landscape where each configuration crashes the first time."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def __call__(self, of: Configuration) -> float | str:
        if of.batch_size in self.seen:
            return rising(of)
        self.seen.add(of.batch_size)
        return "crashed"


def test_an_accident_is_tried_once_more_with_a_new_start(tmp_path: Path) -> None:
    device = Recorded(Flaky())
    records = drive(planned((1, 2, 4)), device, tmp_path / "j")
    assert [(r.batch_size, r.status) for r in records] == [
        (4, "completed"),
        (1, "completed"),
        (2, "completed"),
    ]
    assert len(device.starts) == 4


# Every kind of trouble, as a function of the configuration and a seed alone.
def troubled(seed: int) -> tuple[Landscape, dict[int, int]]:
    chance = random.Random(seed)
    limit = chance.choice([300, 2000, 20_000, 10**9])
    crashes = {chance.choice(SIZES) for _ in range(chance.randrange(3))}
    flat_from = chance.choice(SIZES)

    def landscape(of: Configuration) -> float | str | None:
        if of.batch_size * ((of.input_len or 0) + (of.output_len or 0)) > limit * of.n_gpus:
            return None
        if of.batch_size in crashes:
            return "crashed"
        if of.n_gpus == 4 and seed % 5 == 0:
            return "load_failed"
        return 10.0 * min(of.batch_size, flat_from) * of.n_gpus

    room = {n: chance.choice([500, 5000, 10**9]) * n for n in (1, 2, 4)}
    return landscape, room


PLAN = planned((1, 2, 4, 16, 64, 256), starts=[engine(n) for n in (1, 2, 4)], baselines=(256, 8))
TWO_WORKLOADS = planned((1, 2, 4, 16, 64, 256), workloads=(LONG, SHORT))


@given(
    seed=st.integers(0, 10**6),
    stops=st.lists(st.integers(1, 6), max_size=4),
    strategy=st.sampled_from(["grid", "grid", "random", "tpe"]),
    max_trials=st.none() | st.integers(1, 12),
)
def test_a_study_killed_anywhere_and_resumed_runs_exactly_the_same(
    seed: int, stops: list[int], strategy: str, max_trials: int | None
) -> None:
    landscape, room = troubled(seed)
    plan = TWO_WORKLOADS if strategy == "grid" and seed % 2 else PLAN
    options: dict[str, Any] = {"strategy": strategy, "max_trials": max_trials, "seed": seed}
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        whole = drive(plan, Recorded(landscape, room), Path(folder) / "whole", **options)
        pieces = Path(folder) / "pieces"
        for stop in stops:
            drive(plan, Recorded(landscape, room), pieces, Quiet(stop_after=stop), **options)
        resumed = drive(plan, Recorded(landscape, room), pieces, **options)
    assert [(r.run_key, r.status) for r in resumed] == [(r.run_key, r.status) for r in whole]
    completed = [identity(r) for r in whole if r.status != "out_of_memory"]
    assert len(set(completed)) == len(completed)


@pytest.mark.parametrize("strategy", ["grid", "random", "tpe"])
def test_baselines_come_first_and_count_but_no_budget_drops_them(
    tmp_path: Path, strategy: str
) -> None:
    plan = planned((1, 2, 4), starts=(engine(), engine(2)), baselines=(64, 2))
    listener = Quiet()
    records = drive(
        plan, Recorded(rising), tmp_path / "j", listener, strategy=strategy, max_trials=1
    )
    assert [(r.batch_size, r.purpose) for r in records] == [(2, "baseline"), (64, "baseline")]
    assert listener.n_trials == 2
    assert listener.remarks == ["stopped by --max-trials 1; 5 were not run"]
    more = drive(plan, Recorded(rising), tmp_path / "j", strategy=strategy, max_trials=4)
    assert [r.purpose for r in more] == ["baseline", "baseline", "search", "search"]


def test_a_baseline_that_a_failed_start_put_off_is_still_measured_first(tmp_path: Path) -> None:
    device = Recorded(rising, room={1: 256 * LONG.max_len})
    records = drive(
        planned((1, 2, 4, 8, 256, 512), baselines=(256,)),
        device,
        tmp_path / "j",
        strategy="random",
        max_trials=2,
    )
    assert [(r.batch_size, r.status, r.purpose) for r in records] == [
        (512, "out_of_memory", "search"),
        (256, "completed", "baseline"),
    ]


def test_strategy_seed_and_budgets_are_in_every_record(tmp_path: Path) -> None:
    options: dict[str, Any] = {"strategy": "tpe", "seed": 7, "max_trials": 3, "max_time_s": 1e6}
    for record in drive(planned(), Recorded(rising), tmp_path / "j", **options):
        settings = {"strategy": "tpe", "seed": 7, "max_trials": 3, "max_time_s": 1e6}
        assert record.environment == settings


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def spec(**changes: Any) -> StudySpec:
    return StudySpec(model=MODEL, **changes)


def test_a_time_budget_is_used_up_by_the_clock() -> None:
    clock = Clock()
    budget = Budget(spec(max_time_s=10), clock)
    assert budget.exceeded(0) is None
    clock.now += 9.9
    assert budget.exceeded(0) is None
    clock.now += 0.1
    assert "--max-time 10" in (budget.exceeded(0) or "")


def test_gpu_hours_count_every_gpu_of_a_run_also_of_one_that_fails() -> None:
    clock = Clock()
    budget = Budget(spec(max_gpu_hours=2), clock)
    clock.now += 3600 * 50
    assert budget.exceeded(0) is None
    with budget.running(1):
        clock.now += 3600
    assert budget.exceeded(0) is None
    with contextlib.suppress(KeyboardInterrupt), budget.running(4):
        clock.now += 900
        raise KeyboardInterrupt
    assert "--max-gpu-hours 2" in (budget.exceeded(0) or "")


def test_a_budget_that_is_used_up_ends_a_grid_too(tmp_path: Path) -> None:
    listener = Quiet()
    device = Recorded(rising)
    drive(planned((1, 2, 4)), device, tmp_path / "j", listener, max_time_s=1e-9)
    assert not device.ran
    assert listener.remarks == ["stopped by --max-time 1e-09 (seconds); 3 were not run"]


class Nothing:
    """A strategy that has enough."""

    def ask(self, choices: object) -> None:
        return None

    def tell(self, planned: object, record: RunRecord) -> None:
        pass


def test_a_strategy_that_asks_for_nothing_ends_the_study(tmp_path: Path) -> None:
    device = Recorded(rising)
    with open_journal(tmp_path / "j", resume=False) as journal:
        study = study_of(journal, planned((1, 2)), make=lambda *_: Nothing())
        assert study.run(device, Quiet()) == []
    assert not device.ran


def test_records_of_another_plan_do_not_count(tmp_path: Path) -> None:
    first = drive(planned((1, 2)), Recorded(rising), tmp_path / "j")
    listener = Quiet()
    other = planned((1, 2), starts=(engine(2),))
    both = drive(other, Recorded(rising), tmp_path / "j", listener, max_trials=2)
    assert (listener.n_trials, listener.n_done) == (2, 0)
    assert both[:2] == first
    assert len(both) == 4
