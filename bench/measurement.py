"""What one process found out about one case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from bench.case import Case

Value: TypeAlias = float | int | str | bool | None

STATUSES = ("ok", "skipped", "failed", "oom", "timeout", "crashed", "wrong")


@dataclass(frozen=True, slots=True)
class Measurement:
    """A case in a block: its status, the reason where it is not `ok`, reduced values, raw samples in us.

    `values` are columns of measurements.csv by name. `warmup_us` holds the first iterations of the warm-up
    after the cold call `first_us`, `timed_us` every iteration of the latency phase, `losses`
    the losses of the rehearsal at the tutorial's size.
    """

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
