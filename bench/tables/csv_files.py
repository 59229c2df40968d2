"""CSV files: rows on the disk before the call returns, and complaints that name the line."""

from __future__ import annotations

import codecs
import csv
import io
import math
import mmap
import re
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar, cast, get_args, get_type_hints

import pandas as pd

from bench.cases.limits import LIMITS, WHOLE, words_of
from bench.errors import TableError
from bench.tables.columns import LATER_COLUMNS, TEXT_COLUMNS
from bench.tables.files import append_text, read_file, replace_text
from bench.words import harmless

T = TypeVar("T")
FLAG = "noisy"
RESTORE = "restore the line or measure the run again"
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
# bytes of what `harmless` may have to replace: control characters, and the leads of such beyond ASCII
ODD = re.compile(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xd8\x9c|\xe2\x80|\xe2\x81|\xef\xbb\xbf|\xed")


def read_table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """One CSV with at least `columns`. Raises TableError: missing, empty, a column missing, cut off, not a number."""
    try:
        content = read_file(path)
    except OSError as error:
        raise TableError(f"{path}: cannot be read: {error.strerror}") from error
    if not content.strip():
        raise TableError(f"{path}: is empty; the run wrote nothing, start it again")
    if not content.endswith(b"\n"):
        line = content.count(b"\n") + 1
        raise TableError(
            f"{path}:{line}: the last line is cut off; finish the run with: fiftyx run --resume --out {path.parent}"
        )
    return parse_table(content, path, columns)


def parse_table(content: bytes, path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """The table that `content`, of `path`, holds: every cell of the kind and within the limits of its column.

    No control character comes through. Raises TableError with the line, the column and the cure.
    """
    try:
        frame = _frame(content)
    except (ValueError, OverflowError, csv.Error, pd.errors.ParserError, pd.errors.ParserWarning) as error:
        raise TableError(f"{path}: is not the table it should be: {' '.join(str(error).split())[:200]}") from error
    for name in LATER_COLUMNS:
        if name in columns and name not in frame.columns:
            frame[name] = None if name in TEXT_COLUMNS else math.nan
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise TableError(f"{path}: has no column {missing[0]!r}; was it written by another version?")
    for name in columns:
        if name not in TEXT_COLUMNS and name != FLAG:
            frame[name] = _numbers(path, name, frame[name])
    if FLAG in columns:
        _refuse_cells(path, frame[FLAG], ~frame[FLAG].isin(["True", "False"]), "expected True or False")
        frame[FLAG] = frame[FLAG] == "True"
    for name in ("reason", "blas", "device_model"):
        if name in frame:
            frame[name] = frame[name].fillna("")
    return frame


def lines_of(path: Path, columns: Sequence[str], first: Sequence[str]) -> bytes | None:
    """The header and all lines that begin with the cells `first`, which stand together; None where that is not so.

    None too where the columns are others, or a name needs quotes. A last line that is cut off is not read.
    Raises TableError.
    """
    header, start = (",".join(columns) + "\n").encode(), ("\n" + ",".join(first) + ",").encode("utf-8")
    if any(set(cell) & set('",\r\n') for cell in first) or not path.is_file() or not path.stat().st_size:
        return None
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        at, last = content.find(start), content.rfind(start)
        end = content.find(b"\n", last + 1)
        if content[: len(header)] != header or at < 0 or end < 0:
            return None
        found = content[at + 1 : end + 1]
    return header + found if found.count(start) + 1 == found.count(b"\n") else None


def _frame(content: bytes) -> pd.DataFrame:
    """Text as text, numbers as they were found."""
    content = content.replace(b"\r\n", b"\n").removeprefix(codecs.BOM_UTF8)
    if ODD.search(content):
        content = harmless(content.decode("utf-8")).encode("utf-8")
    header = next(csv.reader([content.partition(b"\n")[0].decode("utf-8")]), [])
    twice = [name for name in header if header.count(name) > 1]
    if twice:
        raise ValueError(f"it has two columns {twice[0][:40]!r}")
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # a first row with more cells than the header
        warnings.simplefilter("ignore", pd.errors.DtypeWarning)  # see _numbers
        return pd.read_csv(
            io.BytesIO(content), dtype=dict.fromkeys((*TEXT_COLUMNS, FLAG), str), keep_default_na=False,
            na_values=[""], index_col=False,
        )  # fmt: skip


def _numbers(path: Path, name: str, cells: pd.Series) -> pd.Series:
    """`cells` as numbers within the limits of their column."""
    limits = LIMITS.get(name)
    if not pd.api.types.is_numeric_dtype(cells) or pd.api.types.is_bool_dtype(cells):
        if len(cells):
            texts = cells.astype("string")
            bad = texts.notna() & ~texts.fillna("").str.fullmatch(NUMBER)
            _refuse_cells(path, cells, bad if bad.any() else cells.notna(), "which is not a number")
        cells = cells.astype(float)
    if limits is not None:
        _refuse_cells(path, cells, cells.notna() & ~cells.between(*limits), f"expected a number {words_of(limits)}")
    if name in WHOLE:
        _refuse_cells(path, cells, cells.isna(), "it may not be empty")
        _refuse_cells(path, cells, cells % 1 != 0, "expected a whole number")
        return cells.astype("int64")
    return cells


def _refuse_cells(path: Path, cells: pd.Series, bad: pd.Series, why: str) -> None:
    """Raises TableError for the first of the `bad` cells."""
    if bad.any():
        first = cells[bad].iloc[0]
        shown = repr(str(first)[:40]) if pd.notna(first) else "empty"
        raise TableError(f"{path}:{line_of(bad)}: column {cells.name!r} is {shown}, {why}; {RESTORE}")


def line_of(bad: pd.Series) -> int:
    """The line of a file where its first `bad` row stands; the header is line 1."""
    return int(bad.to_numpy(bool).argmax()) + 2


def append_rows(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Add rows, with a header where the file is new, and wait for the disk."""
    append_text(path, _text(columns, rows, header=not path.exists()))


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """A whole table, or not at all."""
    replace_text(path, _text(columns, rows, header=True))


def read_rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a table as text; a last line that was cut off is left out. Raises TableError."""
    try:
        text = harmless(read_file(path).decode("utf-8").replace("\r\n", "\n"))
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(f"{path}: cannot be read: {error}; restore it or measure again") from error
    reader = csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1], newline=""))
    missing = [name for name in columns if name not in (reader.fieldnames or ())]
    if missing:
        raise TableError(f"{path}: has no column {missing[0]!r}; was it written by another version?")
    rows = []
    for row in reader:
        if None in row or None in row.values():
            raise TableError(f"{path}:{reader.line_num}: has not as many cells as the header; {RESTORE}")
        rows.append(row)
    return rows


def columns_of(kind: type[Any]) -> tuple[str, ...]:
    """The columns of a table whose rows are of a dataclass: its fields."""
    return tuple(field.name for field in fields(kind))


def write_as(path: Path, kind: type[T], rows: Iterable[T]) -> None:
    """A whole table of dataclasses, or not at all."""
    write_rows(path, columns_of(kind), (asdict(cast(Any, row)) for row in rows))


def append_as(path: Path, kind: type[T], rows: Iterable[T]) -> None:
    """Dataclasses at the end of their table, on the disk when this returns."""
    append_rows(path, columns_of(kind), (asdict(cast(Any, row)) for row in rows))


def read_as(path: Path, kind: type[T], later: Collection[str] = ()) -> list[T]:
    """The inverse of `write_as` for text, numbers and booleans; empty where there is no file. Raises TableError.

    A table from before the columns that came `later` has their defaults.
    """
    if not path.exists():
        return []
    hints = get_type_hints(kind)
    needed = [name for name in columns_of(kind) if name not in later]
    return [
        kind(**{name: _parsed(path, name, hints[name], row[name]) for name in columns_of(kind) if name in row})
        for row in read_rows(path, needed)
    ]


def _parsed(path: Path, name: str, kind: Any, text: str) -> Any:
    kinds = get_args(kind) or (kind,)
    if text == "" and type(None) in kinds:
        return None
    try:
        return text == "True" if kinds[0] is bool else kinds[0](text)
    except ValueError as error:
        raise TableError(f"{path}: column {name!r} holds {text[:40]!r}, which is not a number") from error


def _text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], *, header: bool) -> str:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, columns, extrasaction="ignore", lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
