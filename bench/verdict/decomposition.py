"""The tutorial's headline as a product: from numpy as it is written to the fastest GPU style, link by link (pure)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Any, cast

import numpy as np
import pandas as pd

from bench.cases.case import AS_FOUND, CASE_COLUMNS, Size
from bench.cases.problem import TUTORIAL_SIZE
from bench.machine.environment import variable_words
from bench.verdict.evidence import Case, Evidence, case_name, is_accelerator, troubles
from bench.verdict.intervals import CONFIDENCE, Ratio, paired_ratio
from bench.verdict.speedup import trusted

LATENCY = "latency_median_us"
AS_WRITTEN, IN_PLACE = "numpy_manual", "numpy_in_place"
EAGER = ("torch_tensors", "torch_autograd")  # the GPU as the tutorial writes it
ENVIRONMENT = "environment"
PAGE_FAULTS, DTYPE, THREADS = "no page faults", "float64 to float32", "threads"
FRAMEWORK, DEVICE, LAUNCH = "framework", "device", "launch overhead"

Times = dict[Case, dict[int, float]]  # us by block
Link = tuple[str, Case | None]  # None: not measured


@dataclass(frozen=True, slots=True)
class Factor:
    """One link of the chain: how much faster `after` is than `before`, us an iteration as geometric means.

    Of the link `environment` both are the tutorial's numpy, `before` with the variables of the user's shell.
    """

    label: str
    ratio: Ratio
    before: Case
    after: Case
    before_us: float
    after_us: float


@dataclass(frozen=True, slots=True)
class Decomposition:
    """The factors, whose product is the headline; what was `unmeasured` is merged into the next or left out.

    `environment` says in a sentence which variables were removed, and why there is no such link where there is none.
    """

    size: Size
    factors: tuple[Factor, ...]
    headline: Ratio
    unmeasured: tuple[str, ...]
    on_gpu: bool
    noisy: bool
    environment: str = ""

    @property
    def start(self) -> Case:
        """The tutorial's numpy."""
        return self.factors[0].before

    @property
    def as_found(self) -> bool:
        """Whether it starts in the environment as found."""
        return self.factors[0].label == ENVIRONMENT

    @property
    def start_words(self) -> str:
        """`numpy_manual cpu float64 1 thread as found`."""
        return case_name(self.start) + (f" {AS_FOUND}" if self.as_found else "")

    @property
    def end(self) -> Case:
        """The fastest GPU style, or without a GPU the fastest CPU case."""
        return self.factors[-1].after

    def waterfall(self) -> list[tuple[str, float]]:
        """(label, factor) in order, for a chart; their product is `headline.value`."""
        return [(one.label, one.ratio.value) for one in self.factors]


def decompose(
    evidence: Evidence,
    size: Size = TUTORIAL_SIZE,
    confidence: float = CONFIDENCE,
    *,
    as_found: pd.DataFrame | None = None,
    machine: Mapping[str, Any] | None = None,
) -> Decomposition | None:
    """The chain at one size by latency; None where the tutorial's numpy or all that follows was not measured.

    It starts at the tutorial's numpy on all threads or on one, where more of the links are measured; at a tie on
    all, which is how the tutorial runs. Before it comes the same numpy `as_found` (rows as of measurements.csv), where
    that was measured; `machine` (machine.json) knows why it was not. Times are geometric means over the blocks that
    every case of the chain has, so that the factors multiply exactly to the headline.
    """
    times = _times(evidence, evidence.rows, size)
    # by itself: as found the reference product is slower too, and would hide what the variables cost
    found = {} if as_found is None else _times(evidence, trusted(as_found), size)
    starts = sorted((case for case in times if case[:3] == (AS_WRITTEN, "cpu", "float64")), key=_threads)
    chains = [(start, links(times, start)) for start in {starts[0], starts[-1]}] if starts else []
    if not chains:
        return None
    start, chain = max(chains, key=lambda pair: (_measured(pair[1]) + (pair[0] in found), _threads(pair[0])))
    steps, unmeasured = merged(chain)
    stops = [start, *(case for _, case in steps)]
    series = [times[case] for case in stops]
    if start in found:
        steps, stops, series = [(ENVIRONMENT, start), *steps], [start, *stops], [found[start], *series]
    if not steps:
        return None
    ends = list(zip(stops, _aligned(series), strict=True))
    pairs = zip(steps, pairwise(ends), strict=True)
    return Decomposition(
        size=size,
        factors=tuple(_factor(label, *before, *after, confidence) for (label, _), (before, after) in pairs),
        headline=_ratio(ends[0][1], ends[-1][1], confidence),
        unmeasured=unmeasured,
        on_gpu=is_accelerator(stops[-1]),
        noisy=_is_noisy(evidence.rows, stops) or (start in found and _is_noisy(as_found, [start])),
        environment=environment_words(machine or {}, as_found, measured=start in found),
    )


def environment_words(machine: Mapping[str, Any], as_found: pd.DataFrame | None, *, measured: bool) -> str:
    """Which variables were removed for every case; where numpy was not `measured` as found, why."""
    variables = machine.get("distorting_variables")
    told = variable_words(variables or {})
    if measured:
        return f"Environment: as found there was {told}, which every other case ran without."
    if variables is None:
        return "Environment: no factor; which variables were removed is not recorded."
    if machine.get("environment") == "kept":
        return f"Environment: no factor; every case ran as found, with {told}."
    if told == variable_words({}):
        return "Environment: factor 1; no variable that distorts was set, every case ran as found."
    trouble = {} if as_found is None else troubles(as_found)
    why = next((one.words for one in trouble.values()), "not measured")
    return f"Environment: not in the product; {told} was removed, and numpy as found was {why}."


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


def _times(evidence: Evidence, sound: pd.DataFrame, size: Size) -> Times:
    """Latency by case and block: above 0, plain SGD."""
    found: Times = {}
    for key, rows in sound.groupby(list(CASE_COLUMNS), sort=True):
        case = cast(Case, key)
        if case[5:] != size or case not in evidence.sgd:
            continue
        by_block = dict(zip(rows["block"].astype(int), rows[LATENCY].astype(float), strict=True))
        good = {block: us for block, us in by_block.items() if math.isfinite(us) and us > 0}
        if good:
            found[case] = good
    return found


def _aligned(series: Sequence[dict[int, float]]) -> list[dict[int, float]]:
    """The times over the blocks that all share; over each one's own blocks where they share none."""
    shared = sorted(set.intersection(*map(set, series)))
    return [{block: one[block] for block in shared} for one in series] if shared else list(series)


def _is_noisy(rows: pd.DataFrame | None, cases: Sequence[Case]) -> bool:
    if rows is None:
        return False
    keys = pd.MultiIndex.from_frame(rows[list(CASE_COLUMNS)])
    return bool(rows["noisy"].astype(bool)[keys.isin(cases)].any())


def _factor(
    label: str, before: Case, slow: dict[int, float], after: Case, fast: dict[int, float], confidence: float
) -> Factor:
    return Factor(label, _ratio(slow, fast, confidence), before, after, _mean(slow), _mean(fast))


def _ratio(before: dict[int, float], after: dict[int, float], confidence: float) -> Ratio:
    if list(before) == list(after):
        return paired_ratio(list(before.values()), list(after.values()), confidence)
    return Ratio(_mean(before) / _mean(after), math.nan, math.nan, 0)


def _mean(by_block: dict[int, float]) -> float:
    return math.exp(fmean(math.log(us) for us in by_block.values()))
