"""Tell from an engine's own words why a configuration failed."""

import re
import signal

_OUT_OF_MEMORY = re.compile(
    r"out of memory|OutOfMemoryError|MemoryError|CUDA_ERROR_OUT_OF_MEMORY|can't allocate memory"
    r"|No available memory for the cache blocks|KV cache is needed, which is larger than"
    r"|less than desired GPU memory utilization|cannot allocate memory|oom-kill",
    re.IGNORECASE,
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


def classify_exit(returncode: int | None, text: str, *, started: bool) -> tuple[str, str]:
    """Return ``(status, sentence)`` for a worker that ended without a word.

    A SIGKILL that nobody here sent is the kernel's out-of-memory killer in all but name.
    """
    if returncode == -signal.SIGKILL:
        return "out_of_memory", "the worker was killed by the kernel (host memory ran out?)"
    if returncode is not None and returncode < 0:
        name = signal.Signals(-returncode).name
        return classify(text, started=started), f"the worker was ended by {name}"
    return classify(text, started=started), f"the worker ended with exit code {returncode}"
