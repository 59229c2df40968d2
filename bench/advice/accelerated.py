"""A step on an accelerator beside the same on the CPU: times, speedups paired by block, its start, its bound (pure)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

from bench.advice.network.asked import Counted, Processor, StepFound
from bench.bounds.least import Demand, beaten_words, least_here, least_of
from bench.verdict.ratios.intervals import Ratio, corrected, paired_ratio, time_ratio
from bench.words import microseconds

SCOPES = ("iteration", "throughput")


@dataclass(frozen=True, slots=True)
class Accelerated:
    """One batch on an accelerator; where `status` is not ok, only `reason` counts.

    `latency` and `throughput` are us a step as ratios to 1 us, `speedup` and `batch_speedup` the fastest CPU's times
    over them, paired by block. `start_s` is what its start takes more than the CPU's. `faults` are times that its
    card's bound forbids, in words.
    """

    on: Processor
    status: str
    reason: str = ""
    latency: Ratio | None = None
    throughput: Ratio | None = None
    speedup: Ratio | None = None
    batch_speedup: Ratio | None = None
    start_s: float = math.nan
    noisy: int = 0
    checked: str = ""
    faults: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """`NVIDIA H200 (cuda:0 float32)`."""
        return f"{self.on.model or self.on.device} ({self.on})"

    @property
    def faster(self) -> bool:
        """By its whole interval, its loss read."""
        return self.speedup is not None and self.speedup.low > 1

    def repaid_after(self, cpu: Ratio) -> float:
        """The steps after which its start has paid for itself; infinite if never, NaN where it is not known."""
        assert self.latency is not None
        saved_us = cpu.value - self.latency.value
        more_s = self.start_s if math.isnan(self.start_s) else max(0.0, self.start_s)
        return more_s * 1e6 / saved_us if saved_us > 0 else math.inf


def times_us(found: Sequence[StepFound], scope: str) -> list[float]:
    """A time a process in a scope; NaN where there is none."""
    return [(one.latency_us if scope == "iteration" else one.throughput_us) or math.nan for one in found]


def time_of(found: Sequence[StepFound], scope: str, candidates: int = 1) -> Ratio:
    """A time in us with its interval, drift and all; wide enough to choose the fastest of so many thread counts."""
    return time_ratio(times_us(found, scope), confidence=corrected(candidates))


def accelerated(
    on: Processor, found: Sequence[StepFound], cpus: Sequence[Sequence[StepFound]], counted: Counted | None
) -> Accelerated:
    """From the processes of a batch on an accelerator and on each thread count of the CPU, in the order of blocks."""
    bad = next((one for one in found if one.status != "ok"), None)
    if bad is not None:
        return Accelerated(on, bad.status, bad.reason)
    latency, throughput = (time_of(found, scope) for scope in SCOPES)
    speedup, batched = (_over_the_fastest(found, cpus, scope) for scope in SCOPES)
    return Accelerated(
        on, "ok", latency=latency, throughput=throughput, speedup=speedup, batch_speedup=batched,
        start_s=_start_s(found) - min(map(_start_s, cpus)), noisy=sum(bool(one.noise) for one in found),
        checked=found[0].checked, faults=tuple(_faults(on, {"iteration": latency, "throughput": throughput}, counted)),
    )  # fmt: skip


def _over_the_fastest(found: Sequence[StepFound], cpus: Sequence[Sequence[StepFound]], scope: str) -> Ratio:
    """The fastest CPU's times over these: of the ratios over each, which cannot all be too high, the least ends."""
    times = times_us(found, scope)
    unknown = [math.nan] * len(times)  # what drifts on a CPU does not on an accelerator
    each = [paired_ratio(times_us(one, scope), times, corrected(len(cpus)), drift=unknown) for one in cpus]
    least = min(each, key=lambda one: one.value)
    return Ratio(least.value, min(one.low for one in each), min(one.high for one in each), least.blocks)


def _start_s(found: Sequence[StepFound]) -> float:
    known = [one.start_s for one in found if one.start_s is not None]
    return median(known) if known else math.nan


def _faults(on: Processor, times: Mapping[str, Ratio], counted: Counted | None) -> Iterator[str]:
    """A line for each scope in which the card took less than published figures leave it: somewhere is a fault."""
    if counted is None:
        return
    demand = Demand(counted.product_flops, counted.held_bytes, counted.launches or 0)
    arithmetic = counted.arithmetic if counted.narrow else on.arithmetic
    for scope, time in times.items():
        bound = least_here(on.model, partial(least_of, demand=demand, arithmetic=arithmetic, scope=scope))
        if bound is not None and time.value < bound.us:
            yield beaten_words(f"a step by {scope} took {microseconds(time.value)} us on {on}", bound)
