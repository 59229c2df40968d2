"""A question to a worker, what it found, and what a run keeps of that: Job, Found, Measurement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from bench.cases.case import Case
from bench.cases.limits import beyond
from bench.cases.phases import Rule
from bench.plain import ShapeError, from_plain
from implementations import Implementation

Value: TypeAlias = float | int | str | bool | None

STATUSES = ("ok", "skipped", "failed", "oom", "timeout", "crashed", "wrong")


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker is told: the case, its style, and how long to time."""

    case: Case
    style: Implementation
    rule: Rule


@dataclass(frozen=True, slots=True)
class Found:
    """What a worker answers: its status, the reason where it is not `ok` or is noisy, values and raw samples in us.

    `values` are columns of measurements.csv by name. `warmup_us` holds the first iterations of the warm-up
    after the cold call `first_us`, `timed_us` every iteration of the latency phase, `losses`
    the losses of the rehearsal at the tutorial's size.
    """

    status: str
    reason: str = ""
    noisy: bool = False
    values: Mapping[str, Value] = field(default_factory=dict)
    first_us: float | None = None
    warmup_us: Sequence[float] = ()
    timed_us: Sequence[float] = ()
    losses: Sequence[float] = ()

    @classmethod
    def read(cls, answer: Any) -> Found:
        """From a worker's answer, which is untrusted input: what has not the shape is `crashed`, with the place."""
        try:
            found = from_plain(cls, answer)
        except ShapeError as error:
            return cls("crashed", f"its answer is not what a worker says: {error}")
        if found.status not in STATUSES:
            return cls("crashed", f"its answer has the unknown status {found.status!r}")
        for fault in beyond(found.values) if found.status == "ok" else ():
            return cls("crashed", f"its answer is not what a worker says: {fault}")
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
        fields = {name: getattr(found, name) for name in Found.__slots__}
        return cls(case=case, block=block, order=order, attempts=attempts, **fields)
