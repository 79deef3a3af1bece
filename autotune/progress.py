"""What a person sees while a study runs: the configuration, the best so far, the time left.

Everything goes to standard error; standard output belongs to results. Away from a terminal (or
without rich) it is one plain line per configuration.
"""

import importlib.util
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Self

from autotune.demand import Slo
from autotune.limits import best_of
from autotune.records import Configuration, RunRecord
from autotune.spec import EngineConfig
from autotune.wording import describe, describe_start, outcome

OnRecord = Callable[[RunRecord], None]


def create_progress(on_record: OnRecord | None = None, slo: Slo | None = None) -> "StudyProgress":
    """Return the live display on a terminal, plain lines elsewhere."""
    if sys.stderr.isatty() and importlib.util.find_spec("rich") is not None:
        return LiveProgress(on_record, slo)
    return StudyProgress(on_record, slo)


class StudyProgress:
    """A study's listener that writes plain lines; use as a context manager.

    Args:
        on_record: Called with each record after it is shown.
        slo: Latency limits that the best so far must meet.
    """

    def __init__(self, on_record: OnRecord | None = None, slo: Slo | None = None) -> None:
        self._on_record = on_record
        self._slo = slo or Slo()
        self.best: RunRecord | None = None
        self._begin = time.monotonic()
        self._left = 0
        self._finished = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to tidy."""

    def say(self, text: str) -> None:
        """Write a line that stays."""
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def study_started(self, session_id: str, n_trials: int, n_done: int) -> None:
        """Say what is planned and what the journal holds already."""
        done = f", {n_done} in the journal already" if n_done else ""
        self.say(f"study {session_id}: {n_trials} configurations{done}")
        self._left = n_trials - n_done
        self._begin = time.monotonic()

    def engine_starting(self, config: EngineConfig) -> None:
        """Say that an engine starts."""
        self.say(f"starting {describe_start(config)}")

    def trial_started(self, configuration: Configuration) -> None:
        """Nothing to write before there is a result."""

    def pass_finished(self, event: Mapping[str, Any]) -> None:
        """Nothing to write before there is a result."""

    def trial_finished(self, record: RunRecord) -> None:
        """Write a line for the configuration, and keep the best so far."""
        self.say(f"  {describe(record)}: {outcome(record)}")
        self._finished += 1
        self._left = max(0, self._left - 1)
        known = [record] if self.best is None else [self.best, record]
        self.best = best_of(known, self._slo)
        if self._on_record is not None:
            self._on_record(record)

    def trials_left(self, n_trials: int) -> None:
        """Take in how many configurations are still to run."""
        self._left = n_trials

    def remark(self, text: str) -> None:
        """Write why something is not run."""
        self.say(f"  {text}")

    @property
    def seconds_left(self) -> float:
        """Time left at the mean pace so far."""
        each = (time.monotonic() - self._begin) / max(self._finished, 1)
        return self._left * each


class LiveProgress(StudyProgress):
    """The same lines above a live one (rich)."""

    def __init__(self, on_record: OnRecord | None = None, slo: Slo | None = None) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
        )

        super().__init__(on_record, slo)
        self._console = Console(stderr=True, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}  {task.fields[best]}  {task.fields[last]}"),
            console=self._console,
            transient=True,
        )
        self._task = self._progress.add_task("planning", total=None, left="", best="", last="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """Write a line above the live one."""
        self._console.print(text, markup=False)

    def study_started(self, session_id: str, n_trials: int, n_done: int) -> None:
        """Show the whole and what is done of it."""
        super().study_started(session_id, n_trials, n_done)
        self._progress.update(self._task, total=n_trials, completed=n_done)

    def engine_starting(self, config: EngineConfig) -> None:
        """Show that an engine starts."""
        text = f"starting {describe_start(config)}"
        self._progress.update(self._task, description=text)

    def trial_started(self, configuration: Configuration) -> None:
        """Show the current configuration."""
        self._progress.update(self._task, description=describe(configuration), last="")

    def pass_finished(self, event: Mapping[str, Any]) -> None:
        """Show the speed of the last pass."""
        kind = "warm-up" if event["warmup"] else "pass"
        self._progress.update(self._task, last=f"{kind}: {event['output_throughput']:.0f} tok/s")

    def trial_finished(self, record: RunRecord) -> None:
        """Move on, with the best so far."""
        super().trial_finished(record)
        best = "" if self.best is None else f"best {self.best.output_throughput:.0f} tok/s"
        self._progress.update(self._task, advance=1, left=self._time_left, best=best)

    def trials_left(self, n_trials: int) -> None:
        """Shorten the whole by what is spared."""
        super().trials_left(n_trials)
        done = self._progress.tasks[self._task].completed
        self._progress.update(self._task, total=done + n_trials, left=self._time_left)

    @property
    def _time_left(self) -> str:
        return f"{self.seconds_left:.0f} s left"
