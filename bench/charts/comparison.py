"""A comparison of two runs as a matplotlib Figure: the ratio of each case with its interval; saves nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.cases.problem import Size
from bench.charts.drawing.series import Config, config_of, order
from bench.charts.drawing.strip import Row, draw_interval, ratio_words, strip
from bench.charts.drawing.style import GREY, INK, PALETTE, Words, elided
from bench.charts.drawing.ticks import log_axis
from bench.verdict.comparison import Compared, Comparison, summary

LOOK: Mapping[str, tuple[str, str]] = {  # colour and shape, so that it reads without colour too
    "faster": (PALETTE[2], "^"),
    "slower": (PALETTE[1], "v"),
    "same": (PALETTE[0], "o"),
    "undecided": (GREY, "D"),
}


def comparison_chart(found: Comparison, footer: str) -> Figure:
    """One row a case, B's speedup over A on a logarithmic axis, the margin of `same` shaded."""
    words = Words(
        f"{found.b} against {found.a}: {summary(found)}",
        f"Times of A over times of B, {found.scope}: right of 1x, B is faster. "
        "Bars: 95% intervals (Welch, over processes).",
        footer,
    )
    legend = [
        Line2D([], [], color=LOOK[name][0], marker=LOOK[name][1], linestyle="", label=f"{name} ({count})")
        for name, count in found.counts.items()
        if count
    ]
    rows: list[Row] = []
    cases: list[Compared] = []
    for (size, config), here in _grouped(found.cases).items():
        rows.append(Row(f"{config.label}, {size}", heading=True))
        rows += [Row(elided(one.case.style), ratio_words(one.ratio)) for one in here]
        cases += here
    figure, axes, at = strip(words, rows, "time of A over time of B (log scale)", legend=legend)
    axes.axvspan(1 / (1 + found.margin), 1 + found.margin, color=PALETTE[0], alpha=0.12, linewidth=0)
    axes.axvline(1, color=INK, linewidth=0.8)
    axes.set_xlim(*_limits(found))
    log_axis(axes, "x", unit="x")
    for y_in, one in zip(at, cases, strict=True):
        colour, shape = LOOK[one.outcome]
        draw_interval(axes, y_in, (one.ratio.low, one.ratio.high), colour)
        axes.plot([one.ratio.value], [y_in], color=colour, marker=shape, markersize=5.5, linestyle="")
    return figure


def _grouped(cases: Sequence[Compared]) -> dict[tuple[Size, Config], list[Compared]]:
    """The cases of each size and configuration, in order, the CPU first."""
    sizes = {size: at for at, size in enumerate(dict.fromkeys(one.case.size for one in cases))}
    found: dict[tuple[Size, Config], list[Compared]] = {}
    for one in sorted(cases, key=lambda one: (sizes[one.case.size], order(config_of(one.case)))):
        found.setdefault((one.case.size, config_of(one.case)), []).append(one)
    return found


def _limits(found: Comparison) -> tuple[float, float]:
    ends = [1 / (1 + 2 * found.margin), 1 + 2 * found.margin]
    for one in found.cases:
        ends += [end for end in (one.ratio.low, one.ratio.high, one.ratio.value) if end == end]  # not NaN
    return min(ends) / 1.03, max(ends) * 1.03
