"""What the workers of a run share, and turns: who compares times runs while nobody else does."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def turn(folder: Path, *, alone: bool) -> Iterator[None]:
    """Run a test beside others that do not ask to be alone, or alone.

    Args:
        folder: A folder that all workers of this run share.
    """
    with (folder / "turnstile").open("a") as turnstile, (folder / "running").open("a") as running:
        # Whoever waits to be alone holds the turnstile, so that no further test begins.
        fcntl.flock(turnstile, fcntl.LOCK_EX)
        fcntl.flock(running, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(turnstile, fcntl.LOCK_UN)
        yield


def shared_folder(base: Path) -> Path:
    """Return the folder that the workers of a run share, from one worker's own."""
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
