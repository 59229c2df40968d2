"""The tutorial's headline as a product: from numpy as it is written to the fastest GPU style, link by link (pure)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import pandas as pd

from bench.cases.case import AS_FOUND, CaseKey
from bench.cases.problem import TUTORIAL_SIZE, Size
from bench.machine.environment import variable_words
from bench.tables.by_case import at_size, cases_in, of_cases
from bench.tables.run import Run
from bench.verdict.chain import AS_WRITTEN, Series, Times, links, mean_us, measured_links, merged
from bench.verdict.evidence import Evidence
from bench.verdict.ratios.intervals import Ratio, looks_of, paired_ratio
from bench.verdict.ratios.pairs import troubles
from bench.verdict.ratios.speedup import enough_blocks, trusted
from bench.words import counted

LATENCY = "latency_median_us"
ENVIRONMENT = "environment"


@dataclass(frozen=True, slots=True)
class Factor:
    """One link of the chain: how much faster `after` is than `before`, us an iteration as geometric means.

    Of the link `environment` both are the tutorial's numpy, `before` with the variables of the user's shell.
    """

    label: str
    ratio: Ratio
    before: CaseKey
    after: CaseKey
    before_us: float
    after_us: float

    @property
    def chosen(self) -> bool:
        """Whether the link stays where it is, since its best choice was made before: exactly 1, and not measured."""
        return self.before == self.after and self.label != ENVIRONMENT


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
    def start(self) -> CaseKey:
        """The tutorial's numpy."""
        return self.factors[0].before

    @property
    def as_found(self) -> bool:
        """Whether it starts in the environment as found."""
        return self.factors[0].label == ENVIRONMENT

    @property
    def start_words(self) -> str:
        """`numpy_manual cpu float64 1 thread as found`."""
        return self.start.label + (f" {AS_FOUND}" if self.as_found else "")

    @property
    def end(self) -> CaseKey:
        """The fastest GPU style, or without a GPU the fastest CPU case."""
        return self.factors[-1].after

    def waterfall(self) -> list[tuple[str, float]]:
        """(label, factor) in order, for a chart; their product is `headline.value`."""
        return [(one.label, one.ratio.value) for one in self.factors]


def decompose(evidence: Evidence, size: Size = TUTORIAL_SIZE) -> Decomposition | None:
    """The chain at one size by latency; None where the tutorial's numpy or all that follows was not measured.

    It starts at the tutorial's numpy on all threads or on one, where more of the links are measured; at a tie on
    all, which is how the tutorial runs. Before it comes the same numpy as found, where that was measured. Times are
    geometric means over the blocks that every case of the chain has, so that the factors multiply exactly to the
    headline.
    """
    run = evidence.run
    times = _times(evidence.rows, size)
    enough = enough_blocks(map(len, times.values()), looks_of(run.machine)[0])  # one lucky block is no link
    times = {case: series for case, series in times.items() if len(series) >= enough}
    # by itself: as found the reference product is slower too, and would hide what the variables cost
    as_found = {} if run.as_found is None else _times(trusted(run.as_found), size)
    found = {case: series for case, series in as_found.items() if len(series) >= enough}
    starts = [case for case in times if (case.style, case.device, case.dtype) == (AS_WRITTEN, "cpu", "float64")]
    if not starts:
        return None
    chains = [(links(times, start), start) for start in starts]
    chain, start = max(chains, key=lambda one: (measured_links(one[0]) + (one[1] in found), one[1].threads))
    steps, unmeasured = merged(chain)
    stops = [(start, times[start]), *((case, times[case]) for _, case in steps)]
    labels = [label for label, _ in steps]
    if start in found:
        stops, labels = [(start, found[start]), *stops], [ENVIRONMENT, *labels]
    if not labels:
        return None
    cases, series = zip(*stops, strict=True)
    aligned = _aligned(series)
    ratio = partial(_ratio, evidence)
    factors = tuple(
        Factor(label, ratio((before, after), slow, fast), before, after, mean_us(slow), mean_us(fast))
        for label, (before, after), (slow, fast) in zip(labels, pairwise(cases), pairwise(aligned), strict=True)
    )
    return Decomposition(
        size=size,
        factors=factors,
        headline=_as_chosen(evidence, (cases[0], cases[-1]), ratio((cases[0], cases[-1]), aligned[0], aligned[-1])),
        unmeasured=unmeasured,
        on_gpu=not cases[-1].on_cpu,
        noisy=_is_noisy(evidence.rows, cases) or (start in found and _is_noisy(run.as_found, [start])),
        environment=environment_words(run, len(as_found.get(start, ())), measured=start in found),
    )


def environment_words(run: Run, blocks: int, *, measured: bool) -> str:
    """Which variables were removed for every case; where numpy was not `measured` as found in enough `blocks`, why."""
    variables = run.machine.get("distorting_variables")
    there = variable_words(variables or {})
    if measured:
        return f"Environment: as found there was {there}, which every other case ran without."
    if variables is None:
        return "Environment: no factor; which variables were removed is not recorded."
    if run.machine.get("environment") == "kept":
        return f"Environment: no factor; every case ran as found, with {there}."
    if there == variable_words({}):
        return "Environment: factor 1; no variable that distorts was set, every case ran as found."
    trouble = {} if run.as_found is None else troubles(run.as_found)
    few = f"measured in {counted(blocks, 'block')} alone" if blocks else "not measured"
    why = next((one.words for one in trouble.values()), few)
    return f"Environment: not in the product; {there} was removed, and numpy as found was {why}."


def _times(sound: pd.DataFrame, size: Size) -> Times:
    """Latency by case and block: above 0, plain SGD."""
    rows = at_size(sound[(sound["oracle"] == "sgd") & (sound[LATENCY] > 0)], size)
    return {
        case: dict(zip(same["block"].astype(int), same[LATENCY].astype(float), strict=True))
        for case, same in sorted(cases_in(rows))
    }


def _aligned(series: Sequence[Series]) -> list[Series]:
    """The times over the blocks that all share; over each one's own blocks where they share none."""
    shared = sorted(set.intersection(*map(set, series)))
    return [{block: one[block] for block in shared} for one in series] if shared else list(series)


def _is_noisy(rows: pd.DataFrame | None, cases: Sequence[CaseKey]) -> bool:
    return rows is not None and bool(rows["noisy"].astype(bool)[of_cases(rows, cases)].any())


def _ratio(evidence: Evidence, cases: tuple[CaseKey, CaseKey], before: Series, after: Series) -> Ratio:
    """Of a CPU to an accelerator with the drift that these do not share."""
    if list(before) == list(after):
        side = evidence.sides[cases[0]]
        slowness = dict(zip(side.blocks.tolist(), side.slowness.tolist(), strict=True))
        drift = [slowness.get(block, math.nan) for block in before] if cases[0].on_cpu != cases[1].on_cpu else None
        return paired_ratio(list(before.values()), list(after.values()), evidence.confidence, drift=drift)
    return Ratio(mean_us(before) / mean_us(after), math.nan, math.nan, 0)


def _as_chosen(evidence: Evidence, ends: tuple[CaseKey, CaseKey], ratio: Ratio) -> Ratio:
    """`ratio` with room for that its end is the fastest of several, as the sentence over the same two cases has it."""
    both = [one for one in evidence.by_iteration(ends[1].size) if (one.baseline_case, one.contender) == ends]
    if not both or not math.isfinite(both[0].ratio.low * ratio.low):
        return ratio
    pair, chosen = both[0].ratio, evidence.as_the_best(both[0]).ratio
    return replace(ratio, low=ratio.low * chosen.low / pair.low, high=ratio.high * chosen.high / pair.high)
