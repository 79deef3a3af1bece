"""The configuration kept from before, which a study measures beside everything else."""

import re
from dataclasses import dataclass

from autotune.schema.engine_config import RUNNABLE_ENGINES
from autotune.schema.validation import check_choice, check_positive_int, refuse_setting

_TEXT = re.compile(r"(?:([a-z]+):)?([0-9]{1,9})x([0-9]{1,9})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is served now.

    Attributes:
        engine: ``None`` is the study's first engine.
    """

    n_gpus: int
    batch_size: int
    engine: str | None = None

    def __post_init__(self) -> None:
        check_positive_int("n_gpus", self.n_gpus)
        check_positive_int("batch_size", self.batch_size)
        if self.engine is not None:
            check_choice("engine", self.engine, RUNNABLE_ENGINES)


def parse_kept(text: str) -> Kept:
    """Read ``N_GPUSxBATCH`` or ``ENGINE:N_GPUSxBATCH``.

    >>> parse_kept("2x64")
    Kept(n_gpus=2, batch_size=64, engine=None)

    Raises:
        InvalidConfigError: For anything else, and for numbers below 1.
    """
    match = _TEXT.fullmatch(text.strip())
    if match is None:
        raise refuse_setting("kept", text, "like 2x64 (GPUs x batch size) or hf:1x16")
    return Kept(n_gpus=int(match[2]), batch_size=int(match[3]), engine=match[1])
