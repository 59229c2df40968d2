"""What an iteration on a CPU is made of: shares of its time, each from its own measurement, and what they leave."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.cases.case import CaseKey
from bench.cases.problem import Problem
from bench.machine.ceilings import Ceiling, read_ceilings
from bench.tables.by_case import cases_in
from bench.tables.run import Run
from bench.verdict.ratios.intervals import t_quantile
from bench.verdict.ratios.one_speed import REFERENCE
from bench.verdict.ratios.speedup import mean_us, trusted
from bench.words import counted, microseconds, percent

Floats: TypeAlias = NDArray[np.float64]

PRODUCTS, MEMORY, CALLS, FAULTS = "products", "memory", "Python and calls", "page faults"
NOT_EXPLAINED = "not explained"
ALLOWED = 0.05  # what the shares may add up to above or below the whole
NO_FAULTS = 0.5  # an iteration: a few of a process's pages, not those of its arrays
AS_WRITTEN, KEPT = "numpy_manual", "numpy_kept"  # one code on two heaps: what a page fault costs there
MATTERS = 0.1  # a part that is named beside the largest


@dataclass(frozen=True, slots=True)
class Share:
    """A part of the time: its mean over blocks and half its 95% interval (NaN with one block); NaN: not measured.

    `least`: an older run, which knows only what large products would take at best.
    """

    value: float
    half: float = math.nan
    least: bool = False

    @property
    def known(self) -> bool:
        """Whether it was measured."""
        return math.isfinite(self.value)


@dataclass(frozen=True, slots=True)
class Explained:
    """A case on a CPU, its us an iteration (see `mean_us`) and the share of each of PARTS."""

    case: CaseKey
    us: float
    blocks: int
    parts: Mapping[str, Share]
    total: Share  # of all known parts

    @property
    def rest(self) -> float:
        """What no part explains; negative where they add up to more than the whole."""
        return 1 - self.total.value

    @property
    def unknown(self) -> list[str]:
        """The parts that this run has no measurement of."""
        return [name for name, part in self.parts.items() if not part.known]

    @property
    def whole(self) -> bool:
        """Whether each part was measured by itself."""
        return not self.unknown and not any(part.least for part in self.parts.values())

    @property
    def adds_up(self) -> bool:
        """Whether the parts, all measured, add up to 100% within ALLOWED."""
        return self.whole and abs(self.rest) <= ALLOWED

    @property
    def bound_by(self) -> str:
        """The largest part; empty where what is not explained is larger, so that nobody can tell."""
        name, part = max(self.parts.items(), key=lambda item: np.nan_to_num(item[1].value, nan=-1.0))
        return name if part.known and part.value > max(self.rest, 0) else ""

    @property
    def sure(self) -> bool:
        """Whether it takes more than each other part, and than what is not explained, by their 95% intervals."""
        others = [part for name, part in self.parts.items() if name != self.bound_by and part.known]
        best, rest = self.parts[self.bound_by], Share(self.rest, self.total.half)
        return all(best.value - other.value > math.hypot(best.half, other.half) for other in (*others, rest))

    @property
    def bound_words(self) -> str:
        """`bound by products`, as surely as the intervals have it; empty where nobody can tell."""
        return f"{'' if self.sure else 'perhaps '}bound by {self.bound_by}" if self.bound_by else ""

    @property
    def words(self) -> str:
        """One sentence: what binds it, what else matters, what is not explained."""
        known = sorted(((part.value, name) for name, part in self.parts.items() if part.known), reverse=True)
        said = [f"{name} {self._percent(name)}" for value, name in known if value >= MATTERS or name == self.bound_by]
        bound = self.bound_words or "what binds it is not known"
        unknown = f" (not measured: {', '.join(self.unknown)})" if self.unknown else ""
        rest = f"{percent(abs(self.rest))} {'not explained' if self.rest >= 0 else 'explained twice'}{unknown}"
        parts = f": {', '.join(said)} of" if said else ", of its"
        return f"{self.case.label}: {bound}{parts} {microseconds(self.us)} us; {rest}."

    def _percent(self, name: str) -> str:
        part = self.parts[name]
        return f"{'at least ' if part.least else ''}{part.value:.0%}"


def explain(run: Run) -> Iterator[Explained]:
    """The cases on a CPU that have a time and were never wrong, in the order of the table; see `Explained`.

    Times are those that the process itself took, as its parts are, whose shares were measured in turns with it.
    Products: `products_us`; of a run without it their operations at the rate of the library's fastest large product.
    Memory: `passes_us`, what all operations in their order take more than the products. Calls: `calls_us`. Page
    faults: their number times `fault_us`; of a run without it times what `numpy_manual` took more than `numpy_kept`, a
    fault more of the former.
    """
    sound = trusted(run.measurements)
    sound = sound[(sound["device"] == "cpu") & (sound["latency_median_us"] > 0)]
    rows = run.measurements.loc[sound.index]
    ceilings, fault_us = read_ceilings(run.machine), _usual_fault_us(rows)
    for case, same in cases_in(rows):
        us = same["latency_median_us"].to_numpy(float)
        parts = {
            PRODUCTS: same["products_us"].to_numpy(float) / us,
            MEMORY: same["passes_us"].to_numpy(float) / us,
            CALLS: same["calls_us"].to_numpy(float) / us,
            FAULTS: _faults_us(same, fault_us) / us,
        }
        shares = {name: _share(each) for name, each in parts.items()}
        if not shares[PRODUCTS].known and (rate := _rate(ceilings, case, str(same["framework"].iloc[0]))):
            parts[PRODUCTS] = Problem(*case.size).product_flops / rate / 1e3 / us
            shares[PRODUCTS] = _share(parts[PRODUCTS], least=True)
        known = [each for name, each in parts.items() if shares[name].known]
        yield Explained(case, mean_us(sound.loc[same.index]), len(same), shares, _share(np.sum(known, axis=0)))


def own_us(rows: pd.DataFrame) -> Floats:
    """The us of an iteration in each process, at the usual speed of its own core where that was read."""
    timed = rows["latency_median_us"]
    return (rows["latency_per_reference"] * rows[REFERENCE]).fillna(timed).to_numpy(float)


def _share(each: Floats, *, least: bool = False) -> Share:
    each = np.atleast_1d(each)
    each = each[np.isfinite(each)]
    if not len(each):
        return Share(math.nan)
    half = (
        t_quantile(len(each) - 1, 0.95) * float(each.std(ddof=1)) / math.sqrt(len(each)) if len(each) > 1 else math.nan
    )
    return Share(float(each.mean()), half, least)


def _faults_us(rows: pd.DataFrame, usual_us: float) -> Floats:
    faults = rows["minor_faults_per_iteration"].to_numpy(float)
    each_us = rows["fault_us"].fillna(usual_us).to_numpy(float)
    return np.where(faults < NO_FAULTS, 0.0, faults * each_us)


def _usual_fault_us(rows: pd.DataFrame) -> float:
    """What a page fault costs by the same code on two heaps: the median over the pairs of cases; NaN without one."""
    of_style: dict[str, dict[CaseKey, tuple[float, float]]] = {AS_WRITTEN: {}, KEPT: {}}
    for case, same in cases_in(rows[rows["style"].isin(list(of_style))]):
        key = case._replace(style=AS_WRITTEN)
        of_style[case.style][key] = float(own_us(same).mean()), float(same["minor_faults_per_iteration"].mean())
    found = [
        (us - of_style[KEPT][case][0]) / (faults - of_style[KEPT][case][1])
        for case, (us, faults) in of_style[AS_WRITTEN].items()
        if case in of_style[KEPT] and faults - of_style[KEPT][case][1] > NO_FAULTS
    ]
    return float(np.median(found)) if found and np.median(found) > 0 else math.nan


def _rate(ceilings: tuple[Ceiling, ...], case: CaseKey, framework: str) -> float:
    """GFLOP/s of the library's own fastest product, of any library's where it has none; 0 where none was measured."""
    there = [
        one
        for one in ceilings
        if one.kind == "gemm"
        and (one.device, one.threads, one.dtype, one.precision)
        == (case.device, case.threads, case.dtype, case.precision)
    ]
    own = [one for one in there if one.framework == framework]
    return max((one.gflops or 0.0 for one in own or there), default=0.0)


def summary(found: Sequence[Explained]) -> str:
    """How many cases add up, and by how much the others miss."""
    whole = [one for one in found if one.whole]
    if not whole:
        cure = "a run of --preset tutorial measures them"
        return f"No case of this run has all parts measured ({counted(len(found), 'case')}); {cure}."
    fits = [one for one in whole if one.adds_up]
    words = f"In {len(fits)} of {counted(len(whole), 'case')} the shares add up to 100% within {percent(ALLOWED)}"
    if len(fits) < len(whole):
        worst = max((one for one in whole if not one.adds_up), key=lambda one: abs(one.rest))
        words += f"; the farthest is {worst.case.label}, {percent(worst.total.value)}"
    return words + "."
