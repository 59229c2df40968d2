"""The validation's tables as one matplotlib Figure; saves nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.charts.drawing import style as chart_style
from bench.charts.drawing.style import FAINT, INK, PALETTE, Words
from bench.simulation.drift import BLOCKS
from bench.validation.acceptance import COVERAGE, POWER
from bench.validation.experiments import BOOTSTRAP, IDENTICAL, SEQUENTIAL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


Row = Mapping[str, str]
SHOWN = 100
BODY_IN = 4.7
GOOD, MISSED, REAL = PALETTE[0], PALETTE[1], PALETTE[2]
SAME = IDENTICAL.format(BLOCKS)
KINDS = {
    SAME: "paired\nby block",
    SEQUENTIAL: "all of A, then\nall of B, drift",
    BOOTSTRAP: "bootstrap over\niterations",
}


def validation_figure(experiments: Sequence[Row], machine: Mapping[str, Any]) -> Figure:
    """Three panels from the rows of experiments.csv: A/A intervals, coverage with its controls, slowdowns found."""
    subtitle = (
        "Identical cases must come out equal 93-97 times of 100, wrong ways to make an interval must be seen to fail, "
        "and planted slowdowns must be found."
    )
    when = str(machine.get("created", ""))[:10]
    footer = (
        f"{machine.get('cpu_model') or 'unknown processor'}, {when}. An experiment: 10 processes a side, paired by "
        f"block, 95% interval. All are drawn from one pool of measurements, so they overlap. From experiments.csv."
    )
    page = chart_style.page(Words("The harness measured by itself", subtitle, footer), BODY_IN)
    _intervals(page.axes(0.35, 0.6, 3.5, 3.75), [row for row in experiments if row["kind"] == SAME])
    _coverage(page.axes(4.55, 2.95, 3.2, 1.4), experiments)
    _power(page.axes(4.55, 0.6, 3.2, 1.4), experiments)
    return page.figure


def _intervals(axes: Axes, rows: Sequence[Row]) -> None:
    # every so many-th, so that all groups of blocks are shown
    chosen = [rows[index * len(rows) // SHOWN] for index in range(SHOWN)] if len(rows) > SHOWN else rows
    for place, row in enumerate(sorted(chosen, key=lambda row: float(row["speedup"]))):
        low, high, middle = (100 * (float(row[name]) - 1) for name in ("low", "high", "speedup"))
        colour = GOOD if row["holds"] == "True" else MISSED
        axes.plot([low, high], [place, place], color=colour, linewidth=1)
        axes.plot(middle, place, ".", color=colour, markersize=3)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set(yticks=[], xlabel="difference, % with its 95% interval")
    axes.set_title(f"Two identical cases, {len(chosen)} of {len(rows)} experiments\norange: an interval without 0")
    if not rows:
        axes.set_xticks([])
        axes.text(0.5, 0.5, "the pool is too small", ha="center", va="center", color=FAINT, transform=axes.transAxes)


def _coverage(axes: Axes, rows: Sequence[Row]) -> None:
    for place, kind in enumerate(KINDS):
        colour = GOOD if kind == SAME else MISSED
        _bar(axes, place, [row["holds"] == "True" for row in rows if row["kind"] == kind], colour)
    low, high = COVERAGE
    axes.axhspan(100 * low, 100 * high, xmax=1 / 3, color=INK, alpha=0.3, linewidth=0)
    axes.plot([0.5, 2.5], [80, 80], color=INK, linewidth=1.2)
    axes.set(ylim=(0, 119), xlim=(-0.5, 2.5), yticks=[0, 50, 100])
    axes.set_xticks(range(len(KINDS)), list(KINDS.values()))
    axes.set_title("Intervals that hold the truth, %\nband: must be in; line: must stay below")


def _power(axes: Axes, rows: Sequence[Row]) -> None:
    for place, (percent, need) in enumerate(POWER.items()):
        for shift, kind, colour in ((-0.2, f"calculated {percent}%", GOOD), (0.2, f"work-{percent}", REAL)):
            _bar(axes, place + shift, [row["found_slower"] == "True" for row in rows if row["kind"] == kind], colour)
        axes.plot([place - 0.42, place + 0.42], [100 * need] * 2, color=INK, linewidth=1.2)
    axes.set(
        ylim=(0, 119), xlim=(-0.5, 2.5), yticks=[0, 50, 100], xlabel="slower by; blue: calculated, green: real work"
    )
    axes.set_xticks(range(len(POWER)), [f"{percent}%" for percent in POWER])
    axes.set_title("Planted slowdowns found, %\nline: must reach")


def _bar(axes: Axes, place: float, found: Sequence[bool], colour: str) -> None:
    if not found:
        axes.annotate("untested", (place, 3), ha="center", va="bottom", fontsize=8, color=FAINT, rotation=90)
        return
    height = 100 * sum(found) / len(found)
    axes.bar(place, height, 0.38, color=colour)
    axes.annotate(f"{height:.0f}", (place, height), ha="center", va="bottom", fontsize=8.5)
