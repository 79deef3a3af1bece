"""A study: plan its configurations, run what is not yet in the journal, record each."""

import dataclasses
import datetime
import math
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from autotune.bench import Bench, BenchListener, BenchSettings, configuration_of, failed_to_start
from autotune.journal import Journal
from autotune.planning import Group, Trial, plan, resolve_host
from autotune.records import Configuration, RunRecord
from autotune.spec import StudySpec

__all__ = [
    "Group",
    "Listener",
    "Study",
    "Trial",
    "identity",
    "new_session_id",
    "plan",
    "resolve_host",
]


class Listener(BenchListener, Protocol):
    """Whoever wants to follow a study as it runs."""

    def study_started(self, session_id: str, n_trials: int, n_done: int) -> None:
        """Planned; ``n_done`` configurations are in the journal already."""

    def trial_finished(self, record: RunRecord) -> None:
        """A configuration has been journalled."""


def new_session_id() -> str:
    """Return a fresh id that sorts by time."""
    now = datetime.datetime.now(datetime.UTC)
    return f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


class Study:
    """A planned study bound to its journal.

    Args:
        spec: What to run.
        journal: Open journal; configurations it holds already are not run again.
        groups: What ``plan(spec)`` returned.
        session_id: Id of a study that begins; one that goes on keeps its journal's.
        log_dir: Folder for the engines' own output.
    """

    def __init__(
        self,
        spec: StudySpec,
        journal: Journal,
        *,
        groups: Sequence[Group],
        session_id: str,
        log_dir: Path,
    ) -> None:
        self.groups = groups
        self.journal = journal
        held = [r.session_id for r in journal.records if r.session_id is not None]
        self.session_id = held[-1] if held else session_id
        self._settings = BenchSettings(
            session_id=self.session_id,
            log_dir=log_dir,
            policy=spec.policy,
            purpose=spec.purpose,
            seed=spec.seed,
            start_timeout_s=spec.start_timeout_s,
            stall_timeout_s=spec.stall_timeout_s,
        )

    def run(self, listener: Listener) -> list[RunRecord]:
        """Run everything that remains and return the records made now."""
        remaining = [
            dataclasses.replace(group, trials=trials)
            for group in self.groups
            if (trials := self._untried(group))
        ]
        total = sum(len(group.trials) for group in self.groups)
        left = sum(len(group.trials) for group in remaining)
        listener.study_started(self.session_id, total, total - left)
        made = []
        with Bench(self._settings, listener) as bench:
            for group in remaining:
                for record in self._run_group(bench, group):
                    self.journal.append(record)
                    listener.trial_finished(record)
                    made.append(record)
        return made

    def _run_group(self, bench: Bench, group: Group) -> Iterator[RunRecord]:
        """Run one group's trials, small batches first.

        Out of memory rules out the larger batches of the same workload. Where the start itself ran
        out, the lower half of what remains is tried first, with a start that is sized for it. Any
        other failure is tried once more; an engine that will not start twice ends its group.
        """
        chunks = [group]
        while chunks:
            chunk = self._still_possible(chunks.pop())
            for trial in chunk.trials:
                if not self._still_possible(dataclasses.replace(chunk, trials=(trial,))).trials:
                    continue
                record = _run_twice(bench, chunk, trial)
                yield record
                if record.status == "out_of_memory" and failed_to_start(record):
                    chunks.extend(_halves(chunk, self._untried(chunk)))
                    break
                if failed_to_start(record):
                    return

    def _still_possible(self, group: Group) -> Group:
        """Leave out the batches that a smaller one's out-of-memory rules out."""
        too_large: dict[object, float] = {}
        for record in self.journal.records:
            if record.status == "out_of_memory":
                family = _family(record)
                too_large[family] = min(record.batch_size, too_large.get(family, math.inf))
        trials = tuple(
            trial
            for trial in group.trials
            if trial.batch_size < too_large.get(_family(_configuration(group, trial)), math.inf)
        )
        return dataclasses.replace(group, trials=trials)

    def _untried(self, group: Group) -> tuple[Trial, ...]:
        done = {identity(record) for record in self.journal.records}
        return tuple(t for t in group.trials if _identity(group, t) not in done)


def _run_twice(bench: Bench, group: Group, trial: Trial) -> RunRecord:
    """Run a trial, and once more after a failure that may have been an accident.

    A start that runs out of memory is charged to the largest batch it was to serve.
    """
    start = group.start
    record = bench.run(start, trial.workload, trial.batch_size)
    if record.status not in ("completed", "out_of_memory"):
        record = bench.run(start, trial.workload, trial.batch_size)
    if record.status == "out_of_memory" and failed_to_start(record):
        return dataclasses.replace(record, batch_size=start.max_batch_size, run_key=None)
    return record


def _halves(group: Group, trials: tuple[Trial, ...]) -> list[Group]:
    """Cut trials into the larger and the smaller batches; the smaller come last, to be popped."""
    ordered = sorted(trials, key=lambda trial: trial.batch_size)
    middle = (len(ordered) + 1) // 2
    halves = (ordered[middle:], ordered[:middle])
    return [dataclasses.replace(group, trials=tuple(half)) for half in halves if half]


def identity(configuration: Configuration) -> tuple[object, ...]:
    """Return what tells two configurations of one host apart, engine version included."""
    values = (getattr(configuration, f.name) for f in dataclasses.fields(Configuration))
    return tuple(tuple(sorted(v.items())) if isinstance(v, Mapping) else v for v in values)


def _family(configuration: Configuration) -> tuple[object, ...]:
    """Return what configurations share that differ in their batch size alone."""
    plain = configuration.configuration if isinstance(configuration, RunRecord) else configuration
    return identity(dataclasses.replace(plain, batch_size=1))


def _configuration(group: Group, trial: Trial) -> Configuration:
    return configuration_of(group.config, trial.workload, trial.batch_size)


def _identity(group: Group, trial: Trial) -> tuple[object, ...]:
    return identity(_configuration(group, trial))
