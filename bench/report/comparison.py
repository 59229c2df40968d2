"""What is printed of a comparison: a table, sentences, plain values for JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.verdict.comparison import Compared, Comparison, summary
from bench.verdict.difference import Difference
from bench.words import microseconds, number

CAVEAT = (
    "speedup: A's time over B's, above 1 B is faster. [low, high]: 95% interval of Welch's t over the processes' "
    "log medians; it holds the noise within a run, not what changed the whole machine between the two."
)


def print_comparison(console: Console, found: Comparison, differing: Sequence[Difference]) -> None:
    """What differs, a row a case, what was left out and why, and the sum in one sentence."""
    console.print(Text(f"A: {found.a}   B: {found.b}   scope: {found.scope}"))
    if found.identical:
        console.print("A and B are one and the same run: a run differs in nothing from itself.")
    for one in differing:
        console.print(Text(f"differs: {one.kind}: {one.name}: {one.a or 'unknown'} -> {one.b or 'unknown'}"))
    if not differing and not found.identical:
        console.print("nothing recorded differs between the runs: machine, versions, styles and method are the same")
    if len({one.kind for one in differing}) > 1:
        console.print("these differ together: a ratio below is of all of them at once, and no proof of any one")
    if found.cases:
        console.print(case_table(found))
        console.print(CAVEAT)
    for apart in found.apart:
        console.print(Text(f"not compared: {apart.case}: {apart.reason}"))
    for one_case in found.cases:
        if one_case.reason:
            console.print(Text(f"undecided: {one_case.case}: {one_case.reason}"))
    console.print(Text(f"{summary(found)}{_by_chance(found)}"))


def _by_chance(found: Comparison) -> str:
    called = found.counts["faster"] + found.counts["slower"]
    expected = 0.05 * len(found.cases)
    return f" (of as many equal cases chance alone would call up to {expected:.1f})" if called else ""


def case_table(found: Comparison) -> Table:
    """Times in us an iteration, the ratio with its interval, the outcome."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("case", no_wrap=True)
    for name in ("A us", "B us", "processes", "speedup of B", "95%"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("B is", no_wrap=True)
    for one in found.cases:
        table.add_row(*case_cells(one, found.margin))
    return table


def case_cells(one: Compared, margin: float) -> list[str]:
    """The cells of one case."""
    ratio = one.ratio
    interval = f"[{exact(ratio.low)}, {exact(ratio.high)}]" if math.isfinite(ratio.low) else "[?]"
    outcome = f"same ±{margin:.0%}" if one.outcome == "same" and margin >= 0.01 else one.outcome
    return [
        str(one.case),
        microseconds(one.a_us),
        microseconds(one.b_us),
        f"{one.a_processes}, {one.b_processes}",
        exact(ratio.value),
        interval,
        outcome + (" noisy" if one.noisy else ""),
    ]


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
        "differences": [asdict(one) for one in differing],
        "cases": [_case_json(one) for one in found.cases],
        "not_compared": [{**one.case._asdict(), "reason": one.reason, "broken": one.broken} for one in found.apart],
        "fail_if_slower": limit,
        "failed": list(failed),
    }


def _case_json(one: Compared) -> dict[str, Any]:
    numbers = {"speedup": one.ratio.value, "low": one.ratio.low, "high": one.ratio.high}
    return {
        **one.case._asdict(),
        "a_us": one.a_us,
        "b_us": one.b_us,
        "a_processes": one.a_processes,
        "b_processes": one.b_processes,
        **{name: value if math.isfinite(value) else None for name, value in numbers.items()},
        "outcome": one.outcome,
        "reason": one.reason,
        "noisy": one.noisy,
    }
