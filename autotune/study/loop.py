"""A study: ask for a configuration, run it, journal it, tell; until nothing is left."""

import dataclasses
import datetime
import secrets
from collections.abc import Sequence
from typing import Protocol

from autotune.runner.runner import BenchListener
from autotune.schema.record import RunRecord
from autotune.schema.study_spec import StudySpec
from autotune.store.journal import Journal
from autotune.study.budget import Budget
from autotune.study.outlook import Outlook, look_ahead
from autotune.study.planning import Planned, plan, resolve_host
from autotune.study.remaining import identity
from autotune.study.strategies import Strategy
from autotune.study.trying import Device, run_twice

__all__ = [
    "Device",
    "Listener",
    "Planned",
    "Study",
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

    Attributes:
        remarks: What the listener was told of what is not run.
    """

    def __init__(
        self,
        spec: StudySpec,
        journal: Journal,
        *,
        planned: Sequence[Planned],
        strategy: Strategy,
        session_id: str,
    ) -> None:
        self.journal = journal
        held = [r.session_id for r in journal.records if r.session_id is not None]
        self.session_id = held[-1] if held else session_id
        self.remarks: list[str] = []
        self._spec = spec
        self._strategy = strategy
        self._planned = {identity(item.configuration): item for item in planned}

    def run(self, device: Device, listener: Listener) -> list[RunRecord]:
        """Run everything that remains and return the records made now."""
        budget = Budget(self._spec)
        for record in self.journal.records:
            self._tell(record)
        outlook = self._look_ahead()
        n_done = self._n_done()
        listener.study_started(self.session_id, n_done + self._n_ahead(outlook), n_done)
        self._remark(listener, outlook.remarks)
        made = []
        while (item := self._next(outlook, budget, listener)) is not None:
            with budget.running(item.config.n_gpus):
                record = self._marked(run_twice(device, item, outlook.served_with(item)))
            self.journal.append(record)
            self._tell(record)
            made.append(record)
            outlook = self._look_ahead()
            listener.trial_finished(record)
            listener.trials_left(self._n_ahead(outlook))
            self._remark(listener, outlook.remarks)
        return made

    def _look_ahead(self) -> Outlook:
        spec = self._spec
        return look_ahead(
            list(self._planned.values()),
            self.journal.records,
            exhaustive=spec.goes_on_where_flat,
        )

    def _next(self, outlook: Outlook, budget: Budget, listener: Listener) -> Planned | None:
        """Return what to run: baselines whatever they cost, then what the strategy wants."""
        if outlook.baselines:
            return outlook.baselines[0]
        if not outlook.parts:
            return None
        spent = budget.exceeded(self._n_done())
        if spent is not None:
            self._remark(listener, [f"stopped by {spent}; {outlook.n_left} were not run"])
            return None
        return self._strategy.ask(outlook.choices)

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

    def _n_ahead(self, outlook: Outlook) -> int:
        """Configurations that will be run, as far as is known now."""
        if self._spec.max_trials is None:
            return outlook.n_left
        allowed = max(self._spec.max_trials - self._n_done(), len(outlook.baselines))
        return min(outlook.n_left, allowed)

    def _remark(self, listener: Listener, texts: Sequence[str]) -> None:
        for text in texts:
            if text not in self.remarks:
                self.remarks.append(text)
                listener.remark(text)
