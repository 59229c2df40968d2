"""What a style declares: its framework, its devices and the generator that trains."""

from __future__ import annotations

import importlib.util
import inspect
import math
import os
import sys
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

Train: TypeAlias = Callable[..., Generator[Any, None, tuple[Any, ...]]]

ORACLES = ("sgd", "adam", "dynamic")
# what brings it: pyproject.toml
EXTRAS = {"cupy": "cupy-cuda13x", "jax": "jax[cuda13]", "numba": "numba", "triton": "triton"}
FRAMEWORKS = ("numpy", "torch", "cupy", "jax")  # whose arrays a style can be given; numba's loops take numpy's
DEVICES = ("cpu", "cuda", "mps", "xpu")
ACCELERATOR = "accelerator"  # in a declaration: every kind but the cpu
HEAPS = ("warm", "script", "kept")


class StyleError(ValueError):
    """A style file that cannot be used; the message says where and what cures it."""


@dataclass(frozen=True, slots=True)
class Implementation:
    """One style of the training loop, known without importing its file.

    `oracle` names the float64 reference that its losses and weights must follow, `cycle` the number
    of iterations after which its control flow repeats (1: every iteration does the same work), `ahead` the
    number of iterations that it starts at once (1: each when it is asked for),
    `imports` the top-level modules that its file needs, and `heap` the state of malloc that it is timed with:
    `warm` as the worker's own allocations before left it, `script` as that of a process that did what the tutorial's
    script does and nothing before, `kept` never giving memory back to the system. `compiled` says that its first call
    compiles, for seconds, and that what it then does is in no operations that anybody could watch.
    """

    name: str
    framework: str
    devices: tuple[str, ...]
    summary: str
    source: Path
    oracle: str = "sgd"
    cycle: int = 1
    imports: tuple[str, ...] = ()
    heap: str = "warm"
    ahead: int = 1
    compiled: bool = False

    @property
    def period(self) -> int:
        """How many iterations belong together: a time of one of them says nothing, their mean does."""
        return math.lcm(self.cycle, self.ahead)

    @property
    def missing(self) -> str | None:
        """Why this style cannot run here (a library that is not installed, and what installs it), or None."""
        if self.heap == "kept" and not _is_glibc():
            return "its heap is kept by glibc's mallopt, and this C library is another"
        absent = [name for name in self.imports if not _is_installed(name)]
        known = " ".join(f"'{EXTRAS[name]}'" for name in absent if name in EXTRAS)
        cure = f"; pip install {known}" if known else ""
        return f"{', '.join(absent)} is not installed{cure}" if absent else None

    @property
    def train(self) -> Train:
        """The generator function `train(x, y, w1, w2, learning_rate, steps)`; imports the style's file."""
        train: Train = getattr(_import_file(self.source), self.name)
        return train


def implementation(
    *,
    framework: str,
    devices: tuple[str, ...],
    oracle: str = "sgd",
    cycle: int = 1,
    heap: str = "warm",
    ahead: int = 1,
    compiled: bool = False,
) -> Callable[[Train], Train]:
    """Declare a generator function as a style of the loop; the function itself stays as it is.

    `find_implementations` reads these keywords from the source, so each must be a literal; "accelerator" among the
    devices stands for every kind but the cpu.

    `x` may change in place between two iterations, except where arrays are immutable (jax): it is data, not a constant.
    So the loop keeps no copy of it and nothing made from it alone, such as x times its transpose, and yields the loss
    when the iteration is over, update and all.

    A style that starts several iterations at once says how many with `ahead`: asked for the loss of iteration 0, ahead,
    2 * ahead, ... it may start so many (fewer at the end of its steps), and `x` changes only before these. Its losses
    become known together, so it has no time by iteration, only by throughput and of whole loops. Not on the CPU.

    One that is compiled by its first call, for seconds, says `compiled=True`: then plans allow for them, and `quick`
    leaves it out on the CPU.
    Raises StyleError when the function is not a generator function.
    """

    def declare(train: Train) -> Train:
        if not inspect.isgeneratorfunction(train):
            name = getattr(train, "__name__", repr(train))
            raise StyleError(f"style '{name}' is not a generator: it must `yield loss` once an iteration")
        return train

    return declare


def _is_glibc() -> bool:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (AttributeError, ValueError, OSError):  # Windows, macOS, musl
        return False


def _is_installed(module: str) -> bool:
    try:
        return module in sys.modules or importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _import_file(source: Path) -> Any:
    built_in = source.parent == Path(__file__).parent
    name = f"implementations.{source.stem}" if built_in else f"_style_{source.stem}_{hash(str(source)) & 0xFFFFFF:x}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, source)
    if spec is None or spec.loader is None:
        raise StyleError(f"{source}: is not a Python file")
    sys.modules.setdefault("implementations", sys.modules[__package__])  # what a style imports from, wherever we lie
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
