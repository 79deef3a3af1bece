"""Tables for a terminal of any width: columns drop by priority, a value is never cut."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

# What the frame takes beside the cells: a bar and two blanks a column, and the last bar.
_A_COLUMN, _FRAME = 3, 1
_NARROWEST_WORDS: Final = 16
# A longer word, such as a path, goes on in the next line.
_LONGEST_WORD: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column.

    Attributes:
        priority: 0 stays at any width; of the others the greatest is dropped first.
        is_words: Words, which wrap between them; what is not is a value, on one line.
    """

    name: str
    priority: int = 0
    is_words: bool = False
    is_number: bool = True


class FittedTable:
    """A table that drops columns until the rest fits; at last a row is a list of its values."""

    def __init__(self, columns: Sequence[Column], title: str = "") -> None:
        self._columns = columns
        self._title = title
        self._rows: list[tuple[tuple[Text, ...], str, bool]] = []

    def add_row(self, *cells: str | Text, style: str = "", end_section: bool = False) -> None:
        """Add a row of one cell a column; brackets in a text are no markup."""
        if len(cells) != len(self._columns):
            raise ValueError(f"{len(cells)} cells for {len(self._columns)} columns")
        # as it is: Text keeps what rich would take for markup
        texts = tuple(cell if isinstance(cell, Text) else Text(cell) for cell in cells)
        self._rows.append((texts, style, end_section))

    @property
    def row_count(self) -> int:
        """Rows added so far."""
        return len(self._rows)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(1, options.max_width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        kept = self._fitting(options.max_width)
        yield self._table(kept) if kept else self._lists()

    def _fitting(self, width: int) -> list[int]:
        """Return the columns that fit; empty where not even those that stay do."""
        kept = list(range(len(self._columns)))
        while self._least_width(kept) > width:
            drop = max(kept, key=lambda i: (self._columns[i].priority, i))
            if self._columns[drop].priority == 0:
                return []
            kept.remove(drop)
        return kept

    def _least_width(self, kept: Iterable[int]) -> int:
        return _FRAME + sum(self._width(index) + _A_COLUMN for index in kept)

    def _width(self, index: int) -> int:
        """Return the least width of a column: its longest value, or its longest word."""
        column = self._columns[index]
        cells = [Text(column.name), *(cells[index] for cells, _, _ in self._rows)]
        longest = max(cell.cell_len for cell in cells)
        if not column.is_words:
            return longest
        words = max((cell_len(word) for cell in cells for word in cell.plain.split()), default=0)
        return max(min(words, _LONGEST_WORD), min(longest, _NARROWEST_WORDS))

    def _table(self, kept: Sequence[int]) -> Table:
        table = Table(title=self._title or None, title_justify="left")
        for index in kept:
            column = self._columns[index]
            table.add_column(
                column.name,
                justify="right" if column.is_number and not column.is_words else "left",
                no_wrap=not column.is_words,
                overflow="fold" if column.is_words else "ellipsis",
                min_width=self._width(index),
            )
        for cells, style, end_section in self._rows:
            table.add_row(*(cells[index] for index in kept), style=style, end_section=end_section)
        return table

    def _lists(self) -> Text:
        lines = [self._title] if self._title else []
        for cells, _, _ in self._rows:
            lines.append("")
            lines += [
                f"{column.name}: {cell}" if column.name else cell.plain
                for column, cell in zip(self._columns, cells, strict=True)
                if cell.plain
            ]
        return Text("\n".join(lines), overflow="fold")
