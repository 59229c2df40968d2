"""The tutorial's headline as a product: from numpy as it is written to the fastest GPU style, link by link (pure)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from statistics import fmean

import pandas as pd

from bench.cases.case import AS_FOUND, CaseKey
from bench.cases.problem import TUTORIAL_SIZE, Size
from bench.machine.environment import variable_words
from bench.tables.by_case import at_size, cases_in, of_cases
from bench.tables.run import Run
from bench.verdict.evidence import Evidence
from bench.verdict.ratios.intervals import Ratio, paired_ratio
from bench.verdict.ratios.pairs import troubles
from bench.verdict.ratios.speedup import trusted

LATENCY = "latency_median_us"
AS_WRITTEN, KEPT, IN_PLACE = "numpy_manual", "numpy_kept", "numpy_in_place"
EAGER = ("torch_tensors", "torch_autograd")  # the GPU as the tutorial writes it
ENVIRONMENT = "environment"
PAGE_FAULTS, TEMPORARIES = "no page faults", "no temporaries"
DTYPE, THREADS = "float64 to float32", "threads"
FRAMEWORK, DEVICE, LAUNCH = "framework", "device", "launch overhead"

Series = dict[int, float]  # us by block
Times = dict[CaseKey, Series]
Link = tuple[str, CaseKey | None]  # None: not measured


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
    # by itself: as found the reference product is slower too, and would hide what the variables cost
    found = {} if run.as_found is None else _times(trusted(run.as_found), size)
    starts = [case for case in times if (case.style, case.device, case.dtype) == (AS_WRITTEN, "cpu", "float64")]
    if not starts:
        return None
    chains = [(links(times, start), start) for start in starts]
    chain, start = max(chains, key=lambda one: (_measured(one[0]) + (one[1] in found), one[1].threads))
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
        Factor(label, ratio((before, after), slow, fast), before, after, _mean(slow), _mean(fast))
        for label, (before, after), (slow, fast) in zip(labels, pairwise(cases), pairwise(aligned), strict=True)
    )
    return Decomposition(
        size=size,
        factors=factors,
        headline=ratio((cases[0], cases[-1]), aligned[0], aligned[-1]),
        unmeasured=unmeasured,
        on_gpu=not cases[-1].on_cpu,
        noisy=_is_noisy(evidence.rows, cases) or (start in found and _is_noisy(run.as_found, [start])),
        environment=environment_words(run, measured=start in found),
    )


def environment_words(run: Run, *, measured: bool) -> str:
    """Which variables were removed for every case; where numpy was not `measured` as found, why."""
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
    why = next((one.words for one in trouble.values()), "not measured")
    return f"Environment: not in the product; {there} was removed, and numpy as found was {why}."


def links(times: Times, start: CaseKey) -> list[Link]:
    """The chain from `start`, with None for what was not measured.

    Page faults are what the heap of a script costs over one that gives nothing back, the same code in both. They go
    first, and temporaries after them, if numpy without either was measured in float64, else the dtype does: in any
    case every link compares two measured cases.
    """

    def measured(case: CaseKey) -> CaseKey | None:
        return case if case in times else None

    kept, in_place = (measured(start._replace(style=style)) for style in (KEPT, IN_PLACE))
    single, kept_single, in_place_single = (
        measured(start._replace(style=style, dtype="float32")) for style in (AS_WRITTEN, KEPT, IN_PLACE)
    )
    in_single = in_place_single or kept_single or single
    if kept is None and in_place is None and single is not None:
        chain: list[Link] = [(DTYPE, single), (PAGE_FAULTS, kept_single), (TEMPORARIES, in_place_single)]
    else:
        chain = [(PAGE_FAULTS, kept), (TEMPORARIES, in_place), (DTYPE, in_single)]
    return [*chain, *_beyond(times, in_single)]


def _beyond(times: Times, numpy_case: CaseKey | None) -> list[Link]:
    """From numpy in float32: threads, framework, device, launch overhead."""

    def fastest(cases: Sequence[CaseKey]) -> CaseKey | None:
        return min(cases, key=lambda case: _mean(times[case]), default=None)

    plain = [case for case in times if case.arithmetic == "float32"]
    on_cpu, on_gpu = [case for case in plain if case.on_cpu], [case for case in plain if not case.on_cpu]
    same_style = [case for case in on_cpu if numpy_case is not None and case.style == numpy_case.style]
    threads = fastest(same_style) if len(same_style) > 1 else None
    if not on_gpu:
        return [(THREADS, threads), (FRAMEWORK, fastest(on_cpu)), (DEVICE, None), (LAUNCH, None)]
    device = min(on_gpu, key=lambda case: _mean(times[case])).device  # of several, one: another is no factor
    on_gpu = [case for case in on_gpu if case.device == device]
    eager = next((case for style in EAGER for case in on_gpu if case.style == style), None)
    if eager is None:
        return [(THREADS, threads), (FRAMEWORK, None), (DEVICE, fastest(on_gpu)), (LAUNCH, None)]
    on_host = fastest([case for case in on_cpu if case.style == eager.style])
    launch = fastest(on_gpu) if len(on_gpu) > 1 else None
    return [(THREADS, threads), (FRAMEWORK, on_host), (DEVICE, eager), (LAUNCH, launch)]


def merged(chain: Sequence[Link]) -> tuple[list[tuple[str, CaseKey]], tuple[str, ...]]:
    """The measured links, each with the labels of unmeasured ones right before it; and all unmeasured labels."""
    steps: list[tuple[str, CaseKey]] = []
    waiting: list[str] = []
    for label, case in chain:
        waiting.append(label)
        if case is not None:
            steps.append((" + ".join(waiting), case))
            waiting = []
    return steps, tuple(label for label, case in chain if case is None)


def _measured(chain: Sequence[Link]) -> int:
    return sum(case is not None for _, case in chain)


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
    return Ratio(_mean(before) / _mean(after), math.nan, math.nan, 0)


def _mean(by_block: Series) -> float:
    return math.exp(fmean(math.log(us) for us in by_block.values()))
