"""The tutorial's headline as a product: from numpy as it is written to the fastest GPU style, link by link (pure)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import cast

import numpy as np
import pandas as pd

from bench.case import CASE_COLUMNS, Size
from bench.evidence import Case, Evidence, is_accelerator
from bench.problem import TUTORIAL_SIZE
from bench.speedup import CONFIDENCE, Ratio, paired_ratio

LATENCY = "latency_median_us"
AS_WRITTEN, IN_PLACE = "numpy_manual", "numpy_in_place"
EAGER = ("torch_tensors", "torch_autograd")  # the GPU as the tutorial writes it
PAGE_FAULTS, DTYPE, THREADS = "no page faults", "float64 to float32", "threads"
FRAMEWORK, DEVICE, LAUNCH = "framework", "device", "launch overhead"

Times = dict[Case, dict[int, float]]  # us by block
Link = tuple[str, Case | None]  # None: not measured


@dataclass(frozen=True, slots=True)
class Factor:
    """One link of the chain: how much faster `after` is than `before`, us an iteration as geometric means."""

    label: str
    ratio: Ratio
    before: Case
    after: Case
    before_us: float
    after_us: float


@dataclass(frozen=True, slots=True)
class Decomposition:
    """The factors, whose product is the headline; what was `unmeasured` is merged into the next or left out."""

    size: Size
    factors: tuple[Factor, ...]
    headline: Ratio
    unmeasured: tuple[str, ...]
    on_gpu: bool
    noisy: bool

    @property
    def start(self) -> Case:
        """The tutorial's numpy."""
        return self.factors[0].before

    @property
    def end(self) -> Case:
        """The fastest GPU style, or without a GPU the fastest CPU case."""
        return self.factors[-1].after

    def waterfall(self) -> list[tuple[str, float]]:
        """(label, factor) in order, for a chart; their product is `headline.value`."""
        return [(one.label, one.ratio.value) for one in self.factors]


def decompose(evidence: Evidence, size: Size = TUTORIAL_SIZE, confidence: float = CONFIDENCE) -> Decomposition | None:
    """The chain at one size by latency; None where the tutorial's numpy or all that follows was not measured.

    It starts at the tutorial's numpy on all threads or on one, where more of the links are measured; at a tie on
    all, which is how the tutorial runs. Times are geometric means over the blocks that every case of the chain
    has, so that the factors multiply exactly to the headline.
    """
    times = _times(evidence, size)
    starts = sorted((case for case in times if case[:3] == (AS_WRITTEN, "cpu", "float64")), key=_threads)
    chains = [(start, links(times, start)) for start in {starts[0], starts[-1]}] if starts else []
    if not chains:
        return None
    start, chain = max(chains, key=lambda pair: (_measured(pair[1]), _threads(pair[0])))
    steps, unmeasured = merged(chain)
    if not steps:
        return None
    chosen = _aligned(times, [start, *(case for _, case in steps)])
    factors, before = [], start
    for label, after in steps:
        factors.append(_factor(label, chosen, before, after, confidence))
        before = after
    keys = pd.MultiIndex.from_frame(evidence.rows[list(CASE_COLUMNS)])
    noisy = evidence.rows["noisy"].astype(bool)[keys.isin(list(chosen))].any()
    headline = _ratio(chosen[start], chosen[before], confidence)
    return Decomposition(size, tuple(factors), headline, unmeasured, is_accelerator(before), bool(noisy))


def links(times: Iterable[Case], start: Case) -> list[Link]:
    """The chain from `start`, with None for what was not measured.

    Page faults go first if numpy without them was measured in float64, else the dtype does: either way every
    link compares two measured cases.
    """
    known = dict.fromkeys(times)
    in_place = _like(known, start, style=IN_PLACE)
    single, both = _like(known, start, dtype="float32"), _like(known, start, style=IN_PLACE, dtype="float32")
    if in_place is None and single is not None:
        chain: list[Link] = [(DTYPE, single), (PAGE_FAULTS, both)]
    else:
        chain = [(PAGE_FAULTS, in_place), (DTYPE, both or single)]
    return [*chain, *_beyond(cast(Times, times), both or single)]


def _beyond(times: Times, numpy_case: Case | None) -> list[Link]:
    """From numpy in float32: threads, framework, device, launch overhead."""
    single = [case for case in times if case[2:4] == ("float32", "ieee")]
    on_cpu = [case for case in single if not is_accelerator(case)]
    on_gpu = [case for case in single if is_accelerator(case)]
    counts = [case for case in on_cpu if numpy_case is not None and case[0] == numpy_case[0]]
    threads = _fastest(times, counts) if len(counts) > 1 else None
    if not on_gpu:
        return [(THREADS, threads), (FRAMEWORK, _fastest(times, on_cpu)), (DEVICE, None), (LAUNCH, None)]
    eager = next((case for style in EAGER for case in on_gpu if case[0] == style), None)
    same = _fastest(times, [case for case in on_cpu if eager is not None and case[0] == eager[0]])
    best = _fastest(times, on_gpu)
    if eager is None:
        return [(THREADS, threads), (FRAMEWORK, None), (DEVICE, best), (LAUNCH, None)]
    return [(THREADS, threads), (FRAMEWORK, same), (DEVICE, eager), (LAUNCH, best if len(on_gpu) > 1 else None)]


def merged(chain: Sequence[Link]) -> tuple[list[tuple[str, Case]], tuple[str, ...]]:
    """The measured links, each with the labels of unmeasured ones right before it; and all unmeasured labels."""
    steps: list[tuple[str, Case]] = []
    waiting: list[str] = []
    for label, case in chain:
        waiting.append(label)
        if case is not None:
            steps.append((" + ".join(waiting), case))
            waiting = []
    return steps, tuple(label for label, case in chain if case is None)


def _measured(chain: Sequence[Link]) -> int:
    return sum(case is not None for _, case in chain)


def _threads(case: Case) -> int:
    return int(case[4])


def _like(known: Iterable[Case], start: Case, style: str | None = None, dtype: str | None = None) -> Case | None:
    wanted = (style or start[0], start[1], dtype or start[2], *start[3:])
    return next((case for case in known if case == wanted), None)


def _fastest(times: Times, cases: Sequence[Case]) -> Case | None:
    return min(cases, key=lambda case: float(np.median(list(times[case].values()))), default=None)


def _times(evidence: Evidence, size: Size) -> Times:
    """Latency by case and block: sound, above 0, plain SGD."""
    found: Times = {}
    for key, rows in evidence.rows.groupby(list(CASE_COLUMNS), sort=True):
        case = cast(Case, key)
        if case[5:] != size or case not in evidence.sgd:
            continue
        by_block = dict(zip(rows["block"].astype(int), rows[LATENCY].astype(float), strict=True))
        good = {block: us for block, us in by_block.items() if math.isfinite(us) and us > 0}
        if good:
            found[case] = good
    return found


def _aligned(times: Times, cases: Sequence[Case]) -> Times:
    """The times over the blocks that all cases share; over each case's own blocks where they share none."""
    shared = set.intersection(*(set(times[case]) for case in cases))
    if not shared:
        return {case: times[case] for case in cases}
    return {case: {block: times[case][block] for block in sorted(shared)} for case in cases}


def _factor(label: str, times: Times, before: Case, after: Case, confidence: float) -> Factor:
    one, other = times[before], times[after]
    return Factor(label, _ratio(one, other, confidence), before, after, _mean(one), _mean(other))


def _ratio(before: dict[int, float], after: dict[int, float], confidence: float) -> Ratio:
    if list(before) == list(after):
        return paired_ratio(list(before.values()), list(after.values()), confidence)
    return Ratio(_mean(before) / _mean(after), math.nan, math.nan, 0)


def _mean(by_block: dict[int, float]) -> float:
    return math.exp(fmean(math.log(us) for us in by_block.values()))
