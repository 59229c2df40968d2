"""Whether the harness in this process is still what it was before a style was loaded."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from types import FunctionType, ModuleType
from typing import Any

PACKAGE = __name__.partition(".")[0]
CLOCKS = ("perf_counter", "perf_counter_ns")

# of each its full name, its owner, its name there, itself, and what a function is made of
Imprint = Sequence[tuple[str, Any, str, Any, tuple[Any, ...]]]


def imprint() -> Imprint:
    """Every name of this package's modules and their classes, and the clocks that they read.

    A list, whose growth frees nothing large, see bench.timing.heap.
    """
    modules = [one for name, one in sys.modules.items() if name.partition(".")[0] == PACKAGE]
    found: list[tuple[str, Any, str, Any, tuple[Any, ...]]]
    found = [(f"time.{name}", time, name, getattr(time, name), ()) for name in CLOCKS]
    for module in modules:
        owners: list[tuple[str, Any]] = [(module.__name__, module)]
        owners += [(f"{module.__name__}.{one.__name__}", one) for one in _classes(module)]
        for label, owner in owners:
            for name, value in list(vars(owner).items()):
                if not isinstance(value, ModuleType) and name != "__builtins__":
                    found.append((f"{label}.{name}", owner, name, value, _parts(value)))
    return found


def replaced(before: Imprint) -> Iterator[str]:
    """What is another now than it was: a name that is bound to something else, a function's code or defaults."""
    for label, owner, name, value, parts in before:
        now = vars(owner).get(name)
        if now is not value or any(one is not other for one, other in zip(_parts(now), parts, strict=True)):
            yield label


def _classes(module: ModuleType) -> Iterator[type]:
    for value in list(vars(module).values()):
        if isinstance(value, type) and value.__module__ == module.__name__:
            yield value


def _parts(value: Any) -> tuple[Any, ...]:
    function = getattr(value, "__func__", value)  # of a classmethod or staticmethod
    function = function.fget if isinstance(function, property) else function
    if not isinstance(function, FunctionType):
        return ()
    return function.__code__, function.__defaults__, function.__kwdefaults__
