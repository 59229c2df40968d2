"""The gates that a process's samples must pass before they count as quiet (pure)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from bench.cases.measurement import Value
from bench.machine.core_speed import around, own_effect
from bench.timing.loops import Timed

SPREAD_LIMIT = 1.05  # median over minimum, on a CPU
DRIFT_LIMIT = 0.02  # between the medians of the two halves
BATCH_LIMIT = 1.5  # a batch's mean over the median: bursts, or work done for many iterations at once
STARVED = 0.95  # CPU seconds per wall second below which a process waited for a core
GREEDY = 0.15  # CPU seconds per wall second above its threads


@dataclass(frozen=True, slots=True)
class Sampled:
    """What the gates judge: microseconds of each cycle in order, and where the CPU time went."""

    cycles_us: Sequence[float]
    on_cpu: bool
    threads: int
    cpu_utilisation: float | None  # CPU seconds per wall second while timing
    batch_us: float | None = None  # mean of an iteration within a batch


def by_cycle(samples: Sequence[float], cycle: int) -> list[float]:
    """Means over `cycle` consecutive samples, in order; an incomplete last cycle is left out."""
    if cycle == 1:
        return list(samples)
    return [fmean(samples[i : i + cycle]) for i in range(0, len(samples) - cycle + 1, cycle)]


def disturbance(sampled: Sampled) -> str | None:
    """Which gate the samples fail, in words with the figure, or None when they are quiet."""
    cycles = sampled.cycles_us
    half = len(cycles) // 2
    if half == 0:
        return "too few iterations to tell"
    middle, least = median(cycles), min(cycles)
    if not math.isfinite(middle):
        return "a time is not finite"
    if sampled.on_cpu and middle > SPREAD_LIMIT * least:
        return f"median is {middle / least:.2f}x the minimum"
    drift = abs(median(cycles[half:]) / median(cycles[:half]) - 1)
    if drift > DRIFT_LIMIT:
        return f"halves differ by {drift:.1%}"
    if sampled.batch_us is not None and sampled.batch_us > BATCH_LIMIT * middle:
        return f"an iteration takes {sampled.batch_us / middle:.1f}x its median within a batch"
    used = sampled.cpu_utilisation
    if used is not None and sampled.on_cpu:
        if used < STARVED:
            return f"had a core for {used:.0%} of the time"
        if used > sampled.threads + GREEDY:
            return f"used {used:.2f} cores with {sampled.threads} threads"
    return None


@dataclass(frozen=True, slots=True)
class Steady:
    """The timed loop over the reference product next to it: what is left is not the core's clock, unitless.

    `usual_us` is the median reading of the reference, `own_effect` the share by which the case slows the core itself.
    """

    usual_us: float
    own_effect: float
    cycles: list[float]
    batch: float

    @classmethod
    def of(cls, timed: Timed, timed_us: Sequence[float], cycle: int) -> Steady | None:
        """From the samples in us and the readings between them; None where there are none."""
        if not timed.readings:
            return None
        references = around(timed.readings)
        segments = timed.counts.segments
        each = [us for us, samples in zip(references, segments, strict=False) for _ in range(samples)]
        samples = [sample / us for sample, us in zip(timed_us, each, strict=True)]
        batches = [one.mean_us / us for one, us in zip(timed.batches, references[len(segments) :], strict=True)]
        usual_us = median(one.us for one in timed.readings)
        return cls(usual_us, own_effect(timed.readings), by_cycle(samples, cycle), median(batches))

    def values(self) -> dict[str, Value]:
        """Its columns of measurements.csv."""
        return {
            "reference_us": self.usual_us,
            "own_effect": self.own_effect,
            "latency_per_reference": median(self.cycles),
            "throughput_per_reference": self.batch,
        }
