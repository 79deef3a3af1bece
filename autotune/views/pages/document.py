"""A document: blocks of Markdown and figures, in the order they are read; and how answers show
themselves in a notebook, drawn by who lies further out and says so here.
"""

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from autotune.views.charts.model import Chart


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A chart with the stem of its file's name."""

    name: str
    chart: Chart


# A block of Markdown, or a figure.
Block = str | Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What is to be read, under one title."""

    title: str
    blocks: tuple[Block, ...]

    @property
    def figures(self) -> tuple[Figure, ...]:
        """Its figures, in order."""
        return tuple(block for block in self.blocks if isinstance(block, Figure))


def section(heading: str, *blocks: Block | None) -> list[Block]:
    """Return the blocks under a heading of the second level; nothing where there are none."""
    present = [block for block in blocks if block]
    return [f"## {heading}", *present] if present else []


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Iterable[int] = ()
) -> str:
    """Return a Markdown table.

    Args:
        numbers: The columns to align to the right.
    """
    right = set(numbers)
    rule = ["--:" if column in right else "---" for column in range(len(head))]
    lines = [head, rule, *rows]
    return "\n".join("| " + " | ".join(_cell(text) for text in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def code(text: str, language: str = "") -> str:
    """Return a fenced block; the fence is longer than any in the text."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def inline(text: str) -> str:
    """Return a text of somebody else's so that Markdown shows it as it is."""
    return "".join("\\" + char if char in "\\`*_[]<>#|" else char for char in text)


@functools.singledispatch
def notebook_html(answer: object) -> str:
    """Return an answer as HTML; types are registered beside the code that draws them."""
    raise TypeError(f"nothing draws {type(answer).__name__}")


class InNotebook:
    """Shown in a notebook by what is registered for its type."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return notebook_html(self)
