"""The command `compare`: two runs or two machines, a ratio and its interval for each case they share."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from bench.commands._common import DONE, NO, OPEN, AsJson, console, status, tell_unfinished
from bench.errors import UsageError
from bench.words import counted, grouped, percent

if TYPE_CHECKING:
    from bench.verdict.comparison import Comparison


MARGIN = "a case is `same` when its whole interval is within ± this"
SLOWER = "exit 1 when B is surely slower by more (Holm), or broken"


def compare(
    a: Annotated[Path, Argument(metavar="A", help="run folder or x.json: before, or one machine")],
    b: Annotated[Path, Argument(metavar="B", help="run folder or x.json: after, or the other machine")],
    scope: Annotated[str, Option(metavar="NAME", help="iteration, throughput, loop or program")] = "iteration",
    margin: Annotated[str, Option(metavar="2%", help=MARGIN)] = "2%",
    fail_if_slower: Annotated[str | None, Option(metavar="5%", help=SLOWER)] = None,
    chart: Annotated[Path | None, Option(metavar="FILE", help="also draw it, .png or .svg")] = None,
    as_json: AsJson = False,
) -> int:
    """Compare two runs or two machines, case by case.

    Each case is faster, slower, same or undecided.
    """
    from bench.report import comparison as comparison_report
    from bench.tables.difference import differences
    from bench.tables.run import read_run
    from bench.verdict import comparison
    from bench.verdict.ratios.pairs import SCOPES

    if scope not in SCOPES:
        raise UsageError(f"--scope {scope}: no such scope; there are {', '.join(SCOPES)}")
    if chart is not None and chart.suffix not in (".png", ".svg"):
        raise UsageError(f"--chart {chart}: give a file that ends in .png or .svg")
    limit = None if fail_if_slower is None else percentage("--fail-if-slower", fail_if_slower)
    width = percentage("--margin", margin)
    with status() as say:
        say(f"comparing {a} and {b}")
        runs = read_run(a), read_run(b)
        found = comparison.compare(*runs, scope=scope, margin=width)
    if not found.cases and not any(one.broken for one in found.excluded):
        why = "; ".join(dict.fromkeys(one.reason for one in found.excluded)) or "no rows"
        raise UsageError(f"{a} and {b} share no case that can be compared ({why}); measure the same cases in both")
    for run in runs:
        tell_unfinished(run)
    differing = differences(*runs)
    failed = [] if limit is None else failures(found, limit)
    if as_json:
        print(json.dumps(comparison_report.as_json(found, differing, limit, failed), indent=1))
    else:
        comparison_report.print_comparison(console(), found, differing)
    if chart is not None:
        save_chart(found, chart, f"A: {a.name}, B: {b.name}. {comparison_report.CAVEAT}")
    return DONE if limit is None else gate(found, limit, failed)


def percentage(option: str, text: str) -> float:
    """`5%` as 0.05. Raises UsageError; the sign is asked for, since 0.05 and 5 could both be meant as either."""
    try:
        value = float(text.removesuffix("%")) / 100
    except ValueError:
        value = math.nan
    if not text.endswith("%") or not (math.isfinite(value) and value >= 0):
        raise UsageError(f"{option} {text}: give a percentage from 0% up, such as 5%")
    return value


def failures(found: Comparison, limit: float) -> list[str]:
    """A line for every case that is slower beyond the limit, or that A measured and B broke."""
    slower = [
        f"{one.case}: takes {1 / one.ratio.value - 1:.1%} longer, at least {1 / one.ratio.high - 1:.1%}"
        for one in found.slower_than(limit)
    ]
    broken = [f"{one.case}: {one.broken}" for one in found.cases if one.broken]
    return slower + broken + [f"{one.case}: {one.reason}" for one in found.excluded if one.broken]


def gate(found: Comparison, limit: float, failed: list[str]) -> int:
    """Tell on stderr what failed and what stays open; the exit code, OPEN where not a single case could be judged."""
    for line in failed:
        print(f"fails: {line}", file=sys.stderr)
    still = len(found.perhaps_slower_than(limit))
    if still:
        slower = f"may or may not be slower by more than {percent(limit)}"
        print(f"open: {counted(still, 'case')} {slower}; add blocks", file=sys.stderr)
    gone = [(one.reason, str(one.case)) for one in found.excluded if one.measured and not one.broken]
    for line in grouped(gone):
        print(f"not judged, though A measured it: {line}", file=sys.stderr)
    return NO if failed else DONE if still < len(found.cases) else OPEN


def save_chart(found: Comparison, path: Path, footer: str) -> None:
    """Draw the comparison into one file. Raises UsageError where it cannot be written."""
    from bench.charts.comparison import comparison_chart
    from bench.charts.drawing.style import PNG_DPI, applied

    with applied():
        figure = comparison_chart(found, footer)
        try:
            figure.savefig(path, dpi=PNG_DPI, metadata={"Date": None} if path.suffix == ".svg" else None)
        except OSError as error:
            raise UsageError(f"--chart {path}: cannot be written: {error.strerror}") from error
    print(path, file=sys.stderr)
