"""A comparison as a matplotlib Figure: the ratio of each case with its interval; saves nothing."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from bench.charts.style import FAINT, INK, MARGIN_IN, PALETTE, WIDTH_IN, Page, Words, elided, log_axis, page
from bench.charts.style import text_width_in as width_in
from bench.verdict.comparison import Compared, Comparison, summary

ROW_IN = 0.24
LOOK: Mapping[str, tuple[str, str]] = {  # colour and shape, so that it reads without colour too
    "faster": (PALETTE[2], "^"),
    "slower": (PALETTE[1], "v"),
    "same": (PALETTE[0], "o"),
    "undecided": (PALETTE[7], "D"),
}


def comparison_chart(found: Comparison, footer: str) -> Page:
    """One row a case, B's speedup over A on a logarithmic axis, the margin of `same` shaded."""
    labels = [elided(str(one.case), 52) for one in found.cases]
    words = Words(
        f"{found.b} against {found.a}",
        f"{summary(found)}. Times of A over times of B, {found.scope}: right of 1x, B is faster. "
        "Bars: 95% intervals (Welch, over processes).",
        footer,
    )
    made = page(words, ROW_IN * len(labels) + 0.95)
    left = MARGIN_IN + 0.1 + max((width_in(label, 9.5) for label in labels), default=1.0)
    axes = made.axes(left, 0.75, WIDTH_IN - left - MARGIN_IN, ROW_IN * len(labels))
    axes.axvspan(1 / (1 + found.margin), 1 + found.margin, color=PALETTE[0], alpha=0.12, linewidth=0)
    axes.axvline(1, color=INK, linewidth=0.8)
    for row, one in enumerate(found.cases):
        _bar(axes, row, one)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    low, high = _limits(found)
    axes.set_xlim(low, high)
    log_axis(axes, "x", unit="x")
    _fine_ticks(axes, low, high)
    _legend(made, found)
    return made


def _legend(made: Page, found: Comparison) -> None:
    handles = [
        Line2D([], [], color=LOOK[name][0], marker=LOOK[name][1], linestyle="", label=f"{name} ({count})")
        for name, count in found.counts.items()
        if count
    ]
    made.figure.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(MARGIN_IN / WIDTH_IN, (made.bottom + 0.1) / made.figure.get_size_inches()[1]),
        ncols=len(handles),
        borderaxespad=0,
        borderpad=0,
    )


def _bar(axes: Axes, row: int, one: Compared) -> None:
    colour, shape = LOOK[one.outcome]
    ratio = one.ratio
    axes.plot([ratio.low, ratio.high], [row, row], color=colour, linewidth=2.2, solid_capstyle="butt")
    axes.plot([ratio.value], [row], color=colour, marker=shape, markersize=5.5, linestyle="")


def _limits(found: Comparison) -> tuple[float, float]:
    ends = [1 - 2 * found.margin, 1 + 2 * found.margin]
    for one in found.cases:
        ends += [end for end in (one.ratio.low, one.ratio.high, one.ratio.value) if end == end]  # not NaN
    return min(ends) / 1.03, max(ends) * 1.03


def _fine_ticks(axes: Axes, low: float, high: float) -> None:
    """A logarithmic axis of less than a factor of three has no decade to mark: even steps instead."""
    if high / low > 3:
        return
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _at: f"{value:.4g}x"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.tick_params(axis="x", colors=FAINT)
