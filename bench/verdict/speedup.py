"""Paired ratios and their intervals, against baselines that have names (pure)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pandas as pd

from bench.cases.case import CASE_COLUMNS, SIZE_COLUMNS
from bench.cases.problem import TUTORIAL_ITERATIONS
from bench.verdict.intervals import CONFIDENCE, Ratio, paired_ratio
from bench.verdict.one_speed import at_one_speed

SCOPES = {
    "iteration": "latency_median_us",
    "throughput": "throughput_us",
    "loop": "loop_seconds",
    "program": "program_seconds",
}
# Who a speedup is against, by the name that `--baseline` takes.
BASELINES = {
    "tutorial": "numpy_manual in float64 on the most threads measured, as the tutorial writes it",
    "tutorial-1": "numpy_manual in float64 on one thread",
    "numpy-1": "the fastest numpy in float32 on one thread",
    "numpy-all": "the fastest numpy in float32 on the most threads measured",
    "best-cpu": "the fastest correct float32 of any style and thread count on the CPU",
    "own": "the same style and dtype on one CPU thread",
}


@dataclass(frozen=True, slots=True)
class Speedup:
    """How much faster a contender is than a baseline in a scope, times in us an iteration (medians over blocks)."""

    contender: tuple[str | int, ...]  # values of CASE_COLUMNS
    baseline: str
    baseline_case: tuple[str | int, ...]
    scope: str
    ratio: Ratio
    baseline_us: float
    contender_us: float
    noisy: bool
    environment: str

    def row(self) -> dict[str, Any]:
        """One row of speedups.csv."""
        style, device, dtype, precision, threads = self.baseline_case[:5]
        return {
            **dict(zip(CASE_COLUMNS, self.contender, strict=True)),
            "baseline": self.baseline,
            "baseline_style": style,
            "baseline_device": device,
            "baseline_dtype": dtype,
            "baseline_precision": precision,
            "baseline_threads": threads,
            "scope": self.scope,
            "blocks": self.ratio.blocks,
            "baseline_us": self.baseline_us,
            "contender_us": self.contender_us,
            "speedup": self.ratio.value,
            "low": self.ratio.low,
            "high": self.ratio.high,
            "noisy": self.noisy,
            "environment": self.environment,
        }


def confidence_of(machine: Mapping[str, Any]) -> float:
    """The confidence of every interval of a run: 95%, or with `--decide` corrected for looking several times.

    Bonferroni: 1 - 0.05 / looks, so that all looks together err as often as one.
    """
    looks = (machine.get("plan") or {}).get("looks") or [0]
    return 1 - (1 - CONFIDENCE) / len(looks)


def straddling(found: Iterable[Speedup], threshold: float) -> set[tuple[str | int, ...]]:
    """The cases, contenders and their baselines, whose interval of the scope `iteration` holds `threshold`."""
    undecided: set[tuple[str | int, ...]] = set()
    for one in found:
        if one.scope == "iteration" and one.ratio.low < threshold <= one.ratio.high:
            undecided |= {one.contender, one.baseline_case}
    return undecided


def speedups(
    measurements: pd.DataFrame,
    confidence: float = CONFIDENCE,
    of: Callable[[tuple[str | int, ...]], bool] = lambda _case: True,
) -> list[Speedup]:
    """Every case (that `of` picks) against every baseline of its size, in every scope that was measured.

    Only `ok` rows count, and none of a case that was wrong in any block. The named baselines train by plain
    SGD and so meet only styles that do; Adam and the dynamic net train another way and meet only themselves
    on one CPU thread.
    """
    found: list[Speedup] = []
    for _size, same in trusted(measurements).groupby(list(SIZE_COLUMNS), sort=False):
        named = list(named_baselines(same))
        for case, contender in same.groupby(list(CASE_COLUMNS), sort=False):
            key = cast(tuple[str | int, ...], case)
            if not of(key):
                continue
            baselines = named if contender["oracle"].iloc[0] == "sgd" else []
            for name, baseline in [*baselines, *own_baseline(same, contender)]:
                found += _against(name, baseline, key, contender, confidence)
    return found


def trusted(measurements: pd.DataFrame) -> pd.DataFrame:
    """The `ok` rows of the cases that were never `wrong`, their times at one speed of the core in each block.

    A style caught once has no other number that counts.
    """
    keys = pd.MultiIndex.from_frame(measurements[list(CASE_COLUMNS)])
    wrong = keys[measurements["status"] == "wrong"]
    return at_one_speed(measurements[(measurements["status"] == "ok") & ~keys.isin(wrong)])


def _against(
    name: str, baseline: pd.DataFrame, key: tuple[str | int, ...], contender: pd.DataFrame, confidence: float
) -> Iterator[Speedup]:
    baseline_key = tuple(baseline.iloc[0][list(CASE_COLUMNS)])
    if baseline_key == key:
        return
    pairs = baseline.merge(contender, on="block", suffixes=("_b", "_c"))
    for scope, column in SCOPES.items():
        both = pairs[pairs[f"{column}_b"].notna() & pairs[f"{column}_c"].notna()]
        if both.empty:
            continue
        chosen, noisy = quiet_pairs(both)
        unit = 1.0 if column.endswith("_us") else 1e6 / TUTORIAL_ITERATIONS
        before, after = chosen[f"{column}_b"], chosen[f"{column}_c"]
        yield Speedup(
            contender=key,
            baseline=name,
            baseline_case=baseline_key,
            scope=scope,
            ratio=paired_ratio(before.tolist(), after.tolist(), confidence),
            baseline_us=float(before.median()) * unit,
            contender_us=float(after.median()) * unit,
            noisy=noisy,
            environment=str(contender["environment"].iloc[0]),
        )


def quiet_pairs(pairs: pd.DataFrame) -> tuple[pd.DataFrame, bool]:
    """The pairs where neither side was noisy, if at least half of them and three are; else all, and True."""
    quiet = pairs[~(pairs["noisy_b"].astype(bool) | pairs["noisy_c"].astype(bool))]
    enough = max(3, math.ceil(len(pairs) / 2))
    return (quiet, False) if len(quiet) >= min(enough, len(pairs)) else (pairs, True)


def named_baselines(same_size: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The baselines of BASELINES that were measured at one size, except `own`: (name, rows)."""
    on_cpu = same_size[(same_size["device"] == "cpu") & (same_size["oracle"] == "sgd")]
    if on_cpu.empty:
        return
    most = on_cpu["threads"].max()
    as_written = on_cpu[(on_cpu["style"] == "numpy_manual") & (on_cpu["dtype"] == "float64")]
    single = on_cpu[on_cpu["dtype"] == "float32"]
    in_numpy = single[single["framework"] == "numpy"]
    candidates = [
        ("tutorial", as_written[as_written["threads"] == most]),
        ("tutorial-1", as_written[as_written["threads"] == 1]),
        ("numpy-1", fastest(in_numpy[in_numpy["threads"] == 1])),
        ("numpy-all", fastest(in_numpy[in_numpy["threads"] == most])),
        ("best-cpu", fastest(single)),
    ]
    alike = ("tutorial", "numpy-all") if most == 1 else ()  # only one thread was measured
    yield from ((name, rows) for name, rows in candidates if len(rows) and name not in alike)


def own_baseline(same_size: pd.DataFrame, contender: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The contender's own style and dtype on one CPU thread: what the device or the threads alone bring."""
    one = contender.iloc[0]
    rows = same_size[
        (same_size["style"] == one["style"])
        & (same_size["dtype"] == one["dtype"])
        & (same_size["device"] == "cpu")
        & (same_size["threads"] == 1)
    ]
    if len(rows):
        yield "own", rows


def fastest(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the case with the least median latency over its blocks; empty of none.

    Only cases with at least half as many blocks as the one that has most: one lucky block is no baseline.
    """
    if rows.empty:
        return rows
    latencies = rows.groupby(list(CASE_COLUMNS), sort=True)["latency_median_us"]
    blocks = latencies.count()
    best = latencies.median()[blocks >= blocks.max() / 2].idxmin()
    keys = pd.MultiIndex.from_frame(rows[list(CASE_COLUMNS)])
    return rows[keys == best]


PREFERRED = ("tutorial", "tutorial-1", "numpy-1", "best-cpu")
PRIMARY = "best-cpu"


def chosen_baselines(found: Sequence[Speedup]) -> tuple[str, ...]:
    """Two baselines to show: the tutorial's own as far as it was measured, and the best CPU."""
    there = {one.baseline for one in found}
    first = next((name for name in PREFERRED if name in there), None)
    return tuple(dict.fromkeys(name for name in (first, PRIMARY) if name in there))
