"""The validation's tables as one matplotlib Figure; saves nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bench.validation import BOOTSTRAP, IDENTICAL, SEQUENTIAL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = dict[str, str]
SHOWN = 100
GOOD, MISSED, NEEDED = "#1b6ca8", "#c8553d", "#555555"
NEEDS = {5: 0.99, 2: 0.95, 1: 0.50}


def validation_figure(experiments: Sequence[Row], machine: dict[str, Any]) -> Figure:
    """Three panels from the rows of experiments.csv: A/A intervals, coverage with its controls, slowdowns found."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4.4), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.5, 1, 1))
    _intervals(left, [row for row in experiments if row["kind"] == IDENTICAL])
    _coverage(middle, experiments)
    _power(right, experiments)
    where = f"{machine.get('cpu_model') or 'unknown processor'}, {str(machine.get('created', ''))[:10]}"
    figure.suptitle(f"The harness measured by itself: 10 processes a side. {where}", x=0.01, ha="left", fontsize=11)
    return figure


def _intervals(axes: Axes, rows: Sequence[Row]) -> None:
    # every so many-th, so that all groups of blocks are shown
    chosen = rows[:: max(1, len(rows) // SHOWN)][:SHOWN]
    for place, row in enumerate(sorted(chosen, key=lambda row: float(row["speedup"]))):
        low, high, middle = (100 * (float(row[name]) - 1) for name in ("low", "high", "speedup"))
        colour = GOOD if row["holds"] == "True" else MISSED
        axes.plot([low, high], [place, place], color=colour, linewidth=1)
        axes.plot(middle, place, ".", color=colour, markersize=3)
    axes.axvline(0, color=NEEDED, linewidth=0.8)
    axes.set(yticks=[], xlabel="difference of two identical cases, % with 95% interval")
    axes.set_title(f"{len(chosen)} of {len(rows)} A/A experiments (red: misses 0)", fontsize=10, loc="left")


def _coverage(axes: Axes, rows: Sequence[Row]) -> None:
    names = {
        IDENTICAL: "paired by block",
        SEQUENTIAL: "all of A,\nthen all of B",
        BOOTSTRAP: "bootstrap over\niterations",
    }
    for place, kind in enumerate(names):
        _bar(
            axes, place, [row["holds"] == "True" for row in rows if row["kind"] == kind], GOOD if not place else MISSED
        )
    axes.axhspan(93, 97, color=NEEDED, alpha=0.25, linewidth=0)
    axes.axhline(80, color=NEEDED, linewidth=0.8, linestyle=":")
    axes.set(ylim=(0, 108), ylabel="% of intervals that hold the truth")
    axes.set_xticks(range(len(names)), list(names.values()), fontsize=8)
    axes.set_title("coverage (band: 93-97%, dots: controls' limit)", fontsize=10, loc="left")


def _power(axes: Axes, rows: Sequence[Row]) -> None:
    for place, (percent, need) in enumerate(NEEDS.items()):
        for shift, kind, colour in ((-0.2, f"calculated {percent}%", GOOD), (0.2, f"spin-{percent}", "#7aa95c")):
            _bar(
                axes,
                place + shift,
                [row["found_slower"] == "True" for row in rows if row["kind"] == kind],
                colour,
                0.38,
            )
        axes.plot([place - 0.4, place + 0.4], [100 * need] * 2, color=NEEDED, linewidth=1.5)
    axes.set(ylim=(0, 108), ylabel="% found", xlabel="planted slowdown (blue: calculated, green: real spin)")
    axes.set_xticks(range(len(NEEDS)), [f"{percent}%" for percent in NEEDS])
    axes.set_title("slowdowns found (line: must reach)", fontsize=10, loc="left")


def _bar(axes: Axes, place: float, found: Sequence[bool], colour: str, width: float = 0.6) -> None:
    if not found:
        return
    height = 100 * sum(found) / len(found)
    axes.bar(place, height, width, color=colour)
    axes.annotate(f"{height:.0f}", (place, height), ha="center", va="bottom", fontsize=8)
