"""What a process is asked about a network and what it answers: a step's time, its check, its counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.cases.phases import Rule
from bench.words import thread_count

PRODUCT, CONVOLUTION, COSTLY, OTHER = "product", "convolution", "costly", "other"


@dataclass(frozen=True, slots=True)
class Processor:
    """What a step runs on: a device, its model, its threads (of an accelerator 1), its products of float32."""

    device: str = "cpu"
    model: str = ""
    threads: int = 1
    precision: str = "ieee"

    @property
    def on_cpu(self) -> bool:
        """Whether it is the CPU."""
        return self.device == "cpu"

    @property
    def arithmetic(self) -> str:
        """`float32`, or `float32 tf32`."""
        return "float32" if self.precision == "ieee" else f"float32 {self.precision}"

    def __str__(self) -> str:
        return thread_count(self.threads) if self.on_cpu else f"{self.device} {self.arithmetic}"


@dataclass(frozen=True, slots=True)
class StepJob:
    """One network at one batch, in a process on a processor; how long to time, and whether to count.

    `passes`: time so many passes as cnn-benchmarks does too, fewer where they are slow. `check` is what the network is
    made with for the gate instead of the batch alone, where that would be too dear.
    """

    path: str
    function: str
    batch: int
    on: Processor
    rule: Rule
    seed: int = 0
    count: bool = False
    passes: int = 0
    check: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """So many calls of one kind, and what each of them asks for.

    A kind is PRODUCT, CONVOLUTION, COSTLY (element by element, but a CPU computes long at each) or OTHER.
    `bytes` are those of all tensors that go in and come out. `m`, `n`, `k` are the sides of the product that it is, of
    a convolution too: the (m, k) of all places times (k, n) of its kernel; 0 where it is none.
    """

    kind: str
    calls: int
    flops: float
    bytes: int
    m: int = 0
    n: int = 0
    k: int = 0


@dataclass(frozen=True, slots=True)
class Counted:
    """What one step asks of a device. `launches` is None where a GPU may need fewer than were counted, `why` says why.

    `product_flops` are of matrix products and 1x1 convolutions, `other_flops` of further convolutions, which schemes
    with fewer multiplications may do; `uncounted` names operations whose work nobody counted. `held_bytes` are the
    inputs and the parameters, without a table of which a step takes and changes some rows. `narrow`: there are products
    of numbers of 16 bits. `work` is every operation, those alike as one.
    """

    product_flops: float
    other_flops: float
    held_bytes: int
    operations: int
    launches: int | None
    why: str = ""
    uncounted: Sequence[str] = ()
    work: Sequence[Operation] = ()
    narrow: bool = False

    @property
    def arithmetic(self) -> str:
        """Of its products, as `bench.bounds` names it."""
        return "bfloat16" if self.narrow else "float32"


@dataclass(frozen=True, slots=True)
class StepFound:
    """`status` is ok, failed, oom or wrong, `reason` why; times in us a step, the loss read and not. See StepJob.

    `start_s` passed from the opening of the device to the end of the first step, the network made and moved meanwhile.
    `forward_us` and `backward_us` are of the passes that were asked for, each.
    """

    status: str
    reason: str = ""
    latency_us: float | None = None
    throughput_us: float | None = None
    noise: str = ""
    checked: str = ""
    parameters: int = 0
    counted: Counted | None = None
    forward_us: Sequence[float] = ()
    backward_us: Sequence[float] = ()
    start_s: float | None = None
