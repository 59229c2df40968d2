"""After how many iterations a contender has repaid what its start costs more than the baseline's (pure)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.cases.case import CaseKey
from bench.tables.by_case import of_cases
from bench.verdict.evidence import Evidence
from bench.verdict.intervals import CONFIDENCE, t_quantile
from bench.verdict.speedup import Speedup

START_COLUMNS = ("import_seconds", "transfer_seconds", "first_iteration_seconds", "latency_median_us")


@dataclass(frozen=True, slots=True)
class Iterations:
    """A number of iterations with its confidence interval; inf: never, NaN: unknown, as both ends are of one block."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class BreakEven:
    """When `contender` overtakes `baseline_case`; seconds are what its start takes longer, means over blocks.

    `warm` counts the transfer of the data and the first call, `cold` the import of its library too: a whole
    `python`. `saved_us` is what it saves in an iteration, negative where it is the slower one.
    """

    baseline: str
    baseline_case: CaseKey
    contender: CaseKey
    blocks: int
    saved_us: float
    start_seconds: float
    import_seconds: float
    warm: Iterations
    cold: Iterations


def break_even(evidence: Evidence, speedup: Speedup) -> BreakEven | None:
    """From the start-up times of both sides, paired by block; None where no block has them all.

    The start of a side is its transfer and its first call less one usual iteration; n satisfies
    start_c + n * latency_c = start_b + n * latency_b.
    """
    before, after = (_starts(evidence.rows, case) for case in (speedup.baseline_case, speedup.contender))
    pairs = before.merge(after, on="block", suffixes=("_b", "_c"))
    if pairs.empty:
        return None
    saved = (pairs["latency_median_us_b"] - pairs["latency_median_us_c"]).tolist()
    imported = (pairs["import_seconds_c"] - pairs["import_seconds_b"]).tolist()
    start = (_start_seconds(pairs, "c") - _start_seconds(pairs, "b")).tolist()
    cold = [one + other for one, other in zip(start, imported, strict=True)]
    return BreakEven(
        baseline=speedup.baseline,
        baseline_case=speedup.baseline_case,
        contender=speedup.contender,
        blocks=len(pairs),
        saved_us=fmean(saved),
        start_seconds=fmean(start),
        import_seconds=fmean(imported),
        warm=repaid_after(start, saved, evidence.confidence),
        cold=repaid_after(cold, saved, evidence.confidence),
    )


def iterations_to_repay(extra_seconds: float, saved_us: float) -> float:
    """The first number of iterations, from 0 up, whose savings of `saved_us` each make up for `extra_seconds`.

    0 where nothing is to be repaid, inf where nothing is saved, NaN where either is.
    """
    if math.isnan(extra_seconds) or math.isnan(saved_us):
        return math.nan
    if extra_seconds <= 0:
        return 0.0
    return extra_seconds * 1e6 / saved_us if saved_us > 0 else math.inf


def repaid_after(
    extra_seconds: Sequence[float], saved_us: Sequence[float], confidence: float = CONFIDENCE
) -> Iterations:
    """`iterations_to_repay` of the means over blocks, (blocks,) each and paired, with its interval.

    Fieller's theorem (Fieller 1954, "Some problems in interval estimation", J. R. Stat. Soc. B 16): n is in the
    interval unless the mean of extra - n * saved is significantly other than 0 by Student's t of K-1 degrees. The
    lower end is 0 unless the start is significantly dearer, the upper end inf unless an iteration is significantly
    cheaper; a start significantly cheaper has nothing to repay. NaN ends for fewer than two blocks.
    """
    if not extra_seconds:
        return Iterations(math.nan, math.nan, math.nan)
    value = iterations_to_repay(fmean(extra_seconds), fmean(saved_us))
    if len(extra_seconds) < 2 or math.isnan(value):
        return Iterations(value, math.nan, math.nan)
    sides = np.array([extra_seconds, saved_us], float) * [[1e6], [1.0]]
    low, high = _fieller(sides, t_quantile(sides.shape[1] - 1, confidence))
    return Iterations(value, min(low, value), max(high, value))  # equal blocks leave them off by rounding


def _fieller(sides: NDArray[np.float64], t: float) -> tuple[float, float]:
    """Least and most n >= 0 with a n^2 - 2 b n + c <= 0, where 0 is nothing to repay and inf no repayment.

    `sides` are extra and saved, (2, blocks), of one unit. The roots are q / a and c / q, so that neither takes the
    difference of two like numbers.
    """
    extra, saved = sides.mean(axis=1)
    (c, b), (_, a) = np.outer([extra, saved], [extra, saved]) - t**2 / sides.shape[1] * np.cov(sides)
    if extra < 0 < c:
        return 0.0, 0.0
    q = b + math.copysign(math.sqrt(max(0.0, b * b - a * c)), b)
    if q == 0:
        least, most = math.inf, 0.0
    elif b >= 0:
        least, most = c / q, q / a if a else math.inf
    else:
        least, most = q / a if a < 0 else math.inf, c / q
    dearer, cheaper = extra > 0 and c > 0, saved > 0 and a > 0
    return float(least if dearer else 0.0), float(most if cheaper else math.inf)


def _start_seconds(pairs: pd.DataFrame, side: str) -> pd.Series:
    once = pairs[f"transfer_seconds_{side}"] + pairs[f"first_iteration_seconds_{side}"]
    return once - pairs[f"latency_median_us_{side}"] / 1e6


def _starts(rows: pd.DataFrame, case: CaseKey) -> pd.DataFrame:
    return rows[of_cases(rows, [case])][["block", *START_COLUMNS]].dropna()
