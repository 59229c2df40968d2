"""CSV files: rows on the disk before the call returns, and complaints that name the line."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar, cast, get_args, get_type_hints

import pandas as pd

from bench.errors import TableError
from bench.tables.columns import (
    LATER_COLUMNS,
    TEXT_COLUMNS,
)
from bench.tables.files import append_text, replace_text

T = TypeVar("T")


def read_table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """One CSV with at least `columns`. Raises TableError: missing, empty, a column missing, cut off, not a number."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TableError(f"{path}: cannot be read: {error.strerror}") from error
    if not content.strip():
        raise TableError(f"{path}: is empty; the run wrote nothing, start it again")
    if not content.endswith(b"\n"):
        line = content.count(b"\n") + 1
        raise TableError(
            f"{path}:{line}: the last line is cut off; finish the run with: fiftyx run --resume --out {path.parent}"
        )
    texts = dict.fromkeys(TEXT_COLUMNS, str)
    try:
        frame = pd.read_csv(io.BytesIO(content), dtype=texts, keep_default_na=False, na_values=[""])
    except (ValueError, pd.errors.ParserError) as error:
        raise TableError(f"{path}: is not the table it should be: {' '.join(str(error).split())}") from error
    for name in LATER_COLUMNS:
        if name in columns and name not in frame.columns:
            frame[name] = None if name in TEXT_COLUMNS else math.nan
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise TableError(f"{path}: has no column {missing[0]!r}; was it written by another version?")
    numbers = [name for name in columns if name not in TEXT_COLUMNS and name != "noisy"]
    for name in numbers:
        if len(frame) and not pd.api.types.is_numeric_dtype(frame[name]):
            raise TableError(f"{path}: column {name!r} holds something that is not a number")
    for name in ("reason", "blas", "device_model"):
        if name in frame:
            frame[name] = frame[name].fillna("")
    return frame


def _append(
    path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]], float_format: str | None = None
) -> None:
    if rows:
        frame = pd.DataFrame(list(rows), columns=list(columns))
        header = not path.exists()
        append_text(path, frame.to_csv(index=False, header=header, lineterminator="\n", float_format=float_format))


def append_rows(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Add rows, with a header where the file is new, and wait for the disk."""
    append_text(path, _text(columns, rows, header=not path.exists()))


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """A whole table, or not at all."""
    replace_text(path, _text(columns, rows, header=True))


def read_rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a table as text; a last line that was cut off is left out. Raises TableError."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(f"{path}: cannot be read: {error}; make it with: fiftyx validate --out DIR") from error
    reader = csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1], newline=""))
    missing = [name for name in columns if name not in (reader.fieldnames or ())]
    if missing:
        raise TableError(f"{path}: has no column {missing[0]!r}; is this a folder of fiftyx validate?")
    return list(reader)


def columns_of(kind: type[Any]) -> tuple[str, ...]:
    """The columns of a table whose rows are of a dataclass: its fields."""
    return tuple(field.name for field in fields(kind))


def write_as(path: Path, kind: type[T], rows: Iterable[T]) -> None:
    """A whole table of dataclasses, or not at all."""
    write_rows(path, columns_of(kind), (asdict(cast(Any, row)) for row in rows))


def append_as(path: Path, kind: type[T], rows: Iterable[T]) -> None:
    """Dataclasses at the end of their table, on the disk when this returns."""
    append_rows(path, columns_of(kind), (asdict(cast(Any, row)) for row in rows))


def read_as(path: Path, kind: type[T]) -> list[T]:
    """The inverse of `write_as` for fields of text, numbers and booleans; empty where there is no such file.

    Raises TableError: a column is missing, a number is none.
    """
    if not path.exists():
        return []
    hints = get_type_hints(kind)
    return [
        kind(**{name: _parsed(path, name, hints[name], row[name]) for name in columns_of(kind)})
        for row in read_rows(path, columns_of(kind))
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
