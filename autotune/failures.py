"""Tell from an engine's own words why a configuration failed."""

import re
import signal

_OUT_OF_MEMORY = re.compile(
    r"out of memory|OutOfMemoryError|MemoryError|can't allocate memory|cannot allocate memory"
    r"|bad_alloc|No available memory for the cache blocks|KV cache is needed, which is larger than"
    r"|less than desired GPU memory utilization|oom-kill",
    re.IGNORECASE,
)
# vLLM's own processes die elsewhere: its error then only says that the cause is in the log.
_CAUSE_IS_IN_THE_LOG = re.compile(
    r"root cause|EngineDeadError|EngineCore|WorkerProc", re.IGNORECASE
)


def classify(text: str, *, started: bool) -> str:
    """Return the RunRecord status for an engine's error text.

    Args:
        text: The exception, or the last lines of the log.
        started: Whether the engine had finished loading.
    """
    if _OUT_OF_MEMORY.search(text):
        return "out_of_memory"
    return "crashed" if started else "load_failed"


def classify_failure(status: str, message: str, log_tail: str) -> str:
    """Return the status of a failure that a worker reported; its log is asked where it must be."""
    if status in ("crashed", "load_failed") and _CAUSE_IS_IN_THE_LOG.search(message):
        return classify(log_tail, started=status == "crashed")
    return status


def classify_exit(returncode: int | None, text: str, *, started: bool) -> tuple[str, str]:
    """Return ``(status, sentence)`` for a worker that ended without a word.

    A SIGKILL that nobody here sent is the kernel's out-of-memory killer in all but name.

    Args:
        returncode: As ``subprocess`` gives it; ``None`` when the worker would not end.
        text: The last lines of its log.
        started: Whether the engine had finished loading.
    """
    if returncode is None:
        return classify(text, started=started), "the worker went silent"
    if returncode == -signal.SIGKILL:
        return "out_of_memory", "the worker was killed by the kernel (host memory ran out?)"
    if returncode < 0:
        return classify(
            text, started=started
        ), f"the worker was ended by {_signal_name(-returncode)}"
    return classify(text, started=started), f"the worker ended with exit code {returncode}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
