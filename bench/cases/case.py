"""What is measured: one case, and the plain values by which tables know it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from bench.cases.problem import Problem, Size
from bench.words import thread_count

AS_FOUND = "as found"


class CaseKey(NamedTuple):
    """What tells a case from every other, in the columns that all tables share."""

    style: str
    device: str
    dtype: str
    precision: str
    threads: int
    n: int
    d_in: int
    hidden: int
    d_out: int

    @classmethod
    def of(cls, values: Iterable[Any]) -> CaseKey:
        """From nine values in order, as a table holds them."""
        return cls(*(value if isinstance(value, str) else int(value) for value in values))  # type: ignore[arg-type]

    @property
    def size(self) -> Size:
        """Its problem's sides."""
        return Size(self.n, self.d_in, self.hidden, self.d_out)

    @property
    def on_cpu(self) -> bool:
        """Whether it runs on the CPU rather than on an accelerator."""
        return self.device == "cpu"

    @property
    def arithmetic(self) -> str:
        """`float32`; `float32 tf32`."""
        return self.dtype if self.precision == "ieee" else f"{self.dtype} {self.precision}"

    @property
    def label(self) -> str:
        """`torch_nn cpu float32 2 threads`, `torch_nn cuda:0 float32 tf32`: all but the size."""
        threads = f" {thread_count(self.threads)}" if self.on_cpu else ""
        return f"{self.style} {self.device} {self.arithmetic}{threads}"

    def __str__(self) -> str:
        """`torch_nn cpu float32 2 threads 64x1000x100x10`."""
        return f"{self.label} {self.size}"


CASE_COLUMNS, SIZE_COLUMNS = CaseKey._fields, Size._fields


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to measure, in plain values so that a row of a table names it."""

    style: str
    device: str
    problem: Problem
    threads: int = 1
    precision: str = "ieee"
    framework: str = ""
    oracle: str = "sgd"
    program: bool = False  # also measure the scopes `loop` and `program`
    ahead: int = 1  # iterations that its style starts at once
    as_found: bool = False  # in the environment of the user's shell, no variable removed

    @property
    def key(self) -> CaseKey:
        """The values of CASE_COLUMNS: what tells this case from every other."""
        return CaseKey(self.style, self.device, self.problem.dtype, self.precision, self.threads, *self.problem.size)

    @property
    def turn(self) -> tuple[str | int, ...]:
        """`key`, and a mark where the case runs as found: what tells its turns from those of every other."""
        return (*self.key, AS_FOUND) if self.as_found else self.key

    @property
    def label(self) -> str:
        """For people: `torch_nn cpu float32 2 threads 64x1000x100x10`, and `as found` where it is."""
        return f"{self.key} {AS_FOUND}" if self.as_found else str(self.key)

    @property
    def one_core(self) -> bool:
        """Whether the speed of one core is all that the machine gives this case: one CPU thread, no threads besides.

        Several threads lower the clock of the cores by their own work, and an accelerator has a clock of its own:
        what is measured on one core would correct such a case for what it did itself, or for nothing.
        """
        return self.device == "cpu" and self.threads == 1 and self.framework != "jax"
