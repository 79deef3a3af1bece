"""What can go wrong, as a tree. The command line prints the message and exits with the code.

AutotuneError                    exit 1
├── UsageError                   exit 2: the input is wrong
│   ├── UnknownGpuError          LookupError
│   │   └── UnsupportedGpuError  hardware whose software is unlike what is measured here
│   ├── UnknownModelError        LookupError
│   ├── InvalidModelConfigError  ValueError: a config.json that is not usable
│   ├── InvalidConfigError       ValueError: a study, engine, workload or option value
│   └── InvalidRecordError       ValueError: a row that is not a RunRecord
├── EngineUnavailableError       the engine is not installed, or this host cannot run it
├── GpuBusyError                 another process or another study is using the GPU
├── FleetError                   a Ray cluster that cannot be reached, or lacks what is asked
├── JournalError                 OSError: a journal that cannot be read, written or shared
├── StoreError                   OSError: a tracking store that cannot be opened or written
├── SurrogateError               a surrogate that is missing, damaged or has nothing to learn from
├── NothingFitsError             no configuration of the model fits the target
├── LimitsNotMetError            some fit, but none is expected to meet the latency limits
└── TrialError                   a configuration that failed; becomes a RunRecord's status
"""

import difflib
from collections.abc import Iterable

_ALIKE = 0.5


class AutotuneError(Exception):
    """Root of every error that autotune raises on purpose."""

    exit_code = 1


class UsageError(AutotuneError):
    """The input is wrong; nothing was started or written."""

    exit_code = 2


def nearest(name: str, known: Iterable[str], *, n: int = 3) -> list[str]:
    """Return up to ``n`` of ``known`` that look most like ``name``, the best first.

    Names are also compared without their organisation and by their first part alone.
    """
    wanted = name.casefold().rpartition("/")[2]
    scores = {item: _likeness(wanted, item.casefold().rpartition("/")[2]) for item in known}
    close = [item for item, likeness in scores.items() if likeness >= _ALIKE]
    return sorted(close, key=lambda item: -scores[item])[:n]


def _likeness(wanted: str, item: str) -> float:
    parts = {item, item.partition("-")[0]}
    return max(difflib.SequenceMatcher(None, wanted, part).ratio() for part in parts)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``' Did you mean A, B?'`` for an unknown name, or an empty string."""
    hits = nearest(name, known)
    return f" Did you mean {', '.join(hits)}?" if hits else ""


class UnknownGpuError(UsageError, LookupError):
    """A GPU name that neither the catalogue nor a file of the user's holds."""

    def __init__(self, name: str, candidates: Iterable[str], message: str | None = None) -> None:
        hint = did_you_mean(name, candidates)
        super().__init__(
            message
            or f"unknown GPU {name!r}.{hint} `autotune gpus` lists all; add it with --gpu-file "
            "(`autotune gpus --help`)."
        )
        self.name = name


class UnsupportedGpuError(UnknownGpuError):
    """Hardware whose software is unlike what is measured here, so that nothing learned holds."""

    def __init__(self, name: str, kind: str, reason: str) -> None:
        super().__init__(
            name,
            (),
            f"{name!r} ({kind}) is not supported: {reason}, and nothing learned on other GPUs "
            "holds there. To bring measurements, describe it in a GPU file (`autotune gpus "
            "--help`) and give that to `autotune import FILE --gpu-file`.",
        )


class UnknownModelError(UsageError, LookupError):
    """A model that is neither in the catalogue nor a directory with a config.json.

    Args:
        hub: Why the Hugging Face Hub does not help; empty where it is not to be asked.
    """

    def __init__(self, name: str, candidates: Iterable[str], *, hub: str = "") -> None:
        hint = did_you_mean(name, candidates)
        hint += f" The Hub {hub}." if hub else ""
        super().__init__(
            f"unknown model {name!r}.{hint} `autotune models` lists all; "
            "a directory with a config.json works too, and `--like BASE` lends the name the "
            "architecture of a known model."
        )
        self.name = name


class InvalidModelConfigError(UsageError, ValueError):
    """A config.json that does not describe a known architecture."""


class InvalidConfigError(UsageError, ValueError):
    """A setting of a study, engine, workload or command that cannot be meant."""


class InvalidRecordError(UsageError, ValueError):
    """A row that is not a RunRecord."""


class EngineUnavailableError(AutotuneError):
    """The engine is not installed, or this host cannot run it."""


class GpuBusyError(AutotuneError):
    """A GPU that another process or another study is using."""


class FleetError(AutotuneError):
    """A Ray cluster that cannot be reached, or lacks what is asked of it."""


class JournalError(AutotuneError, OSError):
    """A journal that cannot be read, written or shared."""


class StoreError(AutotuneError, OSError):
    """A tracking store that cannot be opened or written."""


class SurrogateError(AutotuneError):
    """A surrogate that is missing, damaged, or has nothing to learn from."""


class NothingFitsError(AutotuneError):
    """No configuration of the model fits the target GPU."""


class LimitsNotMetError(AutotuneError):
    """Configurations fit the target GPU, but none is expected to meet the latency limits."""


class TrialError(AutotuneError):
    """A configuration failed: the study records ``status`` and goes on.

    Attributes:
        status: The RunRecord status: out_of_memory, timed_out, crashed or load_failed.
        log: The engine's own output up to the failure.
    """

    def __init__(self, status: str, message: str, *, log: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.log = log
