"""How fast the core is right now: a fixed product of matrices, timed between the samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from random import Random
from time import perf_counter_ns
from typing import NamedTuple

SIDE = 128  # 192 KiB of float32 for the three matrices: in any second-level cache, and little of it
REPEATS = 6  # the least of which counts
WARM = 20
NEUTRAL_S = 0.01  # of a plain loop in Python, after which the core has forgotten what ran before

Reference = Callable[[], float]


class Reading(NamedTuple):
    """The reference product in us: after NEUTRAL_S of work that is the same for every case, and right before it."""

    us: float
    after_case_us: float


Gauge = Callable[[], Reading]


def open_reference(now: Callable[[], int] = perf_counter_ns) -> Reference:
    """A function that takes the product REPEATS times and returns the least time in us.

    The product is numpy's, float32, SIDE x SIDE, whatever library the case uses: it gauges the core, not
    the library. Product and arrays are bound here, before a style can reach them; the first product is made with the
    first reading.
    """
    import numpy as np

    dot = np.dot
    numbers = np.frombuffer(Random(0).randbytes(2 * SIDE * SIDE), np.uint8)
    values = np.subtract(numbers, 127.5, dtype=np.float32)  # nothing large is freed, see bench.timing.heap
    left, right = values.reshape(2, SIDE, SIDE)
    out = np.empty((SIDE, SIDE), np.float32)
    warm = [WARM]

    def least_us() -> float:
        least = 0
        for _ in range(warm.pop() if warm else 0):
            dot(left, right, out=out)
        for _ in range(REPEATS):
            start = now()
            dot(left, right, out=out)
            elapsed = now() - start
            least = min(least, elapsed) if least else elapsed
        return max(least, 1) / 1e3

    return least_us


def open_gauge(now: Callable[[], int] = perf_counter_ns) -> Gauge:
    """A function that reads the core's speed twice: as the case left it, and once the core has forgotten the case.

    A case can slow its own core: by wide instructions that lower its clock, or by heat. That is its price, so what
    corrects its times for the neighbours' doing must not hold it: only the second reading, after NEUTRAL_S of the
    same plain loop for everybody, does so. The first says what the case does to its core.
    """
    least_us = open_reference(now)

    def read() -> Reading:
        after_case_us = least_us()
        end = now() + int(NEUTRAL_S * 1e9)
        while now() < end:
            pass
        return Reading(least_us(), after_case_us)

    return read


def around(readings: Sequence[Reading]) -> list[float]:
    """The reference in us of each stretch between two readings: their geometric mean."""
    return [math.sqrt(before.us * after.us) for before, after in pairwise(readings)]


def own_effect(readings: Sequence[Reading]) -> float:
    """By what share the case slows the core by its own work: the mean of the middle 80% of all readings but the first.

    ln of the product's time right after the case over the same after neutral work.
    """
    each = sorted(math.log(one.after_case_us / one.us) for one in readings[1:])
    cut = len(each) // 10
    middle = each[cut : len(each) - cut]
    return math.expm1(sum(middle) / len(middle))
