"""What a study may still spend; asked between runs: one that has begun is finished."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from autotune.schema.study_spec import StudySpec

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
