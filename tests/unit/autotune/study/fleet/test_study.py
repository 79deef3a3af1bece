"""A study over a fleet, on made-up hosts: as much at a time as there is room for, nothing lost."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autotune.runner.runner import Start, Trial
from autotune.schema.configuration import Identity, identity
from autotune.schema.engine_config import EngineConfig
from autotune.schema.record import RunRecord
from autotune.schema.study_spec import StudySpec
from autotune.store.journal import open_journal
from autotune.study.fleet.study import MOST_LOSSES, FleetStudy, Outcome, Seat
from autotune.study.strategies import create_strategy
from tests.support.plans import GPU, MODEL, Quiet, Recorded, engine, planned, result

SIZES = (1, 2, 4, 8)


@dataclass
class MadeUpSeat:
    """A seat whose runs are done at once, and told later."""

    config: EngineConfig
    device: Recorded
    fleet: "MadeUpFleet"
    outcome: Outcome | None = None

    def begin(self, item: Trial, part: Sequence[Trial]) -> None:
        assert self.outcome is None
        if self.fleet.is_lost(item):
            self.outcome = Outcome(record=None, reason="its host was lost")
        else:
            record = self.device.run(item, Start.for_trials(part))
            self.outcome = Outcome(record=record, seconds=1.0)

    def close(self) -> None:
        self.fleet.up.remove(self)


@dataclass
class MadeUpFleet:
    """Hosts with so many GPUs in all.

    Attributes:
        is_lost: Whether a run is lost with its host.
        most: The most GPUs that were held at a time.
    """

    n_gpus: int
    is_lost: Callable[[Trial], bool] = lambda item: False
    up: list[MadeUpSeat] = field(default_factory=list)
    opened: list[EngineConfig] = field(default_factory=list)
    most: int = 0

    def room(self, gpu: str) -> int:
        return self.n_gpus if gpu == GPU else 0

    def open(self, config: EngineConfig) -> MadeUpSeat:
        seat = MadeUpSeat(config, Recorded(lambda of: 100.0 * of.batch_size), self)
        self.up.append(seat)
        self.opened.append(config)
        self.most = max(self.most, sum(seat.config.n_gpus for seat in self.up))
        assert self.most <= self.n_gpus
        return seat

    def wait(self, seats: Mapping[Identity, Seat]) -> dict[Identity, Outcome]:
        start, seat = next(iter(seats.items()))
        assert isinstance(seat, MadeUpSeat)
        outcome, seat.outcome = seat.outcome, None
        assert outcome is not None
        return {start: outcome}


def run_on(
    fleet: MadeUpFleet, plan: Sequence[Trial], path: Path, **changes: Any
) -> tuple[list[RunRecord], Quiet]:
    spec = StudySpec(model=MODEL, exhaustive=True, **changes)
    listener = Quiet()
    with open_journal(path, resume=True) as journal:
        study = FleetStudy(
            spec,
            journal,
            planned=plan,
            strategy=create_strategy(spec, plan),
            session_id="s",
        )
        study.run_on(fleet, listener)
        assert listener.remarks == study.remarks, "the listener hears of everything not run"
        assert not fleet.up
        return list(journal.records), listener


STARTS = [engine(n_gpus=n, knobs={"block_size": b}) for n in (1, 2) for b in (8, 16)]


def test_engine_starts_run_side_by_side_in_the_room_there_is(tmp_path: Path) -> None:
    plan = planned(SIZES, starts=STARTS)
    fleet = MadeUpFleet(n_gpus=4)
    records, listener = run_on(fleet, plan, tmp_path / "j.jsonl")
    assert {identity(r) for r in records} == {identity(item.configuration) for item in plan}
    assert len(records) == len(plan)
    assert fleet.most == 4
    # An engine start keeps its seat to its end.
    assert sorted(map(str, fleet.opened)) == sorted(map(str, STARTS))
    assert [r.n_gpus for r in records] != sorted(r.n_gpus for r in records)
    assert listener.finished == records
    assert listener.left[-1] == 0


def test_what_a_lost_host_ran_is_run_elsewhere(tmp_path: Path) -> None:
    lost: list[Trial] = []

    def is_lost(item: Trial) -> bool:
        is_first = item.batch_size == 4 and not lost
        if is_first:
            lost.append(item)
        return is_first

    plan = planned(SIZES, starts=STARTS[:2])
    fleet = MadeUpFleet(n_gpus=2, is_lost=is_lost)
    records, listener = run_on(fleet, plan, tmp_path / "j.jsonl")
    assert lost
    assert sorted(r.batch_size for r in records) == sorted(SIZES * 2)
    assert len(fleet.opened) == 3
    assert any("its host was lost (1 of 3)" in remark for remark in listener.remarks)


def test_an_engine_start_that_is_lost_again_and_again_is_given_up(tmp_path: Path) -> None:
    plan = planned(SIZES, starts=STARTS[:2])
    fleet = MadeUpFleet(n_gpus=2, is_lost=lambda item: item.config == STARTS[0])
    records, _ = run_on(fleet, plan, tmp_path / "j.jsonl")
    assert [r.knobs["block_size"] for r in records] == [16] * len(SIZES)
    assert fleet.opened.count(STARTS[0]) == MOST_LOSSES


def test_what_no_host_has_room_for_is_named_and_left(tmp_path: Path) -> None:
    plan = planned((1, 2), starts=[STARTS[0], engine(n_gpus=8)])
    records, listener = run_on(MadeUpFleet(n_gpus=2), plan, tmp_path / "j.jsonl")
    assert [r.n_gpus for r in records] == [1, 1]
    assert any(f"no room for 8 x {GPU}: the fleet has 2" in text for text in listener.remarks)


def test_a_budget_counts_what_is_running(tmp_path: Path) -> None:
    plan = planned(SIZES, starts=STARTS)
    records, listener = run_on(
        MadeUpFleet(n_gpus=6), plan, tmp_path / "j.jsonl", strategy="random", max_trials=5
    )
    assert len(records) == 5
    assert any("stopped by --max-trials 5" in text for text in listener.remarks)


def test_a_study_goes_on_from_its_journal(tmp_path: Path) -> None:
    plan = planned(SIZES, starts=STARTS[:2])
    first, _ = run_on(MadeUpFleet(n_gpus=1), plan[:5], tmp_path / "j.jsonl")
    records, listener = run_on(MadeUpFleet(n_gpus=2), plan, tmp_path / "j.jsonl")
    assert records[:5] == first
    assert len(records) == len(plan)
    assert (listener.n_trials, listener.n_done) == (8, 5)


def test_a_study_that_goes_on_says_at_once_what_its_journal_leaves_out(tmp_path: Path) -> None:
    plan = planned(SIZES, starts=STARTS[:1])
    failed = result(plan[0].configuration, "load_failed", engine_start_s=None)
    with open_journal(tmp_path / "j.jsonl", resume=True) as journal:
        journal.append(failed)
    _, listener = run_on(MadeUpFleet(n_gpus=1), plan, tmp_path / "j.jsonl")
    assert any("the engine did not start, so 3 more were not run" in r for r in listener.remarks)
