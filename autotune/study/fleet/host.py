"""What a host of the fleet does when it is asked: run on a runner, and tell of it.

Our own exceptions do not all survive the way between processes; what they say does.
"""

import dataclasses
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from autotune.catalog.gpus import GpuSpec
from autotune.catalog.own_gpus import add_specs
from autotune.errors import AutotuneError, UsageError
from autotune.runner.runner import RunnerSettings, Start, Trial, TrialRunner, tail_path
from autotune.schema.codec import to_json_line
from autotune.schema.engine_config import EngineConfig
from autotune.study.loop import run_twice


class Reply(NamedTuple):
    """What a host tells of a run: the record's line, the engine's last words, seconds."""

    line: str
    tail: str
    seconds: float


class Refusal(NamedTuple):
    """What a host would not do, and whether the input is to blame."""

    text: str
    is_usage: bool


_ASKING = "the fleet's driver"


class Host:
    """What an actor does: a runner on its host.

    Args:
        gpus: What the driver knows of GPUs beside the catalogue.
    """

    def __init__(self, settings: RunnerSettings, gpus: Sequence[GpuSpec] = ()) -> None:
        add_specs(gpus, _ASKING)
        log_dir = Path(tempfile.mkdtemp(prefix="autotune-fleet-"))
        self._settings = dataclasses.replace(settings, log_dir=log_dir)
        self._runner = TrialRunner(self._settings, _Nobody())
        self._runner.__enter__()

    def is_up(self) -> bool:
        """Answer once there is a runner."""
        return True

    def run(self, trial: Trial, part: Sequence[Trial]) -> Reply | Refusal:
        """Run a configuration of a study."""
        return self._tell(run_twice, self._runner, trial, part)

    def run_one(self, trial: Trial, start: Start) -> Reply | Refusal:
        """Run a configuration."""
        return self._tell(self._runner.run, trial, start)

    def _tell(self, run: Any, *arguments: Any) -> Reply | Refusal:
        begin = time.monotonic()
        record = _or_refusal(run, *arguments)
        if isinstance(record, Refusal):
            return record
        path = tail_path(self._settings.log_dir, record)
        tail = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        return Reply(to_json_line(record), tail, time.monotonic() - begin)


class _Nobody:
    """Listens to a runner whose runs are told elsewhere."""

    def engine_starting(self, config: EngineConfig) -> None:
        """Nobody asks."""

    def trial_started(self, configuration: Any) -> None:
        """Nobody asks."""

    def pass_finished(self, event: Mapping[str, Any]) -> None:
        """Nobody asks."""


def seeing_all(gpus: Sequence[GpuSpec], function: Any, *arguments: Any) -> Any:
    """Call a function that looks at all of a host's GPUs; a task that holds none is shown none.

    Args:
        gpus: What the driver knows of GPUs beside the catalogue.
    """
    hidden = os.environ.pop("CUDA_VISIBLE_DEVICES", None)
    try:
        return _or_refusal(_knowing, gpus, function, *arguments)
    finally:
        if hidden is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = hidden


def _knowing(gpus: Sequence[GpuSpec], function: Any, *arguments: Any) -> Any:
    add_specs(gpus, _ASKING)
    return function(*arguments)


def _or_refusal(function: Any, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except AutotuneError as error:
        return Refusal(str(error), isinstance(error, UsageError))
