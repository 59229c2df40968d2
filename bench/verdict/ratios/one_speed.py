"""Times as if every one-thread case of a block had run at one speed of the core (pure)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bench.cases.case import CASE_COLUMNS
from bench.verdict.ratios.intervals import t_quantile

if TYPE_CHECKING:
    from pandas.core.groupby import SeriesGroupBy

# a time by what takes its place: the same samples, each over the reference product timed around it
PER_REFERENCE = {"latency_median_us": "latency_per_reference", "throughput_us": "throughput_per_reference"}
REFERENCE, OWN_EFFECT, BLOCK_SPEED = "reference_us", "own_effect", "block_speed"
SURE = 0.999  # of older tables: that a case's own work slows the core, before its times are left as they are


def at_one_speed(rows: pd.DataFrame, case_columns: Sequence[str] = CASE_COLUMNS) -> pd.DataFrame:
    """`rows` with the times in PER_REFERENCE brought to the mean speed that the core had in their block.

    A time becomes (time / reference around it) * r, where r is the geometric mean over the block of the reference
    product's time (us). In the ratio of two such times of a block r cancels: what is left is how the two cases compare
    at equal speed. The reference is read after neutral work, so that what a case does to its own core stays in its
    time as its price. The order within a block is random, so the correction is 0 on average and moves no estimate; it
    takes away what the core's clock added to the spread.

    Left as they are: rows without a reference (several threads, accelerators, older tables). Tables from before the
    reading after neutral work (no own effect recorded) hold a case's own effect in its reference: there a case whose
    reference differs from the others' of its blocks by more than chance (t-test at SURE) is left as it is, and stands
    in no block's mean. Corrected rows have no reference any more, so that correcting twice changes nothing.

    `block_speed` is ln of the block's mean reference, in every row of the block: what the core's clock did from block
    to block, which two cases on one CPU share and an accelerator does not.
    """
    if REFERENCE not in rows or not rows[REFERENCE].gt(0).any():
        return rows
    read_us = rows[REFERENCE].where(rows[REFERENCE] > 0)
    log = pd.Series(np.log(read_us.to_numpy(float)), index=rows.index)
    if OWN_EFFECT not in rows or rows[OWN_EFFECT].isna().all():
        away = log - log.groupby(rows["block"]).transform("mean")
        log = log.mask(_differs(away.groupby([rows[name] for name in case_columns])))
    block_mean = log.groupby(rows["block"]).transform("mean")
    usual_us = np.exp(block_mean).where(log.notna())  # NaN: this time stays as it was taken
    found = rows.copy()
    for time, per in PER_REFERENCE.items():
        if time in rows:
            found[time] = (rows[per].fillna(rows[time] / read_us) * usual_us).fillna(rows[time])
    found[BLOCK_SPEED] = rows["block"].map(block_mean.groupby(rows["block"]).first())
    found[REFERENCE] = math.nan
    return found


def speed_words(rows: pd.DataFrame) -> str:
    """How far the core's speed moved while these rows were measured; empty where nobody read it."""
    known = rows[REFERENCE][rows[REFERENCE] > 0] if REFERENCE in rows else pd.Series(dtype=float)
    if known.empty:
        return ""
    least, most = float(known.min()), float(known.max())
    moved = f"; it moved by {most / least - 1:.1%} over the run (reference product {least:.1f} to {most:.1f} us)"
    return (
        f"one-thread CPU times are brought to the core's mean speed in their block{moved if most > least else ''}; "
        "measurements.csv has them as timed"
    )


def _differs(away: SeriesGroupBy[float, Any]) -> pd.Series:
    """Of each row: is the mean of its case's logarithms different from 0, by Student's t?"""
    count, mean, deviation = (away.transform(name) for name in ("count", "mean", "std"))
    sure = count.map({n: t_quantile(n - 1, SURE) for n in count.unique() if n > 1})
    least = sure * deviation / np.sqrt(count)  # NaN of one block alone, which differs from nothing
    return pd.Series(mean.abs() > least + 1e-12)
