"""Between two measured sizes: how much of the intervals of both is left at a place between them (pure)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from bench.verdict.ratios.intervals import Ratio, half_widths, of_drift

Floats: TypeAlias = NDArray[np.float64]


def averaged(x: Floats, ratios: Sequence[Ratio], places: Floats) -> Floats:
    """At each place, the half-width of the mean of its two sizes over the mean of their half-widths: at most 1.

    A place at the share w between two sizes has the error (1 - w) a + w b of theirs. What a drift adds, both share,
    and it goes over linearly; what is each one's own partly cancels: (1 - w)^2 A + w^2 B, and there are more degrees of
    freedom (Welch and Satterthwaite). The drift counts as it was seen: the longer memory that a speedup's own interval
    allows for would make that of a place too wide. 1 where nobody knows what an interval is made of.
    """
    if len(x) == 1 or not all(math.isfinite(one.own) for one in ratios):
        return np.ones(len(places))
    own, shared = (np.array([getattr(one, name) for one in ratios]) for name in ("own", "shared"))
    # of a drift that nobody read nothing is left that would be a size's own
    made_of, usual = (
        np.array([of_drift(one.blocks, read=read and one.own > 0) for one in ratios]).T for read in (True, False)
    )
    alone = np.array([one.blocks - 1 for one in ratios])

    def linear(shared: Floats, freedom: Floats) -> Floats:
        halves = half_widths(np.array([own, shared]), np.array([alone, freedom]), ratios[0].confidence)
        return np.interp(places, x, halves)

    made, shared = linear(shared, made_of[1]), shared * usual[0] / made_of[0]
    gap = np.minimum(np.searchsorted(x, places, side="right") - 1, len(x) - 2)
    w = (places - x[gap]) / (x[gap + 1] - x[gap])
    drift = ((1 - w) * np.sqrt(shared[gap]) + w * np.sqrt(shared[gap + 1])) ** 2
    parts = np.array([(1 - w) ** 2 * own[gap], w**2 * own[gap + 1], drift])
    degrees = np.array([alone[gap], alone[gap + 1], np.minimum(usual[1][gap], usual[1][gap + 1])])
    together = np.minimum(half_widths(parts, degrees, ratios[0].confidence), linear(shared, usual[1]))
    return np.divide(together, made, out=np.ones(len(places)), where=made > 0)
