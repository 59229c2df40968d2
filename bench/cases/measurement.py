"""A question to a worker, what it found, and what a run keeps of that: Job, Found, Measurement."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from bench.cases.case import Case
from bench.cases.challenge import IMMUTABLE
from bench.cases.limits import beyond
from bench.cases.phases import Rule
from bench.plain import ShapeError, from_plain
from implementations import Implementation

Value: TypeAlias = float | int | str | bool | None

STATUSES = ("ok", "skipped", "failed", "oom", "timeout", "crashed", "wrong")
ANSWERED = ("ok", "failed", "oom", "wrong")  # the others are said of a worker, not by it
TEXT_VALUES = ("device_model", "blas", "heap")  # every other value is a number
TIMES = ("latency_median_us", "throughput_us")  # that an `ok` answer cannot be without
AT_ONCE = "iterations_per_launch"  # above 1 there is no time by iteration
BY_ITERATION = ("latency_median_us", "latency_mean_us", "latency_min_us", "latency_p95_us", "latency_per_reference")
LARGEST = 2.0**63
REASON_LENGTH = 400


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker is asked for: the case, its style, and how long to time.

    `data_seed` is of the data that it is timed with, None where that is the seed of its problem. A process of its own
    learns it late: it asks its witness once it has loaded the style.
    """

    case: Case
    style: Implementation
    rule: Rule
    data_seed: int | None = None

    @property
    def seed(self) -> int:
        """Of the data that it is timed with."""
        return self.case.problem.seed if self.data_seed is None else self.data_seed

    def on_other_data(self, turn: int) -> Job:
        """The same with data of its own for each `turn`."""
        return replace(self, data_seed=(self.seed + turn) % 2**32)


# So often more is measured who failed by the clock or strayed in the timed run. Once was too little: of 900 honest rows
# on a host with twice as many threads as cores one strayed twice (a flip of the ReLU mask moved half of the units by
# 1.0e-3 at 98x13x191x17) and one was twice without its cores for a whole warm-up; who lies fails every time
ANEW = 2


@dataclass(frozen=True, slots=True)
class Found:
    """What a worker answers: its status, the reason where it is not `ok` or is noisy, values and raw samples in us.

    `values` are columns of measurements.csv by name. `warmup_us` holds the first iterations of the warm-up
    after the cold call `first_us`, `timed_us` every iteration of the latency phase, `losses`
    the losses of the rehearsal at the tutorial's size. `raw` is what was timed, as long as nobody has judged it: the
    figures of the timed loop come from it alone. `again`: it failed by the clock or strayed in the timed run, as an
    honest one now and then may, and is measured up to ANEW times more.
    """

    status: str
    reason: str = ""
    noisy: bool = False
    values: Mapping[str, Value] = field(default_factory=dict)
    first_us: float | None = None
    warmup_us: Sequence[float] = ()
    timed_us: Sequence[float] = ()
    losses: Sequence[float] = ()
    raw: Any = None
    again: bool = False

    @classmethod
    def read(cls, answer: Any) -> Found:
        """From a worker's answer, which is untrusted input: what no worker says is `crashed`, with the place."""
        try:
            found = from_plain(cls, answer)
            problem = found.problem()
        except (ShapeError, OverflowError) as error:
            problem = str(error)
        if problem is not None:
            return cls("crashed", f"its answer is not what a worker says: {problem}"[:REASON_LENGTH])
        return replace(found, reason=" ".join(found.reason.split())[:REASON_LENGTH])

    def problem(self) -> str | None:
        """What no worker would say: an unknown status, a value not of its column, an impossible time, or None."""
        if self.status not in ANSWERED:
            return f"unknown status {self.status!r}"
        for name, value in self.values.items():
            if value is not None and isinstance(value, str) != (name in TEXT_VALUES):
                return f"values.{name} is {repr(value)[:40]}"
            if isinstance(value, float | int) and not abs(value) < LARGEST:
                return f"values.{name} is out of range"
        if self.status != "ok":
            return None
        needed = TIMES if (self.values.get(AT_ONCE) or 1) == 1 else [name for name in TIMES if name not in BY_ITERATION]
        samples = [] if self.raw is not None else [*self.timed_us, *(self.values.get(name) for name in needed)]
        times = [*self.warmup_us, *samples]
        impossible = [time for time in times if not isinstance(time, float | int) or not 0 < time < LARGEST]
        if impossible or not (self.timed_us or self.raw):
            return f"a time of {impossible[0]}" if impossible else "no times"
        return next(iter(beyond(self.values)), None)


def or_anew(job: Job, measure: Callable[[Job], Found]) -> Found:
    """What is found of a job, or in a further try where that is what an honest style now and then may be; see `again`.

    In a further try x changes elsewhere, and where it cannot be changed the data are others: on the same an honest
    style would stray the same.
    """
    found = measure(job)
    for turn in range(1, 1 + ANEW):
        if not found.again:
            break
        found = measure(job.on_other_data(turn) if job.case.framework in IMMUTABLE else job)
    return found


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was found of a case in a block: the fields of Found, the turn's place in the run, and the tries it took."""

    case: Case
    block: int
    order: int
    status: str
    reason: str = ""
    attempts: int = 1
    noisy: bool = False
    values: Mapping[str, Value] = field(default_factory=dict)
    first_us: float | None = None
    warmup_us: Sequence[float] = ()
    timed_us: Sequence[float] = ()
    losses: Sequence[float] = ()

    @classmethod
    def of(cls, found: Found, case: Case, block: int, order: int, attempts: int) -> Measurement:
        """What a worker found, as a row of a run."""
        fields = {name: getattr(found, name) for name in Found.__slots__ if name in cls.__slots__}
        return cls(case=case, block=block, order=order, attempts=attempts, **fields)
