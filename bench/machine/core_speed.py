"""How fast the core is right now: a fixed product of matrices, timed between the samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from time import perf_counter_ns

SIDE = 128  # 192 KiB of float32 for the three matrices: in any second-level cache, and little of it
REPEATS = 6  # the least of which counts
WARM = 20

Reference = Callable[[], float]


def open_reference(now: Callable[[], int] = perf_counter_ns) -> Reference:
    """A function that takes the product REPEATS times and returns the least time in us.

    The product is numpy's, float32, SIDE x SIDE, whatever library the case uses: it gauges the core, not
    the library. Its arrays are made here, once.
    """
    import numpy as np

    random = np.random.default_rng(0)
    left, right = random.standard_normal((2, SIDE, SIDE)).astype(np.float32)
    out = np.empty((SIDE, SIDE), np.float32)

    def least_us() -> float:
        least = 0
        for _ in range(REPEATS):
            start = now()
            np.dot(left, right, out=out)
            elapsed = now() - start
            least = min(least, elapsed) if least else elapsed
        return max(least, 1) / 1e3

    for _ in range(WARM):
        np.dot(left, right, out=out)
    return least_us


def beside(readings_us: Sequence[float]) -> list[float]:
    """The reference in us of each stretch between two readings: their geometric mean."""
    return [math.sqrt(before * after) for before, after in pairwise(readings_us)]
