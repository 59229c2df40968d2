"""A claim held against measured speedups, or where none was measured against a bound: the outcome and why (pure)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product

from bench.cases.case import CaseKey
from bench.cases.presets import SWEEP_SIZES
from bench.cases.problem import Size
from bench.errors import UsageError
from bench.verdict.contenders import BEST_GPU, BEST_GPU_TF32
from bench.verdict.evidence import Evidence
from bench.verdict.ratios.intervals import Ratio, looks_of
from bench.verdict.ratios.pairs import SCOPES
from bench.verdict.ratios.speedup import BASELINES, Speedup, enough_blocks
from bench.verdict.reach import Reach, reach
from bench.words import number, times

SUPPORTED, REFUTED, UNDECIDED, UNTESTED = "supported", "refuted", "undecided", "untested"
OUT_OF_REACH = "out of reach"  # not measured, but published figures leave no GPU of the table so much
OFTEN = 0.5  # "often": on at least this share of the grid
SAME = 1e-9  # an interval relatively narrower than this has no spread at all: no clock gives that


@dataclass(frozen=True, slots=True)
class Claim:
    """What somebody says about a speedup, where, and the speedup that it takes."""

    text: str
    source: str
    threshold: float


TUTORIAL_CLAIM = Claim(
    "for modern deep neural networks, GPUs often provide speedups of 50x or greater",
    "Learning PyTorch with Examples, which cites github.com/jcjohnson/cnn-benchmarks",
    50.0,
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`supported`, `refuted`, `undecided`, `untested` or `out of reach`, and the reason in words."""

    outcome: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict at one size against one baseline in one scope. Times in us an iteration, NaN where unknown.

    `reach` is what published figures leave of the speedup, where no GPU was measured.
    """

    size: Size
    baseline: str
    scope: str
    speedup: Speedup | None
    baseline_case: CaseKey | None
    baseline_us: float
    verdict: Verdict
    reach: Reach | None = None


def at_least(threshold: float | None) -> Claim:
    """The tutorial's claim, or the same about another threshold. Raises UsageError."""
    if threshold is None:
        return TUTORIAL_CLAIM
    if not (math.isfinite(threshold) and threshold > 0):
        raise UsageError(f"--at-least {threshold:g}: give a speedup above 0, such as 50")
    return Claim(f"GPUs often provide speedups of {times(threshold)} or greater", "--at-least", threshold)


def verdict_on(ratio: Ratio, threshold: float, doubt: str = "", *, noisy: bool = False) -> Verdict:
    """Supported if low >= threshold, refuted if high < threshold, undecided otherwise.

    Whatever cannot be trusted supports nothing: a ratio without an interval (one block, NaN, a time of 0), an
    interval without any spread, and anything that `doubt` names. A doubtful ratio may still refute. Noise is no
    doubt: it has widened the interval; the reason says so.
    """
    if not _has_interval(ratio):
        few = "one block has no interval" if ratio.blocks == 1 else "a time is missing or not above 0"
        return Verdict(UNDECIDED, few)
    if ratio.high < threshold:
        return Verdict(REFUTED, f"at most {number(ratio.high)}x")
    if ratio.low < threshold:
        return Verdict(UNDECIDED, f"the interval holds {times(threshold)}")
    if ratio.high / ratio.low - 1 < SAME:
        return Verdict(UNDECIDED, "all blocks agree to the last digit: no clock gives that")
    if doubt:
        return Verdict(UNDECIDED, doubt)
    return Verdict(SUPPORTED, f"at least {number(ratio.low)}x" + (", though most blocks are noisy" if noisy else ""))


def verdict_by(bound: Reach | None, threshold: float, why: str) -> Verdict:
    """Of a speedup that was not measured, for the reason `why`: out of reach, or untested and at most how much."""
    if bound is None:
        return Verdict(UNTESTED, why)
    return Verdict(OUT_OF_REACH if bound.best.at_most < threshold else UNTESTED, f"{why}; {bound.words}")


def _has_interval(ratio: Ratio) -> bool:
    bounds = (ratio.low, ratio.value, ratio.high)
    return all(math.isfinite(one) and one > 0 for one in bounds) and ratio.low <= ratio.value <= ratio.high


def find(
    evidence: Evidence,
    claim: Claim,
    baselines: Iterable[str],
    contender: str = BEST_GPU,
    scopes: Iterable[str] = SCOPES,
) -> list[Finding]:
    """A finding for each size of the run, each baseline and each scope, in this order."""
    scopes, baselines = tuple(scopes), tuple(baselines)
    return [
        find_one(evidence, claim, size, baseline, contender, scope)
        for size in evidence.sizes
        for baseline in baselines
        for scope in scopes
    ]


def find_one(evidence: Evidence, claim: Claim, size: Size, baseline: str, contender: str, scope: str) -> Finding:
    """The finding at one size. A missing side gives `untested` and names what is missing."""
    case, baseline_us = evidence.baseline(size, baseline, scope)
    found = evidence.against(size, baseline, contender, scope)
    speedup = fastest(found, looks_of(evidence.run.machine)[0])
    itself = case is not None and evidence.is_named(case, contender)
    if speedup is None or (itself and baseline_us < speedup.contender_us):
        why = evidence.why_untested(size, baseline, contender, scope)
        bound = None if evidence.gpu_tried else reach(evidence, size, baseline, contender, scope)
        return Finding(size, baseline, scope, None, case, baseline_us, verdict_by(bound, claim.threshold, why), bound)
    speedup = replace(speedup, ratio=evidence.best_ratio(size, baseline, found, scope, speedup))
    doubt = evidence.doubt(speedup, claim.threshold)
    verdict = verdict_on(speedup.ratio, claim.threshold, doubt, noisy=speedup.noisy)
    return Finding(size, baseline, scope, speedup, speedup.baseline_case, speedup.baseline_us, verdict)


def straddling(evidence: Evidence, threshold: float) -> set[CaseKey]:
    """The cases of which more blocks would decide whether a speedup by iteration reaches `threshold`.

    Both cases of every speedup whose own interval holds it. Where the best of several over the best of several is
    open, also every contender that may reach it, and what each of these has not yet reached it over.
    """
    each = [one for one in evidence.speedups if one.scope == "iteration"]
    found = {
        case
        for one in each
        if one.ratio.low < threshold <= one.ratio.high
        for case in (one.contender, one.baseline_case)
    }
    asked = {(one.contender.size, one.baseline) for one in each if one.baseline != "own"}
    for (size, baseline), contender in product(sorted(asked), (BEST_GPU, BEST_GPU_TF32)):
        same = evidence.against(size, baseline, contender, "iteration")
        ends = evidence.rivals(size, baseline, same, "iteration")
        if any(min(low for low, _high in each.values()) >= threshold for each in ends.values()):
            continue
        for case, over in ends.items():
            if min(high for _low, high in over.values()) >= threshold:
                found |= {case, *(other for other, (low, _high) in over.items() if low < threshold)}
    return found


def fastest(found: Sequence[Speedup], first_look: float = math.inf) -> Speedup | None:
    """The contender that takes the least time; a time that is no number comes last.

    Only of those with `enough_blocks`, as for a baseline: one lucky block is no contender.
    """
    enough = enough_blocks((one.ratio.blocks for one in found), first_look)

    def microseconds(one: Speedup) -> float:
        return one.contender_us if one.contender_us > 0 else math.inf

    return min((one for one in found if one.ratio.blocks >= enough), key=microseconds, default=None)


def often(findings: Iterable[Finding], grid: Sequence[Size] = SWEEP_SIZES) -> Verdict:
    """Is the claim true at half of the sizes of a fixed grid? `findings` are of one baseline and scope.

    Sizes that are undecided or were not measured decide nothing: supported or refuted only if they could all
    turn out either way. Out of reach if it is refuted and no size was by measuring. What was measured at other sizes
    is named, and leaves the question undecided.
    """
    outcomes = {one.size: one.verdict.outcome for one in findings}
    here = [outcomes.get(size, UNTESTED) for size in grid]
    yes, refuted, bounded = (here.count(one) for one in (SUPPORTED, REFUTED, OUT_OF_REACH))
    tested = len(here) - bounded - here.count(UNTESTED)
    words = f"{yes} of {len(here)} sizes of the grid supported, {refuted} refuted"
    more = [f"{here.count(one)} {one}" for one in (OUT_OF_REACH, UNDECIDED, UNTESTED) if one in here]
    beyond = [one for size, one in outcomes.items() if size not in grid and one in (SUPPORTED, REFUTED, UNDECIDED)]
    if beyond and not tested:
        named = (f"{beyond.count(one)} {one}" for one in (SUPPORTED, REFUTED, UNDECIDED) if one in beyond)
        return Verdict(UNDECIDED, f"none of the {len(here)} sizes of the grid measured, of others {', '.join(named)}")
    reason = ", ".join([words, *more])
    needed = OFTEN * len(here)
    if yes >= needed:
        return Verdict(SUPPORTED, reason)
    if len(here) - refuted - bounded < needed:
        return Verdict(REFUTED if refuted else OUT_OF_REACH, reason)
    return Verdict(UNDECIDED if tested else UNTESTED, reason)


def known_baseline(name: str) -> str:
    """The name of a baseline. Raises UsageError."""
    if name not in BASELINES:
        raise UsageError(f"--baseline {name}: no such baseline; choose from {', '.join(BASELINES)}")
    return name


def known_scope(name: str) -> str:
    """The name of a scope. Raises UsageError."""
    if name not in SCOPES:
        raise UsageError(f"--scope {name}: no such scope; choose from {', '.join(SCOPES)}")
    return name
