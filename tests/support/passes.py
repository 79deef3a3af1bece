"""What a test does while a measurement runs."""

from collections.abc import Callable, Mapping
from typing import Any


def on_first_pass(action: Callable[[], object]) -> Callable[[Mapping[str, Any]], None]:
    """Return a listener that acts when the first pass has ended, while the second one runs."""
    events: list[Mapping[str, Any]] = []

    def listen(event: Mapping[str, Any]) -> None:
        events.append(event)
        if len(events) == 1:
            action()

    return listen
