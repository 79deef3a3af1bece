"""How the pages write figures."""

import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import Final

WIDTH: Final = 100
_GLUE: Final = "\0"
ENGINES: Final = {"vllm": "vLLM", "hf": "Hugging Face"}


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share as the pages write it.

    >>> percent(0.0072), percent(-0.0001), percent(None)
    ('0.7 %', '0.0 %', '-')
    """
    return "-" if share is None else f"{number(100 * share, digits)} %"


def number(value: float, digits: int = 1) -> str:
    """Return a rounded number, thousands apart; what rounds to zero has no sign."""
    return f"{round(value, digits) + 0.0:,.{digits}f}"


def spread(shares: Iterable[float], digits: int = 1) -> str:
    """Return the smallest and the largest share.

    >>> spread([0.101, 0.106], 0), spread([0.1, 0.1], 0)
    ('10 to 11 %', '10 %')
    """
    low, high = (percent(pick, digits) for pick in _ends(list(shares)))
    return high if low == high else f"{low.removesuffix(' %')} to {high}"


def _ends(values: Sequence[float]) -> tuple[float, float]:
    return min(values), max(values)


def listed(texts: Sequence[str]) -> str:
    """Return texts as a list in a sentence.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    *most, last = texts
    return f"{', '.join(most)} and {last}" if most else last


def counted(n: int, thing: str) -> str:
    """Return a number of things.

    >>> counted(1, "load"), counted(3, "load")
    ('1 load', '3 loads')
    """
    return f"{n:,} {thing}" if n == 1 else f"{n:,} {thing}s"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], align: str = "") -> str:
    """Return a Markdown table.

    Args:
        align: A letter a column; ``r`` turns it to the right.
    """
    rule = ["--:" if i < len(align) and align[i] == "r" else "---" for i in range(len(header))]
    lines = [" | ".join(header), "|".join(rule), *(" | ".join(row) for row in rows)]
    return "\n".join(
        f"|{line}|" if i == 1 else f"| {line} |".replace("|  |", "| |")
        for i, line in enumerate(lines)
    )


def paragraph(*sentences: str, indent: str = "") -> str:
    """Return sentences in lines of at most the pages' width; code and ``1 %`` stay in one piece."""
    whole = re.sub(r"`[^`]+`| %", lambda found: found[0].replace(" ", _GLUE), " ".join(sentences))
    return textwrap.fill(
        whole,
        WIDTH,
        initial_indent=indent and f"{indent} ",
        subsequent_indent=" " * len(indent and f"{indent} "),
        break_long_words=False,
        break_on_hyphens=False,
    ).replace(_GLUE, " ")
