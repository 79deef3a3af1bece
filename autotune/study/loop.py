"""A study: ask for a configuration, run it, journal it, tell; until nothing is left."""

import dataclasses
import datetime
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from autotune.runner.runner import RunnerListener, Start, Trial, failed_to_start
from autotune.schema.configuration import CONFIGURATION_FIELDS, identity
from autotune.schema.record import RunRecord
from autotune.schema.study_spec import StudySpec
from autotune.store.journal import Journal
from autotune.study.remaining import Remaining, charge, remaining_of
from autotune.study.strategies import Strategy

_SECONDS_PER_HOUR = 3600.0


class Budget:
    """Counts one session's time and GPU-hours against a study's limits.

    Args:
        clock: Seconds from any beginning, rising.
    """

    def __init__(self, spec: StudySpec, clock: Callable[[], float] = time.monotonic) -> None:
        self._spec = spec
        self._clock = clock
        self._begin = clock()
        self._gpu_seconds = 0.0

    @contextmanager
    def running(self, n_gpus: int) -> Iterator[None]:
        """Count a run on so many GPUs, the engine start that it needs included."""
        begin = self._clock()
        try:
            yield
        finally:
            self.spend(n_gpus, self._clock() - begin)

    def spend(self, n_gpus: int, seconds: float) -> None:
        """Count a run that another host timed."""
        self._gpu_seconds += n_gpus * seconds

    def exceeded(self, n_trials: int) -> str | None:
        """Return which budget ``n_trials`` in all have used up, as the option that set it."""
        spec = self._spec
        if spec.max_trials is not None and n_trials >= spec.max_trials:
            return f"--max-trials {spec.max_trials}"
        if spec.max_time_s is not None and self._clock() - self._begin >= spec.max_time_s:
            return f"--max-time {spec.max_time_s:g} (seconds)"
        hours = self._gpu_seconds / _SECONDS_PER_HOUR
        if spec.max_gpu_hours is not None and hours >= spec.max_gpu_hours:
            return f"--max-gpu-hours {spec.max_gpu_hours:g}"
        return None


class Runner(Protocol):
    """Whatever runs a configuration: a runner, or recorded runs."""

    def run(self, trial: Trial, start: Start) -> RunRecord:
        """Run one on an engine started as ``start`` says; a failure is a record too."""


def run_twice(runner: Runner, trial: Trial, part: Sequence[Trial]) -> RunRecord:
    """Run a configuration, and once more after a failure that may have been an accident.

    Args:
        part: What the engine start is sized for. One that runs out of memory is charged to the
            largest of it.
    """
    start = Start.for_trials(part)
    record = runner.run(trial, start)
    if record.status not in ("completed", "out_of_memory"):
        record = runner.run(trial, start)
    assert identity(record) == identity(trial.configuration), "the runner ran something else"
    if record.status != "out_of_memory" or not failed_to_start(record):
        return record
    charged = charge(part)
    fields = {name: getattr(charged, name) for name in CONFIGURATION_FIELDS}
    return dataclasses.replace(record, **fields, run_key=None)


class Listener(RunnerListener, Protocol):
    """Whoever wants to follow a study as it runs."""

    def study_started(self, session_id: str, n_trials: int, n_done: int) -> None:
        """Planned; ``n_done`` configurations are in the journal already."""

    def trial_finished(self, record: RunRecord) -> None:
        """A configuration has been journalled."""

    def trials_left(self, n_trials: int) -> None:
        """So many are still to run: failures and flat sweeps spare some."""

    def remark(self, text: str) -> None:
        """Why something is not run; told once."""


def new_session_id() -> str:
    """Return a fresh id that sorts by time."""
    now = datetime.datetime.now(datetime.UTC)
    return f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


class Study:
    """A planned study bound to its journal.

    Args:
        spec: What to run.
        journal: Open journal; configurations it holds already are not run again.
        planned: What ``plan(spec)`` returned.
        strategy: Chooses the next configuration; baselines come before it is asked.
        session_id: Id of a study that begins; one that goes on keeps its journal's.
        on_record: Is given each record once it is in the journal.

    Attributes:
        remarks: What the listener was told of what is not run.
        budget: What this session may still spend, once it has begun.
    """

    budget: Budget

    def __init__(
        self,
        spec: StudySpec,
        journal: Journal,
        *,
        planned: Sequence[Trial],
        strategy: Strategy,
        session_id: str,
        on_record: Callable[[RunRecord], None] | None = None,
    ) -> None:
        self.journal = journal
        self._on_record = on_record
        held = [r.session_id for r in journal.records if r.session_id is not None]
        self.session_id = held[-1] if held else session_id
        self.remarks: list[str] = []
        self._spec = spec
        self._strategy = strategy
        self._planned = {identity(item.configuration): item for item in planned}

    def run(self, runner: Runner, listener: Listener) -> list[RunRecord]:
        """Run everything that remains and return the records made now."""
        remaining = self.begin(listener)
        n_before = len(self.journal.records)
        while (trial := self._next(remaining, listener)) is not None:
            with self.budget.running(trial.config.n_gpus):
                record = run_twice(runner, trial, remaining.served_with(trial))
            remaining = self.take(record, listener)
        return list(self.journal.records[n_before:])

    def begin(self, listener: Listener) -> Remaining:
        """Tell the strategy what the journal holds and the listener what is ahead; return that."""
        self.budget = Budget(self._spec)
        for record in self.journal.records:
            self._tell(record)
        remaining = self.remaining()
        n_done = self._n_done()
        listener.study_started(self.session_id, n_done + self._n_ahead(remaining), n_done)
        self.remark(listener, *remaining.remarks)
        return remaining

    def take(self, record: RunRecord, listener: Listener) -> Remaining:
        """Journal a record, tell everybody, and return what is left."""
        record = self._marked(record)
        self.journal.append(record)
        self._tell(record)
        remaining = self.remaining()
        listener.trial_finished(record)
        if self._on_record is not None:
            self._on_record(record)
        listener.trials_left(self._n_ahead(remaining))
        self.remark(listener, *remaining.remarks)
        return remaining

    def remaining(self) -> Remaining:
        """Return what is left, as far as is known now."""
        spec = self._spec
        return remaining_of(
            list(self._planned.values()),
            self.journal.records,
            exhaustive=spec.goes_on_where_flat,
        )

    def choose(
        self,
        remaining: Remaining,
        choices: Sequence[Trial],
        listener: Listener,
        *,
        n_running: int = 0,
    ) -> Trial | None:
        """Return what to run next: baselines whatever they cost, then what the strategy wants.

        Args:
            choices: What of the remaining can begin now.
            n_running: Trials that have begun and are not journalled; they count as spent.
        """
        baseline = next((trial for trial in choices if trial.is_baseline), None)
        if baseline is not None:
            return baseline
        spent = self.budget.exceeded(self._n_done() + n_running)
        if spent is None:
            return self._strategy.ask(choices)
        if not n_running:
            left = len(remaining.trials)
            self.remark(listener, f"stopped by {spent}; {left} were not run")
        return None

    def remark(self, listener: Listener, *texts: str) -> None:
        """Tell why something is not run, once."""
        for text in texts:
            if text not in self.remarks:
                self.remarks.append(text)
                listener.remark(text)

    def _next(self, remaining: Remaining, listener: Listener) -> Trial | None:
        choices = remaining.baselines or remaining.choices
        return self.choose(remaining, choices, listener) if choices else None

    def _tell(self, record: RunRecord) -> None:
        item = self._planned.get(identity(record))
        if item is not None:
            self._strategy.tell(item, record)

    def _marked(self, record: RunRecord) -> RunRecord:
        """Say in the record what it is for and how it came to be chosen."""
        item = self._planned.get(identity(record))
        is_baseline = item is not None and item.is_baseline
        return dataclasses.replace(
            record,
            purpose="baseline" if is_baseline else self._spec.purpose,
            environment={**record.environment, **self._spec.search_settings},
        )

    def _n_done(self) -> int:
        """Planned configurations that the journal holds."""
        return len({identity(record) for record in self.journal.records} & self._planned.keys())

    def _n_ahead(self, remaining: Remaining) -> int:
        """Configurations that will be run, as far as is known now."""
        if self._spec.max_trials is None:
            return len(remaining.trials)
        allowed = max(self._spec.max_trials - self._n_done(), len(remaining.baselines))
        return min(len(remaining.trials), allowed)
