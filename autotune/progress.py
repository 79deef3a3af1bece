"""What a person sees while a study runs: the configuration, the best so far, the time left.

On a terminal a live line (rich); elsewhere one plain line per configuration. Everything goes to
standard error, standard output belongs to results.
"""

import sys
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

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


class StudyProgress:
    """A study's listener that shows it; use as a context manager."""

    def __init__(self) -> None:
        self.console = Console(stderr=True)
        self.best: RunRecord | None = None
        self._live = sys.stderr.isatty()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}  {task.fields[best]}"),
            console=self.console,
            transient=True,
            disable=not self._live,
        )
        self._task = self._progress.add_task("planning", total=None, left="", best="")
        self._begin = time.monotonic()
        self._left = 0
        self._finished = 0

    def __enter__(self) -> "StudyProgress":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def study_started(self, session_id: str, n_trials: int, n_done: int) -> None:
        """Say what is planned and what the journal holds already."""
        done = f", {n_done} in the journal already" if n_done else ""
        self.console.print(f"study {session_id}: {n_trials} configurations{done}", highlight=False)
        self._left = n_trials - n_done
        self._begin = time.monotonic()
        self._progress.update(self._task, total=n_trials, completed=n_done)

    def engine_starting(self, config: EngineConfig) -> None:
        """Say that an engine starts."""
        text = f"starting {config.engine} on {config.n_gpus} x {config.gpu}"
        self._progress.update(self._task, description=text)
        if not self._live:
            self.console.print(text, highlight=False)

    def trial_started(self, configuration: Configuration) -> None:
        """Show the current configuration."""
        self._progress.update(self._task, description=describe(configuration))

    def pass_finished(self, event: Mapping[str, Any]) -> None:
        """Show the speed of the last pass."""
        kind = "warm-up" if event["warmup"] else "pass"
        self._progress.update(self._task, left=f"{kind} {event['output_throughput']:.0f} tok/s")

    def trial_finished(self, record: RunRecord) -> None:
        """Keep a line for the configuration, and the best so far."""
        self.console.print(f"  {describe(record)}: {outcome(record)}", highlight=False)
        if record.is_measured and (
            self.best is None
            or (record.output_throughput or 0) > (self.best.output_throughput or 0)
        ):
            self.best = record
        self._finished += 1
        each = (time.monotonic() - self._begin) / self._finished
        left = max(0, self._left - self._finished) * each
        best = "" if self.best is None else f"best {self.best.output_throughput:.0f} tok/s"
        self._progress.update(self._task, advance=1, left=f"{left:.0f} s left", best=best)
