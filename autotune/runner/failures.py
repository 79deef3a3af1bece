"""Tell from an engine's own words why a configuration failed."""

import re
import signal
from pathlib import Path

# What engines say, by what it means; the first that matches names the failure.
_CAUSES = (
    (
        "no room for the KV cache",
        r"No available memory for the cache blocks|KV cache is needed, which is larger than"
        r"|larger than the available KV cache memory",
    ),
    (
        "too little free GPU memory for gpu_memory_utilization",
        r"less than desired GPU memory utilization",
    ),
    ("CUDA out of memory", r"CUDA out of memory|CUDA error: out of memory|OutOfMemoryError"),
    (
        "out of host memory",
        r"can't allocate memory|cannot allocate memory|MemoryError|bad_alloc|oom-kill",
    ),
    ("out of memory", r"out of memory"),
    (
        "longer than the model takes",
        r"is greater than the derived max_model_len|longer than the maximum model length",
    ),
    ("NCCL failure", r"NCCL (error|WARN)|ncclUnhandledCudaError|ncclSystemError|DistBackendError"),
)
_MEMORY_CAUSES = frozenset(name for name, _ in _CAUSES[:5])
# vLLM's own processes die elsewhere: its error then only says that the cause is in the log.
_CAUSE_IS_IN_THE_LOG = re.compile(
    r"root cause|EngineDeadError|EngineCore|WorkerProc", re.IGNORECASE
)
_ERROR_LINE = re.compile(r"^\w[\w.]*(Error|Exception|Interrupt)\b")
# "(Worker_PP1 pid=6258) ERROR 11-23 21:42:14 [multiproc_executor.py:1063] " and its like.
_LOG_PREFIX = re.compile(r"^\s*(\([^)]*\)\s*)?([A-Z]+ [\d-]+ [\d:]+ \[[^\]]*\]\s?)?")
_MOST_WORDS = 3


def cause_of(text: str) -> str | None:
    """Return in a few words what an engine's error text means; ``None`` where it is not known."""
    return next(
        (name for name, pattern in _CAUSES if re.search(pattern, text, re.IGNORECASE)), None
    )


def last_words(log: str) -> str:
    """Return the errors that an engine's log names, the last ones, a line each.

    Those whose cause is known come alone; those that only point to another one are left out.
    Without any, the last line is returned.
    """
    lines = [_LOG_PREFIX.sub("", line).rstrip() for line in log.splitlines()]
    errors = [line for line in lines if _ERROR_LINE.match(line)]
    known = [line for line in errors if cause_of(line)]
    telling = known or [line for line in errors if not _CAUSE_IS_IN_THE_LOG.search(line)]
    found = list(dict.fromkeys(telling))[-_MOST_WORDS:]
    return "\n".join(found) or next((line for line in reversed(lines) if line.strip()), "")


def classify(text: str, *, started: bool) -> str:
    """Return the RunRecord status for an engine's error text.

    Args:
        text: The exception, or the last lines of the log.
        started: Whether the engine had finished loading.
    """
    if cause_of(text) in _MEMORY_CAUSES:
        return "out_of_memory"
    return "crashed" if started else "load_failed"


def classify_failure(status: str, message: str, log: str) -> str:
    """Return the status of a failure that a worker reported; its log is asked where it must be."""
    if status in ("crashed", "load_failed") and _CAUSE_IS_IN_THE_LOG.search(message):
        return classify(log, started=status == "crashed")
    return status


def classify_exit(
    returncode: int | None, text: str, *, started: bool, oom_killed: bool = True
) -> tuple[str, str]:
    """Return ``(status, sentence)`` for a worker that ended without a word.

    A SIGKILL that nobody here sent is the kernel's for lack of memory, unless the kernel has killed
    nobody for that.

    Args:
        returncode: As ``subprocess`` gives it; ``None`` when the worker would not end.
        text: The last lines of its log.
        started: Whether the engine had finished loading.
        oom_killed: Whether the kernel may have killed a process for memory meanwhile.
    """
    if returncode is None:
        return classify(text, started=started), "the worker went silent"
    if returncode == -signal.SIGKILL and oom_killed:
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


_COUNTERS = (Path("/proc/vmstat"), Path("/sys/fs/cgroup/memory.events"))


def oom_kills() -> int | None:
    """Return how many processes the kernel has killed for memory so far; ``None`` if it won't say.

    The numbers of host and control group are added: a kill counts in one of them at least.
    """
    counts = [count for path in _COUNTERS if (count := _read(path)) is not None]
    return sum(counts) if counts else None


def _read(path: Path) -> int | None:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("oom_kill ")]
    return int(found[0]) if found else None
