"""Changes to files that nobody should make: values, columns, rows, bytes, shapes, and what is no file at all."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

MARKUP = (
    '<svg ONLOAD="document.title=\'ran\'">', "<script>document.title='ran'</script>",
    "\"><img src=x onerror=\"document.title='ran'\">", "</style><SCRIPT>document.title='ran'</SCRIPT>",
    "{{ 7 * 7 }}", "javascript:document.title='ran'", "<!--", "]]>", "--><script>document.title='ran'</script>",
)  # fmt: skip
CONTROLS = ("\x1b[31mred\x1b]0;title\x07", "a\rb", "\u202egnp.txt", "\x00", "\x9b2J", "\u2066x\u2069", "a\nb", "\ufeff")
NUMBERS = (
    "", "nan", "NaN", "inf", "-inf", "-5", "0", "-0.0", "1e-320", "1e-30", "1e308", "1e400", "9" * 400, "9" * 5000,
    "2.5", "1e5", "9223372036854775808", "-9223372036854775809", "1_000", "0x10", "\uff11", "1,5", "1e-7", "4294967296",
    "10000000000",
)  # fmt: skip
WORDS = (
    "ok", "wrong", "skipped", "OK", "True", "False", "None", "null", "cpu", "cuda:0", "cuda", "mps", "tpu:9", "float32",
    "float16", "bfloat16", "tf32", "as found", "kept", "clean", "sgd", "adam", "dynamic", "numpy", "numpy_manual",
    "first", "timed", "warmup", "iteration", "best-cpu", "own", "a" * 100_000, " ", '"', "'", "=1+1", "../../x", "$x$",
    "\U0001f600", "%s", "{}", "[bold]", "a,b",
)  # fmt: skip
CELLS = NUMBERS + WORDS + MARKUP + CONTROLS
PLAIN: tuple[Any, ...] = (
    None, True, False, 0, -5, 1, 2.5, 1e308, 1e-320, float("nan"), float("inf"), 10**30, 10**400, "", [], {}, [[]],
    [1, "a", None], {"": None}, {"a": {"b": []}}, {"cpu": None}, {"cuda:0": {"model": 5}}, [None] * 3, "1", "cpu",
    "numpy_manual", 2**63, -1, [50], [2, 20, 30], ["a"] * 3, *MARKUP[:3], *CONTROLS[:3], "x" * 100_000,
)  # fmt: skip


def cells(rng: random.Random, path: Path) -> None:
    """One to three cells of a table."""
    rows = _read(path)
    for _ in range(rng.randint(1, 3)):
        row = rng.choice(rows[1:] or rows)
        if row:
            row[rng.randrange(len(row))] = rng.choice(CELLS)
    _write(path, rows)


def numbers(rng: random.Random, path: Path) -> None:
    """A column of numbers, in one row or in all of them."""
    rows = _read(path)
    at = rng.randrange(len(rows[0]))
    for row in rng.sample(rows[1:], rng.choice((1, len(rows) - 1))) if len(rows) > 1 else []:
        if at < len(row):
            row[at] = rng.choice(NUMBERS)
    _write(path, rows)


def column(rng: random.Random, path: Path) -> None:
    """A column dropped, doubled, renamed, moved or filled."""
    rows = _read(path)
    at, how = rng.randrange(len(rows[0])), rng.choice(("drop", "double", "rename", "move", "fill"))
    to, filling = rng.randrange(len(rows[0])), rng.choice(CELLS)
    for number, row in enumerate(rows):
        if at >= len(row):
            continue
        if how in ("drop", "move"):
            value = row.pop(at)
            row[to:to] = [value] if how == "move" else []
        elif how == "double":
            row.append(row[at])
        elif (how == "rename") == (number == 0):
            row[at] = filling
    _write(path, rows)


def row(rng: random.Random, path: Path) -> None:
    """A row dropped, doubled, shortened, lengthened; all of them dropped or shuffled."""
    rows = _read(path)
    at = rng.randrange(len(rows))
    how = rng.randrange(7)
    if how == 0:
        del rows[at]
    elif how == 1:
        rows.insert(rng.randrange(len(rows)), list(rows[at]))
    elif how == 2:
        rows[at] = rows[at][: rng.randrange(len(rows[at]) + 1)]
    elif how == 3:
        rows[at] += [rng.choice(CELLS)]
    elif how == 4:
        del rows[1:]
    elif how == 5:
        rows[1:] = rng.sample(rows[1:], len(rows) - 1)
    else:
        rows.insert(rng.randrange(len(rows)), [])
    _write(path, rows)


def tree(rng: random.Random, path: Path) -> None:
    """One to three places of a JSON file: another value, gone, or more than there was."""
    whole = json.loads(path.read_text("utf-8", "replace"))
    for _ in range(rng.randint(1, 3)):
        places = list(_places(whole))
        if not places:
            break
        inside, key = rng.choice(places)
        how = rng.randrange(4)
        if how == 0:
            del inside[key]
        elif how == 1 and isinstance(inside, dict):
            inside[rng.choice(CELLS)[:300]] = rng.choice(PLAIN)
        else:
            inside[key] = rng.choice(PLAIN)
    path.write_text(json.dumps(rng.choice((whole,) * 19 + PLAIN[:20])), "utf-8", "surrogatepass")


def content(rng: random.Random, path: Path) -> None:
    """Bytes cut off, changed, put in or gone."""
    old = path.read_bytes()
    at, how = rng.randrange(len(old) + 1), rng.randrange(9)
    odd = rng.choice((b"\0", b"\xff\xfe", b"\x80", b'"', b"\r", b"\n", b",", b"\xef\xbb\xbf", b"[" * 100_000))
    new = (
        old[:at], old[:at] + odd + old[at:], old[:at] + odd + old[at + 1 :], odd + old, old[at:], b"", odd, old + odd,
        old.replace(b"\n", b"\r\n"),
    )[how]  # fmt: skip
    path.write_bytes(new)


def kind(rng: random.Random, path: Path) -> None:
    """In a file's place nothing, a folder, a pipe, a link to itself, to nothing or to a device without an end."""
    path.unlink()
    how = rng.randrange(6)
    if how == 0:
        path.mkdir()
    elif how == 1:
        os.mkfifo(path)
    elif how < 5:
        path.symlink_to((path.name, "nowhere", "/dev/zero")[how - 2])


TABLE = (cells, cells, cells, numbers, numbers, column, row, content, kind)
JSON = (tree, tree, tree, tree, tree, content, kind)


def mutate(rng: random.Random, folder: Path) -> str:
    """One to three mutations of the files below `folder`; their names."""
    done = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
        if not files:
            break
        path = rng.choice(files)
        known: dict[str, tuple[Callable[[random.Random, Path], None], ...]] = {".csv": TABLE, ".json": JSON}
        change = rng.choice(known.get(path.suffix, (content, content, kind)))
        try:
            change(rng, path)
        except (ValueError, IndexError, csv.Error, RecursionError):  # an earlier one left no table and no tree
            content(rng, path)
        done.append(f"{change.__name__} {path.name}")
    return ", ".join(done)


def copy_of(base: Path, to: Path) -> None:
    """`base`, a folder or a file, at `to`, in place of what was there."""
    if to.is_symlink() or to.is_file():
        to.unlink()
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(base, to)


def _places(value: Any) -> Any:
    """Every (container, key) within plain values."""
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


def _read(path: Path) -> list[list[str]]:
    rows = list(csv.reader(io.StringIO(path.read_text("utf-8", "replace"), newline="")))
    if not rows or not rows[0]:
        raise ValueError(path)
    return rows


def _write(path: Path, rows: list[list[str]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    path.write_text(text.getvalue(), "utf-8", "surrogatepass", newline="")
