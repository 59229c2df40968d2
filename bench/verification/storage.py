"""Numbers as an array of some dtype keeps them: rounded when they are stored, whatever made them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]
Rounding = Callable[[Floats], Floats]


def rounded_to(bits: int, *, truncated: bool = False) -> Rounding:
    """Float32 with `bits` explicit bits of its significand: TF32 has 10, bfloat16 7.

    To nearest, ties to even; `truncated` towards zero, as a tensor core reads a float32 that nobody rounded for it.
    """
    dropped = 23 - bits
    half, keep = np.uint32((1 << (dropped - 1)) - 1), np.uint32(0xFFFFFFFF << dropped & 0xFFFFFFFF)

    def rounded(array: Floats) -> Floats:
        word = np.ascontiguousarray(array, np.float32).view(np.uint32)
        if truncated:
            return (word & keep).view(np.float32)
        up = word >> np.uint32(dropped)  # in place from here: honest twins spend most of their time in this
        up &= np.uint32(1)
        up += half
        up += word
        up &= keep
        return up.view(np.float32)

    return rounded


TF32, BFLOAT16 = rounded_to(10), rounded_to(7)
TF32_TRUNCATED = rounded_to(10, truncated=True)
# By dtype; what comes back may be of another type of numpy's, which holds it without loss
STORED: Mapping[str, Rounding] = {
    "float64": np.asarray,
    "float32": lambda array: np.asarray(array, np.float32),
    "bfloat16": BFLOAT16,
}
