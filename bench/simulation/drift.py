"""A machine whose speed drifts from block to block, and how many blocks it is asked for."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from bench.verdict.ratios.intervals import LAG_1

Floats: TypeAlias = NDArray[np.float64]
BLOCKS = 10  # K, as a run measures by default
COUNTS = (3, 5, BLOCKS)  # numbers of blocks for which intervals must hold what they say
DRIFT_SD = 0.042  # of the mean speed of blocks, as seen on two shared cores


def autoregressive(random: np.random.Generator, blocks: int, memory: float = LAG_1) -> Floats:
    """A series of sd 1 in which each of the blocks remembers so much of the last, (blocks,)."""
    series = random.standard_normal(blocks)
    series[1:] *= math.sqrt(1 - memory**2)
    for block in range(1, blocks):
        series[block] += memory * series[block - 1]
    return series
