"""The ratio of two independent series of times and its interval, by Welch's t on their logarithms (pure)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bench.speedup import CONFIDENCE, Ratio, t_quantile


def welch_ratio(a: Sequence[float], b: Sequence[float]) -> Ratio:
    """The ratio of two independent series of times, one a process, any unit; `blocks` is the shorter one's length.

    With u = ln a, v = ln b: estimate exp(mean u - mean v), interval exp(mean u - mean v ± t(nu, 0.975) * e),
    e^2 = s_u^2/n_u + s_v^2/n_v, nu = e^4 / ((s_u^2/n_u)^2/(n_u-1) + (s_v^2/n_v)^2/(n_v-1)) (Welch 1947).

    Blocks of two folders were not run beside each other, so that pairing them would take a drift of the machine
    for a common cause; Welch's interval asks for neither pairs nor equal spreads. It knows the spread *within* a
    run only. What changed the whole machine between the runs (a neighbour, a clock, a temperature) is in the ratio
    and not in the interval: intervals of identical code measured one run after the other covered 1 in 46% of
    trials, against 95% for cases that shared their blocks. So `faster` says that the runs differ, not why.

    Fewer than two processes on a side have no spread: `low` and `high` are NaN. A time that is not finite or not
    above 0 makes everything NaN.
    """
    blocks = min(len(a), len(b))
    times = [np.asarray(side, dtype=float) for side in (a, b)]
    if blocks == 0 or not all(np.isfinite(side).all() and (side > 0).all() for side in times):
        return Ratio(math.nan, math.nan, math.nan, blocks)
    logs = [np.log(side) for side in times]
    middle = float(logs[0].mean() - logs[1].mean())
    if blocks < 2:
        return Ratio(math.exp(middle), math.nan, math.nan, blocks)
    parts = [float(side.var(ddof=1)) / len(side) for side in logs]
    half = welch_half_width(parts, [len(side) for side in logs])
    return Ratio(math.exp(middle), math.exp(middle - half), math.exp(middle + half), blocks)


def welch_half_width(parts: Sequence[float], counts: Sequence[int], confidence: float = CONFIDENCE) -> float:
    """t(nu) * e of `welch_ratio`, from both sides' squared standard errors and numbers of samples."""
    error = sum(parts)
    if error == 0:
        return 0.0
    shares = [part / error for part in parts]  # of 1, since the square of a tiny variance would underflow
    freedom = 1 / sum(share**2 / (count - 1) for share, count in zip(shares, counts, strict=True))
    return t_quantile(freedom, confidence) * math.sqrt(error)
