"""Ratios and their intervals, by Student's t over pairs and by Welch's over two series (pure)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Times = Sequence[float] | NDArray[np.float64]
CONFIDENCE = 0.95


def confidence_of(machine: Mapping[str, Any]) -> float:
    """The confidence of every interval of a run: 95%, or with `--decide` corrected for looking several times.

    Bonferroni: 1 - 0.05 / looks, so that all looks together err as often as one.
    """
    looks = (machine.get("plan") or {}).get("looks") or [None]
    return 1 - (1 - CONFIDENCE) / len(looks)


def t_quantile(freedom: float, confidence: float = CONFIDENCE) -> float:
    """Two-sided quantile of Student's t with `freedom` degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + confidence / 2))


@dataclass(frozen=True, slots=True)
class Ratio:
    """exp of the mean of ln(baseline / contender) over `blocks` pairs, with its 95% interval.

    Where there are fewer than two pairs, `low` and `high` are NaN: one block has no spread.
    """

    value: float
    low: float
    high: float
    blocks: int


def paired_ratio(
    baseline: Times, contender: Times, confidence: float = CONFIDENCE, *, drift: Times | None = None
) -> Ratio:
    """The ratio of two series of times paired by block, (blocks,) each, any unit.

    d_i = ln(baseline_i / contender_i); estimate exp(mean d), interval exp(mean d ± t s_d / sqrt K), where t is
    Student's quantile with K-1 degrees of freedom (two-sided, `confidence`). Where the two sides do not share what
    drifts from block to block, `drift` is that in logarithms, (blocks,), NaN where it is not known: see `drifting`.
    A time that is not finite or not above 0 makes everything NaN.
    """
    times = np.asarray([baseline, contender], dtype=float)
    blocks = times.shape[1] if times.size else 0
    if blocks == 0 or not (np.isfinite(times).all() and (times > 0).all()):
        return Ratio(math.nan, math.nan, math.nan, blocks)
    logs = np.log(times[0]) - np.log(times[1])
    mean = float(logs.mean())
    if blocks < 2:
        return Ratio(math.exp(mean), math.nan, math.nan, blocks)
    error, freedom = (float(logs.var(ddof=1)) / blocks, blocks - 1.0) if drift is None else drifting(logs, drift)
    half = t_quantile(freedom, confidence) * math.sqrt(error)
    return Ratio(math.exp(mean), math.exp(mean - half), math.exp(mean + half), blocks)


LAG_1 = 0.67  # autocorrelation of the core's speed from block to block, as seen on two shared cores


def drifting(logs: NDArray[np.float64], drift: Times) -> tuple[float, float]:
    """The squared error of the mean of `logs` (blocks,), in which `drift` does not cancel, and its degrees of freedom.

    What the drift does not explain is independent from block to block, as ever. Of the drift itself a run sees a short
    stretch: as a first-order autoregression with LAG_1 its mean has f = (K + 2 sum_j (K - j) LAG_1^j) / K^2 of the
    drift's variance, of which the variance among K blocks shows only (1 - f) K / (K - 1). Both errors add up, their
    freedoms by Welch and Satterthwaite, the drift's being (K - 1) (1 - LAG_1^2) / (1 + LAG_1^2) (Bayley and Hammersley
    1946). Where nobody read the drift, the blocks are worth fewer by the autocorrelation that they show.
    """
    blocks, seen = len(logs), np.asarray(drift, dtype=float)
    if not np.isfinite(seen).all():
        worth, variance = effective_blocks(logs)
        return variance / worth, max(worth - 1, 1.0)
    gaps = np.arange(1, blocks)
    f = (blocks + 2 * float(((blocks - gaps) * LAG_1**gaps).sum())) / blocks**2
    rest = float((logs - seen).var(ddof=1)) / blocks
    drifted = float(seen.var(ddof=1)) * f / ((1 - f) * blocks / (blocks - 1))
    if rest + drifted == 0:
        return 0.0, blocks - 1.0
    freedom = max((blocks - 1) * (1 - LAG_1**2) / (1 + LAG_1**2), 1.0)
    return rest + drifted, (rest + drifted) ** 2 / (rest**2 / (blocks - 1) + drifted**2 / freedom)


def effective_blocks(logs: NDArray[np.float64]) -> tuple[float, float]:
    """How many independent blocks a drifting series (blocks,) is worth, and its variance as if they were.

    By its lag-1 autocorrelation r, as of a first-order autoregression: K (1 - r) / (1 + r) (Bayley, Hammersley 1946).
    r is taken as (K r + 1) / (K - 3), since a short series shows too little of it (Kendall 1954; r + 1/K up to four
    blocks), within [0, 0.9]; the variance of K alike values is too small by the same token. Never more than K.
    """
    blocks = len(logs)
    away = logs - logs.mean()
    squares = float((away**2).sum())
    if squares == 0:
        return float(blocks), 0.0
    seen = float((away[1:] * away[:-1]).sum()) / squares
    r = min(max((blocks * seen + 1) / (blocks - 3) if blocks > 4 else seen + 1 / blocks, 0.0), 0.9)
    inflation = (1 + r) / (1 - r)
    small = min(max(1 - (inflation - 1) / (blocks - 1), 0.2), 1.0)
    return max(blocks / inflation, 1.5), squares / (blocks - 1) / small


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


def welch_p(a: Sequence[float], b: Sequence[float]) -> float:
    """Two-sided p of Welch's t-test over logarithms that two series of times have one mean; NaN as `welch_ratio`'s."""
    from scipy.special import stdtr

    sides = [np.log(np.asarray(side, dtype=float)) for side in (a, b)]
    if min(map(len, sides)) < 2 or not all(np.isfinite(side).all() for side in sides):
        return math.nan
    parts = [float(side.var(ddof=1)) / len(side) for side in sides]
    difference = abs(float(sides[0].mean() - sides[1].mean()))
    if sum(parts) == 0:  # no spread at all: different or not
        return float(difference == 0)
    return float(2 * stdtr(welch_freedom(parts, [len(side) for side in sides]), -difference / math.sqrt(sum(parts))))


def welch_freedom(parts: Sequence[float], counts: Sequence[int]) -> float:
    """nu of `welch_ratio`, from both sides' squared standard errors and numbers of samples."""
    shares = [part / sum(parts) for part in parts]  # of 1, since the square of a tiny variance would underflow
    return 1 / sum(share**2 / (count - 1) for share, count in zip(shares, counts, strict=True))


def welch_half_width(parts: Sequence[float], counts: Sequence[int], confidence: float = CONFIDENCE) -> float:
    """t(nu) * e of `welch_ratio`, from both sides' squared standard errors and numbers of samples."""
    error = sum(parts)
    if error == 0:
        return 0.0
    return t_quantile(welch_freedom(parts, counts), confidence) * math.sqrt(error)
