"""What one process found out about one case."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeAlias

from bench.cases.case import Case
from bench.cases.phases import Rule
from bench.cases.problem import Problem
from implementations import Implementation

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


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker is told: the case, its style, and how long to time."""

    case: Case
    style: Implementation
    rule: Rule

    def dump(self) -> str:
        """As JSON."""
        return json.dumps({**asdict(self), "style": {**asdict(self.style), "source": str(self.style.source)}})

    @classmethod
    def load(cls, text: str) -> Job:
        """From what `dump` wrote."""
        raw = json.loads(text)
        problem = Problem(**raw["case"].pop("problem"))
        style = raw["style"]
        style.update(source=Path(style["source"]), devices=tuple(style["devices"]), imports=tuple(style["imports"]))
        return cls(Case(problem=problem, **raw["case"]), Implementation(**style), Rule(**raw["rule"]))
