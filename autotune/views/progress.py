"""What a person sees while a study runs: the configuration, the best so far, the time left.

Everything goes to standard error; standard output belongs to results. Away from a terminal (or
without rich) it is one plain line per configuration.
"""

import sys
import time
from collections.abc import Mapping
from typing import Any, Self

from autotune.schema.configuration import Configuration
from autotune.schema.engine_config import EngineConfig
from autotune.schema.record import RunRecord
from autotune.schema.workload import Slo, best_of
from autotune.views.wording import describe, describe_start, outcome


class StudyProgress:
    """A study's listener that writes plain lines; use as a context manager.

    Args:
        slo: Latency limits that the best so far must meet.
    """

    def __init__(self, slo: Slo | None = None) -> None:
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

    @property
    def per_minute(self) -> float:
        """Configurations a minute so far."""
        return 60 * self._finished / max(time.monotonic() - self._begin, 1e-9)
