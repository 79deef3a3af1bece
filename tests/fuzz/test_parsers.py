"""No input makes a parser fail otherwise than by refusing it, hang, or write where it should not.

``scripts/fuzz`` does the same for an hour.
"""

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autotune.errors import JournalError, SurrogateError, UsageError
from tests.fuzz.mutations import nearly
from tests.fuzz.targets import TARGETS

N_INPUTS = int(os.environ.get("AUTOTUNE_FUZZ_INPUTS", "3000"))
LONGEST_S = 10
LONGEST_MESSAGE = 20_000
SETTINGS = settings(
    max_examples=max(1, N_INPUTS // len(TARGETS)),
    derandomize="AUTOTUNE_FUZZ_INPUTS" not in os.environ,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """Fail what takes longer."""

    def hangs(*_: object) -> NoReturn:
        raise AssertionError(f"no answer within {seconds} s")

    previous = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


@pytest.fixture(scope="module")
def memory() -> Path | None:
    """Where a file costs nothing, if there is such a place."""
    place = Path("/dev/shm")
    return place if place.is_dir() else None


@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", TARGETS)
def test_a_parser_takes_its_input_or_refuses_it(name: str, memory: Path | None) -> None:
    target = TARGETS[name]

    @SETTINGS
    @given(st.one_of(st.sampled_from(list(target.seeds)), nearly(target.seeds)))
    def feed(data: bytes) -> None:
        with tempfile.TemporaryDirectory(dir=memory) as outer:
            folder = Path(outer) / "folder"
            folder.mkdir()
            try:
                with at_most(LONGEST_S):
                    target.feed(data, folder)
            except (UsageError, JournalError, SurrogateError) as error:
                said = str(error).strip()
            else:
                said = "taken"
            assert 0 < len(said) < LONGEST_MESSAGE
            assert [path.name for path in Path(outer).iterdir()] == ["folder"]

    feed()
