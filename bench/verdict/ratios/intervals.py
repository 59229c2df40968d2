"""Ratios and their intervals, by Student's t over pairs and by Welch's over two series (pure)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Times = Sequence[float] | NDArray[np.float64]
CONFIDENCE = 0.95
MOST_LOG = 700.0  # more no float holds: of two blocks that differ without measure


def confidence_of(machine: Mapping[str, Any]) -> float:
    """The confidence of every interval of a run: 95%, or with `--decide` corrected for looking several times.

    So that all looks together err as often as one.
    """
    return corrected(len(looks_of(machine)))


def looks_of(machine: Mapping[str, Any]) -> Sequence[float]:
    """After how many blocks a run's intervals are judged: once, or with `--decide` again; inf where nobody says."""
    return (machine.get("plan") or {}).get("looks") or (math.inf,)


def corrected(many: int, confidence: float = CONFIDENCE) -> float:
    """Of each of so many intervals, so that all of them together hold with `confidence` (Bonferroni)."""
    return 1 - (1 - confidence) / many


def t_quantile(freedom: float, confidence: float = CONFIDENCE) -> float:
    """Two-sided quantile of Student's t with `freedom` degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + confidence / 2))


@dataclass(frozen=True, slots=True)
class Ratio:
    """exp of the mean of ln(baseline / contender) over `blocks` pairs, with its 95% interval.

    Where there are fewer than two pairs, `low` and `high` are NaN: one block has no spread. `own` and `shared` are the
    squared errors that the interval at `confidence` is made of: of this pair alone, and of a drift that all pairs of
    the same blocks share; NaN where they are not known.
    """

    value: float
    low: float
    high: float
    blocks: int
    own: float = math.nan
    shared: float = 0.0
    confidence: float = CONFIDENCE


def paired_ratio(
    baseline: Times, contender: Times, confidence: float = CONFIDENCE, *, drift: Times | None = None
) -> Ratio:
    """The ratio of two series of times paired by block, (blocks,) each, any unit.

    d_i = ln(baseline_i / contender_i); estimate exp(mean d), interval exp(mean d ± t s_d / sqrt K), where t is
    Student's quantile with K-1 degrees of freedom (two-sided, `confidence`). Where the two sides do not share what
    drifts from block to block, `drift` is that in logarithms, (blocks,), NaN where it is not known: then what it
    explains of d counts as a drift (see `of_drift`), the rest as above, and of a drift that nobody read, all of d.
    Both squared errors add up, their freedoms by Welch and Satterthwaite. A time that is not finite or not above 0
    makes everything NaN.
    """
    times = np.asarray([baseline, contender], dtype=float)
    blocks = times.shape[1] if times.size else 0
    if blocks == 0 or not (np.isfinite(times).all() and (times > 0).all()):
        return Ratio(math.nan, math.nan, math.nan, blocks)
    logs = np.log(times[0]) - np.log(times[1])
    mean = float(logs.mean())
    if blocks < 2:
        return Ratio(math.exp(mean), math.nan, math.nan, blocks)
    seen = np.zeros(blocks) if drift is None else np.asarray(drift, dtype=float)
    seen = seen if np.isfinite(seen).all() else logs
    inflation, freedom = of_drift(blocks, read=seen is not logs)
    own, shared = float((logs - seen).var(ddof=1)) / blocks, float(seen.var(ddof=1)) * inflation
    half = half_width((own, shared), (blocks - 1, freedom), confidence)
    low, high = math.exp(mean - half), math.exp(min(mean + half, MOST_LOG))
    return Ratio(math.exp(mean), low, high, blocks, own, shared, confidence)


def time_ratio(us: Times, unit_us: float = 1.0, confidence: float = CONFIDENCE, drift: Times | None = None) -> Ratio:
    """Times of blocks over a unit, as a ratio to what does not drift; of a drift that nobody read all of it counts."""
    unread = np.full(len(us), np.nan)
    return paired_ratio(us, np.full(len(us), unit_us), confidence, drift=unread if drift is None else drift)


LAG_1 = 0.67  # autocorrelation of the core's speed from block to block, as seen on two shared cores
MORE = 0.75  # that is allowed for where the drift was read: there it widens no interval of a steady machine


@lru_cache
def of_drift(blocks: int, *, read: bool = True) -> tuple[float, float]:
    """The squared error of the mean of drifting blocks, as a multiple of their variance s^2, and its freedom.

    The drift is taken as a first-order autoregression with correlations R_ij = lag^|i-j|. Of it a run sees a short
    stretch, whose variance is too small and whose mean moves more than s^2 / K: with the centring matrix M = I - 1/K,
    E s^2 = sigma^2 tr(MR) / (K - 1) and var mean = sigma^2 1'R1 / K^2; the freedom is that of the chi-square with the
    mean and variance of s^2, tr(MR)^2 / tr(MRMR) (Satterthwaite 1946). The lag is not estimated: ten blocks show it to
    +- 0.3, and intervals that trusted what they showed were wrong on one side in 4.5 to 6.8% instead of 2.5%.
    It is MORE where the drift was `read`, else LAG_1: then all of the spread counts as drift, and blocks that do not
    drift get an interval 2.3 (K = 2) to 2.8 times (K = 5) as wide as Student's.
    """
    away = np.abs(np.subtract.outer(np.arange(blocks), np.arange(blocks)))
    correlated = (MORE if read else LAG_1) ** away
    centred = correlated - correlated.mean(axis=0)
    seen = float(np.trace(centred))
    return float(correlated.mean()) * (blocks - 1) / seen, seen**2 / float(np.trace(centred @ centred))


def welch_ratio(a: Times, b: Times) -> Ratio:
    """The ratio of two independent series of times, one a process, any unit; `blocks` is the shorter one's length.

    With u = ln a, v = ln b: estimate exp(mean u - mean v), interval exp(mean u - mean v ± t(nu, 0.975) * e),
    e^2 = s_u^2/n_u + s_v^2/n_v, nu = e^4 / ((s_u^2/n_u)^2/(n_u-1) + (s_v^2/n_v)^2/(n_v-1)) (Welch 1947).

    Blocks of two folders were not run side by side, so that pairing them would take a drift of the machine
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
    half = half_width(parts, [len(side) - 1 for side in logs])
    return Ratio(math.exp(middle), math.exp(middle - half), math.exp(min(middle + half, MOST_LOG)), blocks)


def welch_p(a: Times, b: Times) -> float:
    """Two-sided p of Welch's t-test over logarithms that two series of times have one mean; NaN as `welch_ratio`'s."""
    less, more = welch_less(a, b), welch_less(b, a)
    return min(1.0, 2 * min(less, more)) if less >= 0 else math.nan


def welch_less(a: Times, b: Times, ratio: float = 1.0) -> float:
    """One-sided p of Welch's t-test over logarithms that a over b is not below `ratio`; NaN as `welch_ratio`'s."""
    from scipy.special import stdtr

    sides = [np.log(np.asarray(side, dtype=float)) for side in (a, b)]
    if min(map(len, sides)) < 2 or not all(np.isfinite(side).all() for side in sides):
        return math.nan
    parts = [float(side.var(ddof=1)) / len(side) for side in sides]
    difference = float(sides[0].mean() - sides[1].mean()) - math.log(ratio)
    if sum(parts) == 0:  # no spread at all: below or not
        return float(difference >= 0)
    freedom = welch_freedom(parts, [len(side) - 1 for side in sides])
    return float(stdtr(freedom, difference / math.sqrt(sum(parts))))


def welch_freedom(parts: Sequence[float], freedoms: Sequence[float]) -> float:
    """nu of `welch_ratio`, from squared standard errors that add up and the degrees of freedom of each."""
    shares = [part / sum(parts) for part in parts]  # of 1, since the square of a tiny variance would underflow
    return 1 / sum(share**2 / freedom for share, freedom in zip(shares, freedoms, strict=True))


def half_width(parts: Sequence[float], freedoms: Sequence[float], confidence: float = CONFIDENCE) -> float:
    """t(nu) * e of `welch_ratio`, from squared standard errors that add up and the degrees of freedom of each."""
    return float(half_widths(np.array(parts)[:, None], np.array(freedoms)[:, None], confidence)[0])


def half_widths(
    parts: NDArray[np.float64], freedoms: NDArray[np.float64], confidence: float = CONFIDENCE
) -> NDArray[np.float64]:
    """`half_width` of many at once: (parts, many) each; 0 where there is no error at all."""
    from scipy.special import stdtrit

    error = parts.sum(axis=0)
    shares = np.divide(parts, error, out=np.ones_like(parts), where=error > 0)
    return np.asarray(stdtrit(1 / (shares**2 / freedoms).sum(axis=0), 0.5 + confidence / 2) * np.sqrt(error))
