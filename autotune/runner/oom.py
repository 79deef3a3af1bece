"""Whether the kernel has killed a process for memory: it counts, and so need not be guessed."""

from pathlib import Path

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
