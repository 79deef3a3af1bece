"""A study and other long work on a terminal: rate, time left, best so far, what the GPUs do."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from autotune.catalog.gpus import open_devices
from autotune.schema.configuration import Configuration
from autotune.schema.engine_config import EngineConfig
from autotune.schema.record import RunRecord
from autotune.schema.workload import Slo
from autotune.views.progress import StudyProgress
from autotune.views.wording import describe, describe_start

_GIB = 2**30


class GpuGauge:
    """What the visible GPUs use now."""

    def __init__(self) -> None:
        self._nvml, self._handles = open_devices()

    @property
    def text(self) -> str:
        """Memory of the fullest, power of all; empty without a GPU or when it cannot be read."""
        if not self._handles:
            return ""
        try:
            memory = max(self._nvml.nvmlDeviceGetMemoryInfo(h).used for h in self._handles)
            power = sum(self._nvml.nvmlDeviceGetPowerUsage(h) for h in self._handles)
        except self._nvml.NVMLError:
            return ""
        return f"{memory / _GIB:.1f} GB {power / 1000:.0f} W"


class _GpuColumn(ProgressColumn):
    """The gauge, read once a second."""

    max_refresh = 1.0

    def __init__(self) -> None:
        super().__init__()
        self._gauge = GpuGauge()

    def render(self, task: Task) -> Text:
        """Return the gauge's text."""
        return Text(self._gauge.text)


class _RateColumn(ProgressColumn):
    """How many a second; nothing before the first."""

    def render(self, task: Task) -> Text:
        """Return the rate."""
        return Text("" if task.speed is None else f"{task.speed:.0f}/s")


def describe_seconds(seconds: float) -> str:
    """Return a duration in its two largest units.

    >>> [describe_seconds(s) for s in (42, 150, 7260)]
    ['42 s', '2 min 30 s', '2 h 1 min']
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


@contextlib.contextmanager
def counter(what: str, total: int) -> Iterator[Callable[[], None]]:
    """Provide what to call as each of ``total`` things is done, and show how far it is."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)


@contextlib.contextmanager
def spinner(what: str) -> Iterator[None]:
    """Show what goes on and for how long."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        progress.add_task(what, total=None)
        yield


class LiveProgress(StudyProgress):
    """The same lines above a live one (rich)."""

    def __init__(self, slo: Slo | None = None) -> None:
        super().__init__(slo)
        self._console = Console(stderr=True, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}  {task.fields[best]}  {task.fields[last]}"),
            _GpuColumn(),
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
        left = f"{self.per_minute:.1f}/min, {self._time_left}"
        self._progress.update(self._task, advance=1, left=left, best=best)

    def trials_left(self, n_trials: int) -> None:
        """Shorten the whole by what is spared."""
        super().trials_left(n_trials)
        done = self._progress.tasks[self._task].completed
        self._progress.update(self._task, total=done + n_trials, left=self._time_left)

    @property
    def _time_left(self) -> str:
        return f"{describe_seconds(self.seconds_left)} left"
