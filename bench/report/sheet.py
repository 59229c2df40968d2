"""A table once: rows of cells that the terminal prints through rich and the page shows."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.words import harmless

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

GAP = 2  # blanks between columns
PROSE = 12  # a column of prose is wrapped down to this width, or to its longest word
TIED = "\N{NO-BREAK SPACE}"  # where no line ends
# within an interval, before one, between a number and its unit
TIES = re.compile(r"(?<=,) (?=[^\[\]]*\])|(?<=\d) (?=\[)|(?<=\d) (?=(?:[kMGT]?FLOP|[GT]FLOP/s|GHz|us|ms|s|threads?)\b)")


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: its text, a small second text (an interval, a spread), the number it sorts by where it has one."""

    text: str
    small: str = ""
    sort: float | None = None
    colour: str = ""  # of the terminal


@dataclass(frozen=True, slots=True)
class Column:
    """A column: `numeric` stands to the right and sorts by number, `prose` may be wrapped at words."""

    name: str
    numeric: bool = False
    prose: bool = False


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table: title, columns, rows of cells, notes below."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()

    def without(self, names: Iterable[str]) -> Sheet:
        """The same without the columns of these names."""
        kept = [at for at, column in enumerate(self.columns) if column.name not in set(names)]
        rows = tuple(tuple(row[at] for at in kept) for row in self.rows)
        return Sheet(self.title, tuple(self.columns[at] for at in kept), rows, self.notes)


def sheet(
    title: str,
    rows: Iterable[Mapping[str, Cell | str]],
    notes: Sequence[str] = (),
    *,
    constant: Sequence[str] = (),
    once: Sequence[str] = (),
    prose: Sequence[str] = (),
) -> Sheet:
    """A sheet of `rows`, cells by column.

    A column that is empty in every row is left out. One of `constant` that says the same in every row goes into the
    title. One of `once` is empty where it says the same as the row above. A column is numeric where every cell that
    is not empty sorts by a number.
    """
    cells = [{name: Cell(one) if isinstance(one, str) else one for name, one in row.items()} for row in rows]
    names = [name for name in (cells[0] if cells else ()) if any(row[name].text for row in cells)]
    same = [name for name in names if name in constant and len(cells) > 1 and len({row[name] for row in cells}) == 1]
    values = ", ".join(f"{name} {cells[0][name].text}" for name in same)
    if values:
        title = f"{title}; {values}" if title else f"in every row: {values}"
    columns = [
        Column(name, all(row[name].sort is not None for row in cells if row[name].text), name in prose)
        for name in names
        if name not in same
    ]

    def shown(at: int, name: str) -> Cell:
        again = name in once and at and cells[at][name] == cells[at - 1][name]
        return Cell("") if again else cells[at][name]

    body = tuple(tuple(shown(at, column.name) for column in columns) for at in range(len(cells)))
    return Sheet(title, tuple(columns), body, tuple(notes))


def print_sheet(console: Console, table: Sheet, leave_out: Sequence[str] = ()) -> None:
    """The title, the rows, the notes, within the console's width; no figure and no name is ever cut.

    Where the columns do not fit, prose and headers are wrapped at words, then the columns of `leave_out` go in their
    order, which a line below says, then small texts move below what they belong to. Where that is not enough, each
    row becomes a paragraph that names its columns.
    """
    if table.title:
        print_words(console, table.title)
    names = {column.name for column in table.columns}
    order = [name for name in leave_out if name in names]
    for stacked in (False, True):
        for count in range(len(order) + 1):
            shown = table.without(order[:count])
            widths = _fitting(shown, console.width, stacked=stacked)
            if widths:
                console.print(_drawn(shown, widths, stacked=stacked))
                gone = f"Left out at {console.width} columns: {', '.join(order[:count])}.".replace("\n", " ")
                return _print_notes(console, table, [gone] if count else [])
    for row in table.rows:
        pairs = [(column, cell) for column, cell in zip(table.columns, row, strict=True) if cell.text]
        print_words(console, ", ".join(_named(column, cell) for column, cell in pairs), "  ")
    return _print_notes(console, table, [])


def print_words(console: Console, words: str, indent: str = "") -> None:
    """Prose, wrapped at words; lines after the first begin with `indent`."""
    from rich.text import Text

    for line in words.split("\n"):
        for part in _wrapped(line, console.width, indent) or [""]:
            console.print(Text(harmless(part.replace(TIED, " "))), soft_wrap=True)


def _print_notes(console: Console, table: Sheet, more: Sequence[str]) -> None:
    for note in (*table.notes, *more):
        print_words(console, note)


def _wrapped(text: str, width: int, indent: str = "") -> list[str]:
    return textwrap.wrap(
        TIES.sub(TIED, text), width, break_long_words=False, break_on_hyphens=False, subsequent_indent=indent
    )


def _named(column: Column, cell: Cell) -> str:
    """A cell in a paragraph: what is no prose stays on one line."""
    words = f"{column.name} {cell.text} {cell.small}".strip()
    return words if column.prose else words.replace(" ", TIED)


def _fitting(table: Sheet, room: int, *, stacked: bool) -> list[int] | None:
    """The width of each column so that all fit into `room`; None where they cannot."""
    room -= GAP * (len(table.columns) - 1)
    natural, least = [], []
    for at, column in enumerate(table.columns):
        cells = [row[at] for row in table.rows]
        texts = [line for text in _texts(column, cells, stacked=stacked) for line in TIES.sub(TIED, text).split("\n")]
        widest, word = max(map(len, [*texts, ""])), max(map(len, re.split("[ \n]", " ".join(texts))))
        natural.append(max(widest, *map(len, column.name.split("\n"))))
        body = max(word, min(widest, PROSE)) if column.prose else widest
        least.append(max(body, *map(len, re.split("[ \n]", column.name))))
    if sum(least) > room:
        return None
    widths = natural
    while sum(widths) > room:
        widths[max((at for at in range(len(widths)) if widths[at] > least[at]), key=widths.__getitem__)] -= 1
    return widths


def _texts(column: Column, cells: Sequence[Cell], *, stacked: bool) -> list[str]:
    """The texts of a column's cells, small texts aligned among themselves or each below what it belongs to."""
    between, small = ("\n", 0) if stacked else (" ", max((len(cell.small) for cell in cells), default=0))
    pad = small if column.numeric else 0
    return [f"{cell.text}{between}{cell.small.rjust(pad)}" if cell.small else cell.text for cell in cells]


def _drawn(table: Sheet, widths: Sequence[int], *, stacked: bool) -> Table:
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, pad_edge=False, header_style="bold", show_header=any(one.name for one in table.columns))
    filled = []
    for at, (column, width) in enumerate(zip(table.columns, widths, strict=True)):
        drawn.add_column(
            _block(column.name, width), justify="right" if column.numeric else "left", no_wrap=True, width=width
        )
        cells = [row[at] for row in table.rows]
        texts = _texts(column, cells, stacked=stacked)
        filled.append([Text(_block(text, width), style=cell.colour) for text, cell in zip(texts, cells, strict=True)])
    for row in zip(*filled, strict=True):
        drawn.add_row(*row)
    return drawn


def _block(text: str, width: int) -> str:
    """`text` wrapped to a column's width; what fits stays as it is."""
    lines = [part for line in text.split("\n") for part in ([line] if len(line) <= width else _wrapped(line, width))]
    return harmless("\n".join(lines)).replace(TIED, " ")
