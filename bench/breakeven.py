"""After how many iterations a contender has repaid what its start costs more than the baseline's (pure)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import pandas as pd

from bench.case import CASE_COLUMNS
from bench.evidence import Case, Evidence
from bench.speedup import Speedup

START_COLUMNS = ("import_seconds", "transfer_seconds", "first_iteration_seconds", "latency_median_us")


@dataclass(frozen=True, slots=True)
class Iterations:
    """A number of iterations: median over blocks with their range; inf: never, NaN: unknown."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class BreakEven:
    """When `contender` overtakes `baseline_case`; seconds are what its start takes longer, medians over blocks.

    `warm` counts the transfer of the data and the first call, `cold` the import of its library too: a whole
    `python`. `saved_us` is what it saves in an iteration, negative where it is the slower one.
    """

    baseline: str
    baseline_case: Case
    contender: Case
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
        saved_us=median(saved),
        start_seconds=median(start),
        import_seconds=median(imported),
        warm=_over_blocks(start, saved),
        cold=_over_blocks(cold, saved),
    )


def iterations_to_repay(extra_seconds: float, saved_us: float) -> float:
    """How many iterations that save `saved_us` each repay `extra_seconds`: 0 where nothing is to be repaid."""
    if math.isnan(extra_seconds) or math.isnan(saved_us):
        return math.nan
    if saved_us <= 0:
        return math.inf
    return max(0.0, extra_seconds * 1e6 / saved_us)


def _over_blocks(extra_seconds: Sequence[float], saved_us: Sequence[float]) -> Iterations:
    each = [iterations_to_repay(extra, saved) for extra, saved in zip(extra_seconds, saved_us, strict=True)]
    return Iterations(median(each), min(each), max(each))


def _start_seconds(pairs: pd.DataFrame, side: str) -> pd.Series:
    once = pairs[f"transfer_seconds_{side}"] + pairs[f"first_iteration_seconds_{side}"]
    return once - pairs[f"latency_median_us_{side}"] / 1e6


def _starts(rows: pd.DataFrame, case: Case) -> pd.DataFrame:
    keys = pd.MultiIndex.from_frame(rows[list(CASE_COLUMNS)])
    return rows[keys == case][["block", *START_COLUMNS]].dropna()
