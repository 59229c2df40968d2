"""Cases with a known fault planted: a spin in every iteration, a first call of two seconds; and their style file."""

from __future__ import annotations

import time
from collections.abc import Generator
from pathlib import Path
from time import perf_counter_ns
from typing import Any

from bench.cases.case import Case
from bench.cases.problem import Problem, stable_learning_rate
from implementations import Implementation, find_implementations

STYLE = "numpy_in_place"
SLOW_FIRST = "slow-first"
SLOW_FIRST_S = 2.0
_slept: list[bool] = []

HEADER = '''"""Plants of `fiftyx validate`: {style} with a known fault."""

from bench.validation.plants import with_slow_first, with_spin
from implementations import implementation
from implementations.{style} import {style}


@implementation(framework="numpy", devices=("cpu",))
def slow_first(x, y, w1, w2, learning_rate, steps):
    """{style}, its first iteration {slow_s:g} s late."""
    return (yield from with_slow_first({style}(x, y, w1, w2, learning_rate, steps)))
'''
SPIN = '''

@implementation(framework="numpy", devices=("cpu",))
def {name}(x, y, w1, w2, learning_rate, steps):
    """{style} that spins for {spin_ns} ns in every iteration."""
    return (yield from with_spin({style}(x, y, w1, w2, learning_rate, steps), {spin_ns}))
'''


def with_spin(loop: Generator[Any, None, Any], spin_ns: int) -> Generator[Any, None, Any]:
    """`loop`, each iteration `spin_ns` longer by the clock: a slowdown whose size does not depend on the loop."""
    while True:
        try:
            loss = next(loop)
        except StopIteration as end:
            return end.value
        until = perf_counter_ns() + spin_ns
        while perf_counter_ns() < until:
            pass
        yield loss


def with_slow_first(loop: Generator[Any, None, Any]) -> Generator[Any, None, Any]:
    """`loop`, the first iteration in this process two seconds late: what a compiler or a driver costs."""
    if not _slept:
        _slept.append(True)
        time.sleep(SLOW_FIRST_S)
    return (yield from loop)


def spin_label(percent: int) -> str:
    """`spin-2` plants 2%."""
    return f"spin-{percent}"


def write_styles(folder: Path, spins_ns: dict[str, int]) -> dict[str, Implementation]:
    """The style file of all plants, written into `folder`; the styles by their labels in the pool."""
    path = folder / "plants.py"
    text = HEADER.format(style=STYLE, slow_s=SLOW_FIRST_S)
    names = {label: label.replace("-", "_") for label in [SLOW_FIRST, *spins_ns]}
    for label, spin_ns in spins_ns.items():
        text += SPIN.format(style=STYLE, name=names[label], spin_ns=spin_ns)
    path.write_text(text, encoding="utf-8")
    found = find_implementations([path])
    return {label: found[name] for label, name in names.items()}


def make_case(label: str, size: tuple[int, int, int, int], seed: int) -> Case:
    """One column of the pool: numpy on one thread in float32, its style called by the column's label."""
    problem = Problem(*size, "float32", stable_learning_rate(size), seed)
    return Case(style=label, device="cpu", problem=problem, framework="numpy")
