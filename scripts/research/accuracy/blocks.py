"""Blocks of a page that are written by a program, between comments that a reader does not see.

``<!--accuracy:NAME-->...<!--/accuracy:NAME-->``: within a line, or around whole paragraphs with an
empty line on either side.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from research.accuracy.results import AccuracyError, Results

Renderer = Callable[[Results], str]

_MARK: Final = re.compile(r"<!--(/?)accuracy:([\w-]+)-->")


def names_of(page: str) -> set[str]:
    """Return the names of a page's blocks.

    Raises:
        AccuracyError: When a block is not closed, or closed without having been opened.
    """
    return {name for name, _, _ in _spans(page)}


def rendered(page: str, renderers: Mapping[str, Renderer], results: Results) -> str:
    """Return a page with every block written anew.

    Raises:
        AccuracyError: For a block that nothing renders, or a figure that is not there.
    """
    made: list[str] = []
    done = 0
    for name, start, end in _spans(page):
        if name not in renderers:
            raise AccuracyError(f"nothing renders the block {name!r}")
        try:
            text = renderers[name](results)
        except (KeyError, StopIteration) as error:
            raise AccuracyError(f"the results lack a figure of {name!r}: {error!r}") from error
        gap = "\n\n" if "\n" in page[start:end] else ""
        made += [page[done:start], gap, text, gap]
        done = end
    return "".join([*made, page[done:]])


def outside(page: str) -> str:
    """Return what a page says between its blocks."""
    kept, done = [], 0
    for _, start, end in _spans(page):
        kept.append(page[done:start])
        done = end
    return "".join([*kept, page[done:]])


def _spans(page: str) -> list[tuple[str, int, int]]:
    """Return (name, start, end) of what stands between each pair of marks."""
    found: list[tuple[str, int, int]] = []
    opened: tuple[str, int] | None = None
    for mark in _MARK.finditer(page):
        is_end, name = bool(mark[1]), mark[2]
        if is_end != (opened is not None and opened[0] == name) or (opened and not is_end):
            raise AccuracyError(f"the block {name!r} is not opened and closed in turn")
        if opened and is_end:
            found.append((name, opened[1], mark.start()))
            opened = None
        else:
            opened = (name, mark.end())
    if opened:
        raise AccuracyError(f"the block {opened[0]!r} is not closed")
    return found
