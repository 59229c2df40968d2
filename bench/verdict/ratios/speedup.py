"""Paired ratios and their intervals, against baselines that have names (pure)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.cases.case import CaseKey
from bench.cases.problem import TUTORIAL_ITERATIONS
from bench.tables.by_case import case_of, cases_in, of_cases, sizes_in
from bench.verdict.ratios.intervals import CONFIDENCE, Ratio
from bench.verdict.ratios.one_speed import at_one_speed
from bench.verdict.ratios.pairs import SCOPES, Side

# Who a speedup is against, by the name that `--baseline` takes.
BASELINES = {
    "tutorial": "numpy_manual in float64 on the most threads measured, as the tutorial writes it",
    "tutorial-1": "numpy_manual in float64 on one thread",
    "numpy-1": "the fastest numpy in float32 on one thread",
    "numpy-all": "the fastest numpy in float32 on the most threads measured",
    "best-cpu": "the fastest correct float32 of any style and thread count on the CPU",
    "own": "the same style and dtype on one CPU thread",
}
SHOWN_FIRST = ("tutorial", "tutorial-1", "numpy-1", "best-cpu")
PRIMARY = "best-cpu"


@dataclass(frozen=True, slots=True)
class Speedup:
    """How much faster a contender is than a baseline in a scope.

    Times are geometric means over the paired blocks, us an iteration: their quotient is the ratio.
    """

    contender: CaseKey
    baseline: str
    baseline_case: CaseKey
    scope: str
    ratio: Ratio
    baseline_us: float
    contender_us: float
    noisy: bool
    environment: str

    def row(self) -> dict[str, Any]:
        """One row of speedups.csv."""
        base = self.baseline_case
        return {
            **self.contender._asdict(),
            "baseline": self.baseline,
            "baseline_style": base.style,
            "baseline_device": base.device,
            "baseline_dtype": base.dtype,
            "baseline_precision": base.precision,
            "baseline_threads": base.threads,
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


def mean_us(rows: pd.DataFrame, scope: str = "iteration") -> float:
    """The time of a case, us an iteration: the geometric mean over its blocks; NaN where none was measured.

    This is the one time of a case that is shown anywhere: ratios are means of logarithms over the same blocks, so
    that shown times divide into shown ratios; where one side has more blocks than the other, tables say so. `rows` are
    of one case, at one speed of the core (see `trusted`).
    """
    return _mean_us(rows[SCOPES[scope]].to_numpy(float), scope)


def _mean_us(times: NDArray[np.float64], scope: str) -> float:
    times = times[np.isfinite(times) & (times > 0)]
    unit = 1.0 if SCOPES[scope].endswith("_us") else 1e6 / TUTORIAL_ITERATIONS
    if not len(times):
        return math.nan
    return float(times[0] * np.exp(np.log(times / times[0]).mean())) * unit  # equal times give just that time


def speedups(measurements: pd.DataFrame, confidence: float = CONFIDENCE, first_look: float = math.inf) -> list[Speedup]:
    """Every case against every baseline of its size, in every scope that was measured; see `named_baselines`.

    Only `ok` rows count, and none of a case that was wrong in any block. The named baselines train by plain
    SGD and so meet only styles that do; Adam and the dynamic net train another way and meet only themselves
    on one CPU thread.
    """
    found: list[Speedup] = []
    for _size, same in sizes_in(trusted(measurements)):
        sides = {case: Side.of(rows) for case, rows in cases_in(same)}
        named = {
            scope: [(name, case_of(rows)) for name, rows in named_baselines(same, scope, first_look)]
            for scope in SCOPES
        }
        for case, scope in product(sides, SCOPES):
            baselines = named[scope] if sides[case].oracle == "sgd" else []
            for name, baseline in [*baselines, *own_baseline(sides, case)]:
                if baseline != case:
                    found += _against(name, scope, (baseline, sides[baseline]), (case, sides[case]), confidence)
    return found


def trusted(measurements: pd.DataFrame) -> pd.DataFrame:
    """The `ok` rows of the cases that were never `wrong`, their times at one speed of the core in each block.

    A style caught once has no other number that counts.
    """
    status = measurements["status"]
    wrong = {case for case, _ in cases_in(measurements[status == "wrong"])}
    return at_one_speed(measurements[(status == "ok") & ~of_cases(measurements, wrong)])


def _against(
    name: str, scope: str, baseline: tuple[CaseKey, Side], contender: tuple[CaseKey, Side], confidence: float
) -> Iterator[Speedup]:
    (baseline_case, slow), (case, fast) = baseline, contender
    pair = slow.paired(fast, scope)
    if pair.blocks:
        yield Speedup(
            contender=case,
            baseline=name,
            baseline_case=baseline_case,
            scope=scope,
            ratio=pair.ratio(confidence, mixed=baseline_case.on_cpu != case.on_cpu),
            baseline_us=_mean_us(pair.times[0], scope),
            contender_us=_mean_us(pair.times[1], scope),
            noisy=not mostly_quiet(pair.noisy),
            environment=fast.environment,
        )


def mostly_quiet(noisy: pd.Series | NDArray[np.bool_]) -> bool:
    """Whether at least half of these passed the noise gates, and three did (or all, where there are fewer).

    A noisy process counts with the spread that it has, which widens the interval; this only decides what is said.
    """
    return int((~noisy).sum()) >= min(max(3, math.ceil(len(noisy) / 2)), len(noisy))


def candidates(same_size: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of every case that could stand behind a name of BASELINES at one size, except `own`."""
    on_cpu = same_size[(same_size["device"] == "cpu") & (same_size["oracle"] == "sgd")]
    if on_cpu.empty:
        return {}
    most = on_cpu["threads"].max()
    as_written = on_cpu[(on_cpu["style"] == "numpy_manual") & (on_cpu["dtype"] == "float64")]
    single = on_cpu[on_cpu["dtype"] == "float32"]
    in_numpy = single[single["framework"] == "numpy"]
    found = {
        "tutorial": as_written[as_written["threads"] == most],
        "tutorial-1": as_written[as_written["threads"] == 1],
        "numpy-1": in_numpy[in_numpy["threads"] == 1],
        "numpy-all": in_numpy[in_numpy["threads"] == most],
        "best-cpu": single,
    }
    alike = ("tutorial", "numpy-all") if most == 1 else ()  # only one thread was measured
    return {name: rows for name, rows in found.items() if len(rows) and name not in alike}


def named_baselines(
    same_size: pd.DataFrame, scope: str = "iteration", first_look: float = math.inf
) -> Iterator[tuple[str, pd.DataFrame]]:
    """The baselines of BASELINES that were measured at one size, except `own`: (name, rows of the fastest case).

    The fastest in the scope: on few threads a process may start sooner than it saves on many.
    """
    for name, rows in candidates(same_size).items():
        if len(best := fastest(rows, scope, first_look)):
            yield name, best


def own_baseline(cases: Iterable[CaseKey], contender: CaseKey) -> Iterator[tuple[str, CaseKey]]:
    """The contender's own style and dtype on one CPU thread: what the device or the threads alone bring."""
    alone = (contender.style, "cpu", contender.dtype, 1)
    for case in cases:
        if (case.style, case.device, case.dtype, case.threads) == alone:
            yield "own", case
            return


def fastest(rows: pd.DataFrame, scope: str = "iteration", first_look: float = math.inf) -> pd.DataFrame:
    """The rows of the case that takes least in a scope (see `mean_us`); empty of none.

    Only cases with `enough_blocks`: one lucky block is no baseline.
    """
    cases = sorted(cases_in(rows))
    enough = enough_blocks((len(same) for _, same in cases), first_look)
    known = [same for _, same in cases if len(same) >= enough and mean_us(same, scope) > 0]
    return min(known, key=lambda same: mean_us(same, scope), default=rows.iloc[:0])


def enough_blocks(each: Iterable[int], first_look: float = math.inf) -> float:
    """How many blocks a case needs to be the best of several that have so many: half of the most.

    More than the run's `first_look` takes no other case needs: `--decide` gives further ones to some.
    """
    return min(first_look, max(each, default=0)) / 2


def chosen_baselines(found: Sequence[Speedup]) -> tuple[str, ...]:
    """Two baselines to show: the tutorial's own as far as it was measured, and the best CPU."""
    there = {one.baseline for one in found}
    first = next((name for name in SHOWN_FIRST if name in there), None)
    return tuple(dict.fromkeys(name for name in (first, PRIMARY) if name in there))
