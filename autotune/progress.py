"""What a person sees while a study runs: the configuration, the best so far, the time left.

Everything goes to standard error; standard output belongs to results. Away from a terminal (or
without rich) it is one plain line per configuration.
"""

import importlib.util
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Self

from autotune.records import Configuration, RunRecord
from autotune.spec import EngineConfig


def describe(configuration: Configuration) -> str:
    """Return a configuration in a few words."""
    lengths = f"{configuration.input_len}/{configuration.output_len}"
    return (
        f"{configuration.engine} · {configuration.n_gpus} GPU · "
        f"batch {configuration.batch_size} · {lengths}"
    )


def outcome(record: RunRecord) -> str:
    """Return what came of a configuration in a few words."""
    if record.status != "completed" or record.output_throughput is None:
        first = (record.notes or "").strip().partition("\n")[0]
        return f"{record.status.replace('_', ' ')}: {first[:160]}"
    spread = "" if record.throughput_ci95 is None else f" ±{record.throughput_ci95:.1%}"
    return f"{record.output_throughput:.1f} tok/s{spread}"


OnRecord = Callable[[RunRecord], None]


def create_progress(on_record: OnRecord | None = None) -> "StudyProgress":
    """Return the live display on a terminal, plain lines elsewhere."""
    if sys.stderr.isatty() and importlib.util.find_spec("rich") is not None:
        return LiveProgress(on_record)
    return StudyProgress(on_record)


class StudyProgress:
    """A study's listener that writes plain lines; use as a context manager.

    Args:
        on_record: Called with each record after it is shown.
    """

    def __init__(self, on_record: OnRecord | None = None) -> None:
        self._on_record = on_record
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
        self.say(f"starting {config.engine} on {config.n_gpus} x {config.gpu}")

    def trial_started(self, configuration: Configuration) -> None:
        """Nothing to write before there is a result."""

    def pass_finished(self, event: Mapping[str, Any]) -> None:
        """Nothing to write before there is a result."""

    def trial_finished(self, record: RunRecord) -> None:
        """Write a line for the configuration, and keep the best so far."""
        self.say(f"  {describe(record)}: {outcome(record)}")
        self._finished += 1
        if record.is_measured and (
            self.best is None
            or (record.output_throughput or 0) > (self.best.output_throughput or 0)
        ):
            self.best = record
        if self._on_record is not None:
            self._on_record(record)

    @property
    def seconds_left(self) -> float:
        """Time left at the mean pace so far."""
        each = (time.monotonic() - self._begin) / max(self._finished, 1)
        return max(0, self._left - self._finished) * each


class LiveProgress(StudyProgress):
    """The same lines above a live one (rich)."""

    def __init__(self, on_record: OnRecord | None = None) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
        )

        super().__init__(on_record)
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
        text = f"starting {config.engine} on {config.n_gpus} x {config.gpu}"
        self._progress.update(self._task, description=text)

    def trial_started(self, configuration: Configuration) -> None:
        """Show the current configuration."""
        self._progress.update(self._task, description=describe(configuration), last="")

    def pass_finished(self, event: Mapping[str, Any]) -> None:
        """Show the speed of the last pass."""
        kind = "warm-up" if event["warmup"] else "pass"
        self._progress.update(self._task, last=f"{kind}: {event['output_throughput']:.0f} tok/s")

    def trial_finished(self, record: RunRecord) -> None:
        """Move on, with the time left and the best so far."""
        super().trial_finished(record)
        best = "" if self.best is None else f"best {self.best.output_throughput:.0f} tok/s"
        left = f"{self.seconds_left:.0f} s left"
        self._progress.update(self._task, advance=1, left=left, best=best)
