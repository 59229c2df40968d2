"""What other tools find of the same loop, with its interval, and whether the harness agrees."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.checks import Check
from bench.verdict.ratios.intervals import CONFIDENCE, paired_ratio

TOOLS = "tools.csv"
FEW_PAIRS = 5
CLOCK, UNTIMED, PEDANTIC = "clock", "untimed", "pedantic untimed"
TIMEIT, TORCH, PYPERF, SUITE = "timeit", "torch Timer", "pyperf", "pytest --benchmark-only"
SCRIPT, SCRIPT_LOOP, SCRIPT_FAULTS = "the tutorial's script", "the tutorial's script, loop", "script page faults"
CLOCK_US, UNTIMED_US = 0.1, 0.4  # at most
# of theirs with ours
AGREEMENT = {TIMEIT: 0.005, TORCH: 0.005, PYPERF: 0.02, SUITE: 0.05, SCRIPT: 0.05, SCRIPT_LOOP: 0.05}
FAULTS_LIMIT = 1.0  # an iteration, between the script and ours


@dataclass(frozen=True, slots=True)
class Tool:
    """One quantity: its value in `unit`, None where it is not known, from `n` samples; the note says why or what.

    `low` to `high` is its 95% interval, where there is one.
    """

    quantity: str
    value: float | None
    unit: str
    n: int = 0
    note: str = ""
    low: float | None = None
    high: float | None = None

    @property
    def half_width(self) -> float:
        """Of the interval; infinite where there is none."""
        return math.inf if self.low is None or self.high is None else (self.high - self.low) / 2

    @classmethod
    def ratio_of(cls, quantity: str, pairs: Sequence[tuple[float, float]], note: str = "") -> Tool:
        """Theirs over ours, of processes in turns: the geometric mean."""
        found = paired_ratio([theirs for theirs, _ in pairs], [ours for _, ours in pairs])
        return cls(quantity, found.value, "ratio", len(pairs), note, *_known(found.low, found.high))

    @classmethod
    def median_of(cls, quantity: str, ratios: Sequence[float], note: str = "") -> Tool:
        """Theirs over ours, of turns in one process: the median, and the exact interval from its order statistics."""
        from scipy.stats import quantile_test  # kept out of start-up

        interval: Any = quantile_test(ratios, q=1.0, p=0.5).confidence_interval(CONFIDENCE)
        return cls(quantity, median(ratios), "ratio", len(ratios), note, *_known(interval.low, interval.high))


INTERVAL = ("low", "high")  # columns that came later


def _known(low: float, high: float) -> tuple[float | None, float | None]:
    return (float(low), float(high)) if math.isfinite(high - low) else (None, None)


def judge_tools(tools: Mapping[str, Tool]) -> list[Check]:
    """What the clock costs, and whether other tools find the same."""
    pedantic = tools.get(PEDANTIC) or Tool(PEDANTIC, None, "us", note="not measured")
    note = f"pytest-benchmark pedantic: {pedantic.note if pedantic.value is None else f'{pedantic.value:.2f} us'}"
    clock, untimed, us = tools.get(CLOCK), tools.get(UNTIMED), "{:.3f} us"
    return [
        judge_tool("cost of the clock: a no-op sample", f"<= {CLOCK_US:g} us", clock, CLOCK_US, us),
        judge_tool("untimed between samples", f"<= {UNTIMED_US:g} us", untimed, UNTIMED_US, us, note=note),
        *(judge_agreement(name, tools.get(name), limit) for name, limit in AGREEMENT.items()),
        judge_faults(tools.get(SCRIPT_FAULTS)),
    ]


def judge_agreement(name: str, tool: Tool | None, limit: float) -> Check:
    """The same loop by another tool, over ours."""
    title, must = f"same quantity by {name}", f"within {limit:.1%}"
    return judge_tool(title, must, tool, limit, "{:+.2%}", expected=1.0, note="theirs over ours, in turns")


def judge_faults(tool: Tool | None) -> Check:
    """Page faults an iteration of the tutorial's script, less those of the baseline that stands for it."""
    title = "page faults an iteration: the tutorial's script less ours"
    return judge_tool(title, f"within {FAULTS_LIMIT:g}", tool, FAULTS_LIMIT, "{:+.2f}")


def judge_tool(
    title: str, must: str, tool: Tool | None, limit: float, shown: str, *, expected: float = 0.0, note: str = ""
) -> Check:
    """How far a quantity is from what is expected; of fewer than FEW_PAIRS a miss is noise, and tests nothing.

    Nor does an interval that reaches from a miss to within the limit, or half of which is wider than the limit. One
    that lies beyond the limit as a whole is a miss, however wide.
    """
    if tool is None or tool.value is None:
        return Check(title, must, "", None, 0, tool.note if tool else "not measured")
    if not math.isfinite(tool.value):
        return Check(title, must, "", None, tool.n, "; ".join(filter(None, (f"its value is {tool.value}", tool.note))))
    off = tool.value - expected
    met: bool | None = abs(off) <= limit or None
    notes = [note, tool.note]
    if met is None and tool.n >= FEW_PAIRS:
        met = False
    elif met is None:
        notes.insert(0, f"a miss of fewer than {FEW_PAIRS} tests nothing")
    if tool.low is not None and tool.high is not None and math.isfinite(tool.high - tool.low):
        low, high = tool.low - expected, tool.high - expected
        notes.insert(0, f"95% interval {shown.format(low)} to {shown.format(high)}")
        beyond = low > limit or high < -limit  # then no width excuses it
        if not beyond and (not met or (high - low) / 2 > limit):
            met = None
            notes.insert(0, "too noisy")
    return Check(title, must, shown.format(off), met, tool.n, "; ".join(filter(None, notes)))
