"""What is printed of a comparison: a table, sentences, plain values for JSON."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from bench.plain import to_plain
from bench.report.run_tables import time_cell
from bench.report.sheet import Cell, Sheet, print_sheet, print_words, sheet
from bench.tables.difference import Difference
from bench.verdict.comparison import Compared, Comparison, summary
from bench.words import grouped, number, percent

HALF_WIDTH = re.compile(r", ±[\d.]+%(?=,)")  # which the case's own interval shows: without it reasons are alike
CAVEAT = (
    "speedup: A's time over B's, above 1 B is faster. [low, high]: 95% interval of Welch's t over the processes' "
    "log medians, where both read it over the reference product: without the core's clock, B us at A's speed. "
    "faster and slower are corrected for the number of cases (Holm): one chance in twenty of any false one."
)


def print_comparison(console: Console, found: Comparison, differing: Sequence[Difference]) -> None:
    """What differs, a row a case, what was left out and why, and the sum in one sentence."""
    lines = [f"A: {found.a}   B: {found.b}   scope: {found.scope}"]
    if found.identical:
        lines.append("A and B are one and the same run: a run differs in nothing from itself.")
    lines += [f"differs: {one.kind}: {one.name}: {one.a or 'unknown'} -> {one.b or 'unknown'}" for one in differing]
    if not differing and not found.identical:
        lines.append("nothing recorded differs between the runs: machine, versions, styles and method are the same")
    if len({one.kind for one in differing}) > 1:
        lines.append("these differ together: a ratio below is of all of them at once, and no proof of any one")
    for line in lines:
        print_words(console, line)
    if found.cases:
        print_sheet(console, case_sheet(found), ("processes",))
    for line in grouped((one.reason, str(one.case)) for one in found.excluded):
        print_words(console, f"not compared: {line}")
    undecided = ((HALF_WIDTH.sub("", one.reason), str(one.case)) for one in found.cases if one.reason)
    for line in grouped(undecided):
        print_words(console, f"undecided: {line}")
    if sum(not one.by_reference for one in found.cases) >= 3 and not found.identical:
        shift = f"{exact(found.common_shift)} times as fast over the cases whose times hold its clock (median)"
        print_words(console, f"B's machine was {shift}")
    print_words(console, summary(found))


def case_sheet(found: Comparison) -> Sheet:
    """Times in us an iteration, the ratio with its interval, the outcome."""
    rows = [_case_row(one, found.margin) for one in found.cases]
    return sheet("", rows, [CAVEAT], constant=("size", "processes"), prose=("case", "B is"))


def _case_row(one: Compared, margin: float) -> dict[str, Cell | str]:
    ratio = one.ratio
    interval = f"[{exact(ratio.low)}, {exact(ratio.high)}]" if math.isfinite(ratio.low) else "[?]"
    outcome = f"same ±{percent(margin)}" if one.outcome == "same" else one.outcome
    return {
        "case": one.case.label,
        "size": Cell(str(one.case.size), sort=float(one.case.size.flops)),
        "A us": time_cell(one.a_us),
        "B us": time_cell(one.b_us),
        "processes": Cell(f"{one.a_processes}, {one.b_processes}", sort=float(one.a_processes)),
        "speedup of B": Cell(exact(ratio.value), interval, ratio.value),
        "B is": outcome + (" noisy" if one.noisy else ""),
    }


def exact(value: float) -> str:
    """A ratio near 1 with three decimals, since its differences are small: 1.003, 12.3."""
    return f"{value:.3f}" if 0.1 < value < 10 else number(value)


def as_json(
    found: Comparison, differing: Sequence[Difference], limit: float | None, failed: Sequence[str]
) -> dict[str, Any]:
    """All of it as plain values; what is unknown is null."""
    return {
        "a": found.a,
        "b": found.b,
        "scope": found.scope,
        "margin": found.margin,
        "identical": found.identical,
        "summary": summary(found),
        "counts": found.counts,
        "differences": to_plain(differing),
        "cases": [_case_json(one) for one in found.cases],
        "not_compared": [{**one.case._asdict(), "reason": one.reason, "broken": one.broken} for one in found.excluded],
        "fail_if_slower": limit,
        "failed": list(failed),
    }


def _case_json(one: Compared) -> dict[str, Any]:
    values = to_plain(one)
    ratio = values.pop("ratio")
    del values["times"]
    case = {**one.case._asdict(), "speedup": ratio["value"], "low": ratio["low"], "high": ratio["high"]}
    return {**case, **{name: value for name, value in values.items() if name != "case"}}
