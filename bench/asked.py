"""What a caller in Python gives: the options of `run` as values of the type that each of them takes."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from pathlib import Path
from typing import Any

from bench.errors import UsageError


def name(option: str, value: Any, example: str) -> str:
    """One name. Raises UsageError for anything but a text."""
    if not isinstance(value, str):
        raise UsageError(f"{option}={value!r}: give a name, such as {example}")
    return value


def names(option: str, values: Any, example: str) -> tuple[str, ...]:
    """Several names. Raises UsageError for anything but a list of texts."""
    found = listed(option, values)
    if not all(isinstance(value, str) for value in found):
        raise UsageError(f"{option}={list(found)!r}: give names, such as [{example}]")
    return found


def listed(option: str, values: Any) -> tuple[Any, ...]:
    """The values of a list. Raises UsageError for a text, whose letters would each be one, and for no list."""
    if isinstance(values, str | Path) or not isinstance(values, Iterable):
        one = str(values) if isinstance(values, Path) else values
        raise UsageError(f"{option}={one!r}: give a list, such as [{one!r}]")
    return tuple(values)


def sizes(values: Any) -> tuple[str, ...]:
    """Each as `--size` takes it. Raises UsageError."""
    found = listed("sizes", values)
    for size in found:
        if isinstance(size, str) or not isinstance(size, Iterable):
            raise UsageError(f"sizes=[{size!r}]: give (N, D_in, H, D_out) of each, such as [(64, 1000, 100, 10)]")
    return tuple(",".join(map(str, size)) for size in found)


def whole(option: str, value: Any) -> int | None:
    """A whole number, or None. Raises UsageError."""
    if value is None or (isinstance(value, Integral) and not isinstance(value, bool)):
        return None if value is None else int(value)
    raise UsageError(f"{option}={value!r}: give a whole number")
