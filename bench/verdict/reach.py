"""What published figures leave of a speedup that nobody measured: at most so many times, on each card (pure)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from bench.bounds.cards import EAGER, Card, all_cards, launches_of
from bench.bounds.least import LAUNCHES, Least, beaten_words, least, least_here
from bench.cases.case import CaseKey
from bench.cases.problem import TUTORIAL_ITERATIONS, Size
from bench.tables.by_case import cases_in
from bench.tables.machine_words import accelerators
from bench.verdict.contenders import BEST_GPU, BEST_GPU_TF32, named
from bench.verdict.evidence import Evidence
from bench.verdict.ratios.intervals import Ratio, corrected, time_ratio
from bench.verdict.ratios.pairs import SCOPES, Side
from bench.words import microseconds, number


@dataclass(frozen=True, slots=True)
class OnCard:
    """A card, the least us an iteration that its published figures leave, why, and the speedup at most."""

    card: str
    year: int
    least_us: float
    term: str
    at_most: float


@dataclass(frozen=True, slots=True)
class Reach:
    """What no GPU of the table can be over the measured baseline at one size in one scope; `cards`, best first.

    `baseline_us` is the upper end of the baseline's time. `eager` is the best card for `eager_style`, the tutorial's
    code as it stands, by its counted launches, of those cards whose cost of a launch is published; None where that
    is no sharper, or one style was asked about.
    """

    size: Size
    scope: str
    arithmetic: str
    baseline_us: float
    cards: tuple[OnCard, ...]
    eager_style: str
    eager: OnCard | None

    @property
    def best(self) -> OnCard:
        """The card on which most is possible."""
        return self.cards[0]

    @property
    def words(self) -> str:
        """`at most 98.1x (B200: launch and answer)`."""
        return f"at most {number(self.best.at_most)}x ({self.best.card}: {self.best.term})"


def reach(evidence: Evidence, size: Size, baseline: str, contender: str, scope: str) -> Reach | None:
    """The bound of a speedup; None where the baseline has no interval, or the contender no published arithmetic."""
    arithmetic, style = _asked(evidence, contender)
    upper_us = upper_end_us(evidence, size, baseline, scope)
    if not arithmetic or not math.isfinite(upper_us):
        return None
    counted = launches_of()
    cards = _on_cards(all_cards(), size, arithmetic, scope, upper_us, counted.get(style, 0))
    launching = [card for card in all_cards() if card.launch_us > 0]
    eager = _on_cards(launching, size, arithmetic, scope, upper_us, counted[EAGER])
    sharper = not style and eager and eager[0].term == LAUNCHES
    if not cards:
        return None
    return Reach(size, scope, arithmetic, upper_us, cards, EAGER, eager[0] if sharper else None)


def _asked(evidence: Evidence, contender: str) -> tuple[str, str]:
    """The arithmetic of a contender, and its style where it names one; empty where this run has no such case."""
    if contender in (BEST_GPU, BEST_GPU_TF32):
        return ("float32" if contender == BEST_GPU else "float32 tf32"), ""
    cases = (case for case, _ in cases_in(evidence.run.measurements) if not case.on_cpu and named(case, contender))
    found = next(cases, None)
    return (found.arithmetic, found.style) if found else ("", "")


def _on_cards(
    cards: Iterable[Card], size: Size, arithmetic: str, scope: str, upper_us: float, launches: int
) -> tuple[OnCard, ...]:
    found = []
    for card in cards:
        bound = least(card, size, arithmetic, scope, launches)
        if bound is None:
            return ()  # of this card nothing is known that bounds it, so nothing bounds them all
        found.append(OnCard(card.name, card.year, bound.us, bound.term, upper_us / bound.us))
    return tuple(sorted(found, key=lambda one: (one.at_most, one.year), reverse=True))


def upper_end_us(evidence: Evidence, size: Size, baseline: str, scope: str) -> float:
    """The upper end of a baseline's time, us an iteration; NaN where it has no interval.

    The fastest of several cases takes no longer than any of them: of their upper ends, at 1 - alpha / cases each, the
    least. Nothing cancels the drift of the machine, so each is as of a ratio to something that does not drift.
    """
    pool = evidence.candidates_by_size.get(size, {}).get(baseline, ())
    sides = [evidence.sides[case] for case in pool]
    known = [side for side in sides if np.isfinite(side.times[scope]).sum() > 1]
    confidence = corrected(max(1, len(known)), evidence.confidence)
    ends = [time_of(side, scope, confidence).high for side in known]
    return min((end for end in ends if math.isfinite(end)), default=math.nan)


def time_of(side: Side, scope: str, confidence: float) -> Ratio:
    """The time of a case in a scope, us an iteration, with its interval, drift and all."""
    there = np.isfinite(side.times[scope])
    times = side.times[scope][there] * (1.0 if SCOPES[scope].endswith("_us") else 1e6 / TUTORIAL_ITERATIONS)
    return time_ratio(times, 1.0, confidence, drift=side.slowness[there])


def beaten(evidence: Evidence) -> list[str]:
    """A line for each measured accelerator case that took less time than the bound of its card allows.

    That is a fault: of the bound, or of the measurement. A card outside the table is held to the least of all cards.
    """
    models = accelerators(evidence.run.machine)
    lines = []
    for case in sorted(case for case in evidence.measured if evidence.is_contender(case)):
        for scope in SCOPES:
            bound = _bound_of(case, models.get(case.device, ""), scope)
            us = time_of(evidence.sides[case], scope, evidence.confidence).value
            if bound is not None and us < bound.us:
                lines.append(beaten_words(f"{case} by {scope} took {microseconds(us)} us", bound))
    return lines


def _bound_of(case: CaseKey, model: str, scope: str) -> Least | None:
    count = launches_of().get(case.style, 0)
    return least_here(model, lambda card: least(card, case.size, case.arithmetic, scope, count))
