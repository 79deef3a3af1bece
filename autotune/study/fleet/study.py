"""A study whose engine starts run side by side, each in a seat of its own somewhere in a fleet.

One engine start stays in one seat, so that a landscape is not a mix of hosts, and its sweep is told
every result before it goes on. What a lost seat was running is still to be run, so it is handed out
again like anything else.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from autotune.runner.runner import Trial
from autotune.schema.configuration import Identity, start_of
from autotune.schema.engine_config import EngineConfig
from autotune.schema.record import RunRecord
from autotune.study.loop import Listener, Study
from autotune.study.remaining import Remaining

MOST_LOSSES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a run in a seat.

    Attributes:
        record: ``None`` when the seat was lost, with its host, before there was one.
        seconds: What the seat was busy, an engine start included.
        reason: Why it was lost.
    """

    record: RunRecord | None
    seconds: float = 0.0
    reason: str = ""


class Seat(Protocol):
    """GPUs of one host, held for one engine start."""

    config: EngineConfig

    def begin(self, item: Trial, part: Sequence[Trial]) -> None:
        """Begin a run; its outcome comes out of the fleet's ``wait``."""

    def close(self) -> None:
        """Give the GPUs back, whatever they are doing."""


class Fleet(Protocol):
    """Hosts with GPUs."""

    def room(self, gpu: str) -> int:
        """How many GPUs of a kind its living hosts have in all."""

    def open(self, config: EngineConfig) -> Seat:
        """Ask for a seat; returns at once, it may be placed later."""

    def wait(self, seats: Mapping[Identity, Seat]) -> dict[Identity, Outcome]:
        """Wait a while for runs to end; what has ended, and what can no longer be placed."""


class FleetStudy(Study):
    """A study that a fleet can run."""

    def run_on(self, fleet: Fleet, listener: Listener) -> None:
        """Run everything that remains, as much at a time as the fleet has room for."""
        work = _Work(self, fleet, listener)
        self.begin(listener)
        try:
            while work.hand_out(self.remaining()):
                for start, outcome in fleet.wait(work.busy).items():
                    work.take_back(start, outcome)
        finally:
            work.close()


class _Work:
    """Who runs what at the moment: of each engine start at most one run.

    Attributes:
        busy: Engine start -> the seat that runs one of its configurations.
    """

    def __init__(self, study: FleetStudy, fleet: Fleet, listener: Listener) -> None:
        self.busy: dict[Identity, Seat] = {}
        self._idle: dict[Identity, Seat] = {}
        self._losses: Counter[Identity] = Counter()
        self._study = study
        self._fleet = fleet
        self._listener = listener

    def hand_out(self, remaining: Remaining) -> bool:
        """Begin what there is room for; whether anything runs."""
        choices = [item for item in _choices(remaining) if self._may_begin(item)]
        self._dismiss({start_of(item.configuration) for item in choices})
        while choices:
            item = self._study.choose(remaining, choices, self._listener, n_running=len(self.busy))
            if item is None:
                break
            start = start_of(item.configuration)
            seat = self._idle.pop(start, None) or self._seat(item.config)
            if seat is not None:
                self._listener.trial_started(item.configuration)
                seat.begin(item, remaining.served_with(item))
                self.busy[start] = seat
            choices = [other for other in choices if start_of(other.configuration) != start]
        if not self.busy and len(remaining.trials):
            self._say_what_is_missing(remaining)
        return bool(self.busy)

    def take_back(self, start: Identity, outcome: Outcome) -> None:
        """Take in what came of a run; a seat that is left stays up for the next of its start."""
        seat = self.busy.pop(start)
        self._study.budget.spend(seat.config.n_gpus, outcome.seconds)
        if outcome.record is not None:
            self._study.take(outcome.record, self._listener)
            self._idle[start] = seat
            return
        seat.close()
        self._losses[start] += 1
        text = f"{seat.config.engine} on {seat.config.n_gpus} x {seat.config.gpu}: {outcome.reason}"
        self._study.remark(self._listener, f"{text} ({self._losses[start]} of {MOST_LOSSES})")

    def close(self) -> None:
        """Give everything back."""
        for seat in (*self.busy.values(), *self._idle.values()):
            seat.close()
        self.busy.clear()
        self._idle.clear()

    def _may_begin(self, item: Trial) -> bool:
        start = start_of(item.configuration)
        return start not in self.busy and self._losses[start] < MOST_LOSSES

    def _dismiss(self, wanted: set[Identity]) -> None:
        """Close the seats of engine starts that have nothing left."""
        for start in [start for start in self._idle if start not in wanted]:
            self._idle.pop(start).close()

    def _seat(self, config: EngineConfig) -> Seat | None:
        """Return a new seat where there is room for it; idle ones give way."""
        room = self._fleet.room(config.gpu)
        if config.n_gpus > room:
            return None
        while self._n_taken(config.gpu) + config.n_gpus > room:
            idle = [start for start, seat in self._idle.items() if seat.config.gpu == config.gpu]
            if not idle:
                return None
            self._idle.pop(idle[0]).close()
        self._listener.engine_starting(config)
        return self._fleet.open(config)

    def _n_taken(self, gpu: str) -> int:
        seats = (*self.busy.values(), *self._idle.values())
        return sum(seat.config.n_gpus for seat in seats if seat.config.gpu == gpu)

    def _say_what_is_missing(self, remaining: Remaining) -> None:
        for config in {id(i.config): i.config for i in _choices(remaining)}.values():
            room = self._fleet.room(config.gpu)
            if config.n_gpus > room:
                self._study.remark(
                    self._listener,
                    f"no room for {config.n_gpus} x {config.gpu}: the fleet has {room} of them "
                    "left; go on with --resume when it has more",
                )


def _choices(remaining: Remaining) -> list[Trial]:
    """Return what may run now: while a start's baselines are left, those alone."""
    waiting = remaining.baselines
    starts = {start_of(item.configuration) for item in waiting}
    others = [item for item in remaining.choices if start_of(item.configuration) not in starts]
    return [*waiting, *others]
