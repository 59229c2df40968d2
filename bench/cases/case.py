"""What is measured: one case, in plain values that a row of a table names."""

from __future__ import annotations

from dataclasses import dataclass

from bench.cases.problem import Problem

Size = tuple[int, int, int, int]
CASE_COLUMNS = ("style", "device", "dtype", "precision", "threads", "n", "d_in", "hidden", "d_out")
SIZE_COLUMNS = CASE_COLUMNS[5:]
AS_FOUND = "as found"


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
    as_found: bool = False  # in the environment of the user's shell, no variable removed

    @property
    def key(self) -> tuple[str | int, ...]:
        """The values of CASE_COLUMNS: what tells this case from every other."""
        return (self.style, self.device, self.problem.dtype, self.precision, self.threads, *self.problem.size)

    @property
    def turn(self) -> tuple[str | int, ...]:
        """`key`, and a mark where the case runs as found: what tells its turns from those of every other."""
        return (*self.key, AS_FOUND) if self.as_found else self.key

    @property
    def label(self) -> str:
        """For people: `torch_nn cpu float32 2 threads 64x1000x100x10`."""
        threads = f" {self.threads} thread{'s' if self.threads > 1 else ''}" if self.device == "cpu" else ""
        precision = f" {self.precision}" if self.precision != "ieee" else ""
        size = "x".join(map(str, self.problem.size))
        found = f" {AS_FOUND}" if self.as_found else ""
        return f"{self.style} {self.device} {self.problem.dtype}{precision}{threads} {size}{found}"


def has_reference(case: Case) -> bool:
    """Is the speed of one core all that the machine gives this case? One CPU thread, in a library that runs on it.

    Several threads lower the clock of the cores by their own work, and an accelerator has a clock of its own:
    what is measured on one core would correct such a case for what it did itself, or for nothing.
    """
    return case.device == "cpu" and case.threads == 1 and case.framework != "jax"
