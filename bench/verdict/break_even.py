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
from bench.cases.problem import TUTORIAL_ITERATIONS
from bench.tables.by_case import case_of, of_cases
from bench.verdict.evidence import Evidence
from bench.verdict.ratios.intervals import CONFIDENCE, of_drift, t_quantile
from bench.verdict.ratios.one_speed import BLOCK_SPEED
from bench.verdict.ratios.speedup import Speedup

LATENCY, PROGRAM = "latency_median_us", "program_seconds"
START_COLUMNS = ("import_seconds", "transfer_seconds", "first_iteration_seconds", LATENCY)


@dataclass(frozen=True, slots=True)
class Start:
    """A case from cold, a value a block: the seconds that are no iterations, and the us of an iteration.

    `whole`: the seconds are those of a whole `python` of 500 iterations less 500 usual ones. Else no program was
    run, and they are import, transfer and first call less one usual iteration: without python's own start and end.
    """

    case: CaseKey
    whole: bool
    seconds: tuple[float, ...]
    latency_us: tuple[float, ...]

    def total(self, iterations: float) -> float:
        """Seconds from a cold start to the end of so many iterations, the mean over blocks."""
        return fmean(self.totals(iterations))

    def totals(self, iterations: float) -> list[float]:
        """The same in each block."""
        return [start + iterations * us / 1e6 for start, us in zip(self.seconds, self.latency_us, strict=True)]


@dataclass(frozen=True, slots=True)
class Iterations:
    """A number of iterations with its confidence interval; inf: never, NaN: unknown, as both ends are of one block."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class BreakEven:
    """When `contender` overtakes `baseline_case`; seconds are what its start takes longer, means over blocks.

    `warm` counts the transfer of the data and the first call, `cold` a whole `python`: `whole` tells whether both
    sides were run as one, else it is their imports that are added. `saved_us` is what the contender saves in an
    iteration, negative where it is the slower one.
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
    whole: bool


def break_even(evidence: Evidence, speedup: Speedup) -> BreakEven | None:
    """When the contender of a speedup has repaid its start; None where no block has the start-up times of both."""
    rows = evidence.rows
    before, after = (rows[of_cases(rows, [case])] for case in (speedup.baseline_case, speedup.contender))
    return between(before, after, speedup.baseline, evidence.confidence)


def between(
    before: pd.DataFrame, after: pd.DataFrame, baseline: str = "", confidence: float = CONFIDENCE
) -> BreakEven | None:
    """From the start-up times of two cases, their rows paired by block; None where no block has them all.

    The warm start of a side is its transfer and its first call less one usual iteration, the cold one is `Start`'s:
    taken alike on both sides, from whole programs where blocks have those of both. n satisfies
    start_c + n * latency_c = start_b + n * latency_b.
    """
    pairs = _timed(before).merge(_timed(after), on="block", suffixes=("_b", "_c"))
    if pairs.empty:
        return None
    run = pairs[f"{PROGRAM}_b"].notna() & pairs[f"{PROGRAM}_c"].notna()
    whole = bool(run.any())
    alike = pairs[run] if whole else pairs
    once = [_first_seconds(pairs, f"_{side}") for side in "cb"]
    cold = [_cold_seconds(alike, f"_{side}", whole=whole) for side in "cb"]
    start = (once[0] - once[1]).tolist()
    on_cpu = case_of(before).on_cpu, case_of(after).on_cpu
    return BreakEven(
        baseline=baseline,
        baseline_case=case_of(before),
        contender=case_of(after),
        blocks=len(pairs),
        saved_us=fmean(_saved_us(pairs)),
        start_seconds=fmean(start),
        import_seconds=float((pairs["import_seconds_c"] - pairs["import_seconds_b"]).mean()),
        warm=repaid_after(start, _saved_us(pairs), confidence, _drift(pairs, on_cpu)),
        cold=repaid_after((cold[0] - cold[1]).tolist(), _saved_us(alike), confidence, _drift(alike, on_cpu)),
        whole=whole,
    )


def start_of(rows: pd.DataFrame) -> Start | None:
    """How one case starts, from its rows; None where that was not timed."""
    timed = _timed(rows)
    if timed.empty:
        return None
    run = timed[timed[PROGRAM].notna()]
    whole = len(run) > 0
    timed = run if whole else timed
    seconds = _cold_seconds(timed, whole=whole)
    return Start(case_of(rows), whole, tuple(seconds.tolist()), tuple(timed[LATENCY].tolist()))


def iterations_to_repay(extra_seconds: float, saved_us: float) -> float:
    """The first number of iterations, from 0 up, whose savings of `saved_us` each make up for `extra_seconds`.

    0 where nothing is to be repaid, inf where nothing is saved, NaN where either is.
    """
    if math.isnan(extra_seconds) or math.isnan(saved_us):
        return math.nan
    if extra_seconds <= 0:
        return 0.0
    return extra_seconds * 1e6 / saved_us if saved_us > 0 else math.inf


@dataclass(frozen=True, slots=True)
class Drift:
    """How slow the CPU was in each block, where only one side runs on it: logarithms (blocks,), NaN where not read.

    `saved_us` is what an iteration saves the more where the CPU is slower by a factor of e.
    """

    slowness: NDArray[np.float64]
    saved_us: float


def repaid_after(
    extra_seconds: Sequence[float],
    saved_us: Sequence[float],
    confidence: float = CONFIDENCE,
    drift: Drift | None = None,
) -> Iterations:
    """`iterations_to_repay` of the means over blocks, (blocks,) each and paired, with its interval.

    Fieller's theorem (Fieller 1954, "Some problems in interval estimation", J. R. Stat. Soc. B 16): n is in the
    interval unless the mean of extra - n * saved is significantly other than 0 by Student's t of K-1 degrees. The
    lower end is 0 unless the start is significantly dearer, the upper end inf unless an iteration is significantly
    cheaper; a start significantly cheaper has nothing to repay. NaN ends for fewer than two blocks.

    Of a CPU against an accelerator `drift` counts as in `paired_ratio`: what the core's speed explains of the start
    (which the CPU does on both sides) and of what is saved has the error of a drift, or all where nobody read it.
    """
    if not extra_seconds:
        return Iterations(math.nan, math.nan, math.nan)
    value = iterations_to_repay(fmean(extra_seconds), fmean(saved_us))
    if len(extra_seconds) < 2 or math.isnan(value):
        return Iterations(value, math.nan, math.nan)
    sides = np.array([extra_seconds, saved_us], float) * [[1e6], [1.0]]
    low, high = _fieller(sides, *_errors(sides, drift, confidence))
    return Iterations(value, min(low, value), max(high, value))  # equal blocks leave them off by rounding


def _errors(sides: NDArray[np.float64], drift: Drift | None, confidence: float) -> tuple[NDArray[np.float64], float]:
    """The covariance of the means of both `sides`, (2, blocks), and Student's quantile, of the fewest freedoms."""
    blocks = sides.shape[1]
    if drift is None:
        return np.cov(sides) / blocks, t_quantile(blocks - 1, confidence)
    read = bool(np.isfinite(drift.slowness).all())
    seen = np.outer([sides[0].mean(), drift.saved_us], drift.slowness) if read else sides
    inflation, freedom = of_drift(blocks, read=read)
    return np.cov(sides - seen) / blocks + np.cov(seen) * inflation, t_quantile(min(blocks - 1, freedom), confidence)


def _fieller(sides: NDArray[np.float64], covariance: NDArray[np.float64], t: float) -> tuple[float, float]:
    """Least and most n >= 0 with a n^2 - 2 b n + c <= 0, where 0 is nothing to repay and inf no repayment.

    `sides` are extra and saved, (2, blocks), of one unit, `covariance` that of their means. The roots are q / a and
    c / q, so that neither takes the difference of two like numbers.
    """
    extra, saved = sides.mean(axis=1)
    (c, b), (_, a) = np.outer([extra, saved], [extra, saved]) - t**2 * covariance
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


def _timed(rows: pd.DataFrame) -> pd.DataFrame:
    read = rows if BLOCK_SPEED in rows else rows.assign(**{BLOCK_SPEED: math.nan})
    return read[["block", *START_COLUMNS, PROGRAM, BLOCK_SPEED]].dropna(subset=list(START_COLUMNS))


def _drift(pairs: pd.DataFrame, on_cpu: tuple[bool, bool]) -> Drift | None:
    """Of `pairs` of a baseline and a contender; None where what drifts is common to both, or to neither."""
    if on_cpu[0] == on_cpu[1]:
        return None
    side, sign = ("b", 1.0) if on_cpu[0] else ("c", -1.0)
    return Drift(pairs[f"{BLOCK_SPEED}_{side}"].to_numpy(float), sign * float(pairs[f"{LATENCY}_{side}"].mean()))


def _first_seconds(rows: pd.DataFrame, side: str = "") -> pd.Series:
    """Transfer and first call, less one usual iteration."""
    return rows[f"transfer_seconds{side}"] + rows[f"first_iteration_seconds{side}"] - rows[f"{LATENCY}{side}"] / 1e6


def _cold_seconds(rows: pd.DataFrame, side: str = "", *, whole: bool) -> pd.Series:
    if whole:
        return rows[f"{PROGRAM}{side}"] - TUTORIAL_ITERATIONS / 1e6 * rows[f"{LATENCY}{side}"]
    return rows[f"import_seconds{side}"] + _first_seconds(rows, side)


def _saved_us(pairs: pd.DataFrame) -> list[float]:
    return [float(us) for us in pairs[f"{LATENCY}_b"] - pairs[f"{LATENCY}_c"]]
