"""Which display: the live one where somebody watches, plain lines elsewhere."""

import contextlib
import importlib.util
import sys
from collections.abc import Callable, Iterator

from autotune.schema.workload import Slo
from autotune.views.progress import StudyProgress


def create_progress(slo: Slo | None = None) -> StudyProgress:
    """Return the live display on a terminal, plain lines elsewhere."""
    if is_live():
        from autotune.views.live import LiveProgress

        return LiveProgress(slo)
    return StudyProgress(slo)


def is_live() -> bool:
    """Whether somebody watches: standard error is a terminal, and rich is here."""
    return sys.stderr.isatty() and importlib.util.find_spec("rich") is not None


@contextlib.contextmanager
def counting(what: str, total: int) -> Iterator[Callable[[], None]]:
    """Provide what to call as each of many things is done; shown with rate and time left.

    Away from a terminal nothing is shown.
    """
    if not is_live():
        yield lambda: None
        return
    from autotune.views.live import counter

    with counter(what, total) as advance:
        yield advance


@contextlib.contextmanager
def busy(what: str) -> Iterator[None]:
    """Show meanwhile that something goes on, and for how long; nothing away from a terminal."""
    if not is_live():
        yield
        return
    from autotune.views.live import spinner

    with spinner(what):
        yield
