"""Dataclasses as plain values of JSON and back; what does not fit is one line that names the place."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")


class ShapeError(ValueError):
    """A value that has not the shape it should have; the message says where and what was expected."""


def to_plain(value: Any) -> Any:
    """`value` in dictionaries, lists, texts and numbers; a number that is not finite becomes None, which is unknown."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(inner) for key, inner in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes):
        return [to_plain(inner) for inner in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item"):  # a number of numpy's
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def from_plain(kind: type[T], raw: Any, place: str = "") -> T:
    """The inverse of `to_plain` for dataclasses, named tuples, mappings, sequences and scalars. Raises ShapeError.

    A field that is missing takes its default; one that is not known is an error, since another version wrote it.
    """
    return cast(T, _read(kind, raw, place))


def _read(kind: Any, raw: Any, place: str) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return raw
    if origin in (Union, UnionType):
        kinds = [one for one in inner if one is not NoneType]
        return None if raw is None and len(kinds) < len(inner) else _first(kinds, raw, place)
    if is_dataclass(kind):
        return cast(Any, kind)(**_fields(kind, raw, place))
    if isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields"):
        hints = _hints(kind)
        names = kind._fields
        return kind(*_each([hints[name] for name in names], _list(raw, place, len(names)), place))
    if origin is tuple:
        values = _list(raw, place, None if inner[1:] == (...,) else len(inner))
        return tuple(_each([inner[0]] * len(values) if inner[1:] == (...,) else inner, values, place))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(raw, dict):
            raise ShapeError(f"{place or 'it'} is {_shown(raw)}, expected names and values")
        return {key: _read(inner[1], one, f"{place}.{key}") for key, one in raw.items()}
    if isinstance(origin, type) and issubclass(origin, Sequence):
        values = _list(raw, place, None)
        return _each([inner[0]] * len(values), values, place)
    return _scalar(kind, raw, place)


def _fields(kind: Any, raw: Any, place: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise ShapeError(f"{place or 'it'} is {_shown(raw)}, expected names and values")
    hints, known = _hints(kind), {field.name: field for field in fields(kind)}
    unknown = [name for name in raw if name not in known]
    missing = [
        name
        for name, field in known.items()
        if name not in raw and field.default is MISSING and field.default_factory is MISSING
    ]
    if unknown or missing:
        what = f"has an unknown {unknown[0]!r}" if unknown else f"has no {missing[0]!r}"
        raise ShapeError(f"{place or 'it'} {what}")
    return {name: _read(hints[name], one, f"{place}.{name}".lstrip(".")) for name, one in raw.items()}


@lru_cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _first(kinds: Sequence[Any], raw: Any, place: str) -> Any:
    """As the first of several kinds that fits."""
    for kind in kinds:
        try:
            return _read(kind, raw, place)
        except ShapeError as error:
            last = error
    raise last


def _list(raw: Any, place: str, length: int | None) -> list[Any]:
    if not isinstance(raw, list | tuple) or length not in (None, len(raw)):
        raise ShapeError(f"{place or 'it'} is {_shown(raw)}, expected a list" + (f" of {length}" if length else ""))
    return list(raw)


def _each(kinds: Sequence[Any], values: Sequence[Any], place: str) -> list[Any]:
    return [_read(kind, one, f"{place}[{at}]") for at, (kind, one) in enumerate(zip(kinds, values, strict=True))]


def _scalar(kind: Any, raw: Any, place: str) -> Any:
    if kind is Path and isinstance(raw, str):
        return Path(raw)
    if kind is float and isinstance(raw, int | float) and not isinstance(raw, bool):
        return float(raw) if abs(raw) <= sys.float_info.max else _refuse(kind, raw, place)
    if kind is int and isinstance(raw, int) and abs(raw) >= 2**63:
        return _refuse(kind, raw, place)  # no table holds it
    fits = isinstance(raw, kind) and (kind is bool or not isinstance(raw, bool))
    return raw if fits else _refuse(kind, raw, place)


def _refuse(kind: Any, raw: Any, place: str) -> Any:
    raise ShapeError(f"{place or 'it'} is {_shown(raw)}, expected {getattr(kind, '__name__', kind)}")


def _shown(raw: Any) -> str:
    text = repr(raw) if not isinstance(raw, int) or abs(raw) < 2**63 else "a number of more than 64 bits"
    return text if len(text) <= 40 else f"{text[:37]}..."
