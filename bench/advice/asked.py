"""What a process is asked about a network and what it answers: a step's time, its check, its counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.cases.phases import Rule


@dataclass(frozen=True, slots=True)
class StepJob:
    """One network at one batch, in a process of so many threads; how long to time, and whether to count and check."""

    path: str
    function: str
    batch: int
    threads: int
    rule: Rule
    seed: int = 0
    count: bool = False


@dataclass(frozen=True, slots=True)
class Counted:
    """What one step asks of a device. `launches` is None where a GPU may need fewer than were counted, `why` says why.

    `product_flops` are of matrix products and 1x1 convolutions, `other_flops` of further convolutions, which schemes
    with fewer multiplications may do; `uncounted` names operations whose work nobody counted. `held_bytes` are the
    inputs and the parameters.
    """

    product_flops: float
    other_flops: float
    held_bytes: int
    operations: int
    launches: int | None
    why: str = ""
    uncounted: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class StepFound:
    """`status` is ok, failed, oom or wrong, `reason` why; times in us a step, the loss read and not. See StepJob."""

    status: str
    reason: str = ""
    latency_us: float | None = None
    throughput_us: float | None = None
    noise: str = ""
    checked: str = ""
    parameters: int = 0
    counted: Counted | None = field(default=None)
