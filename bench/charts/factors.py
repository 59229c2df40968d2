"""A headline speedup taken apart into its factors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.charts import style as chart_style
from bench.charts.beside import _beside, axes_width
from bench.charts.layers import FASTER, ROW_IN, SLOWER
from bench.charts.style import FAINT, FIFTY_X, INK, PALETTE, WIDTH_IN, Words
from bench.words import number


def waterfall(factors: Sequence[tuple[str, float]], words: Words, bounds: Sequence[tuple[float, float]] = ()) -> Figure:
    """A headline speedup as a product: each bar starts where the one before ended, the last is the product.

    `factors` are (label, factor) with positive finite factors, at least one; a factor below 1 goes back. `bounds` are
    the interval of each factor and, last, of the product.
    """
    reached = [1.0]
    for _label, factor in factors:
        reached.append(reached[-1] * factor)
    bars = [*zip([label for label, _ in factors], pairwise(reached), strict=True), ("all together", (1.0, reached[-1]))]
    told = [factor_words(end / start, *bounds[at : at + 1]) for at, (_label, (start, end)) in enumerate(bars)]
    left = min(3.4, max(chart_style.text_width_in(chart_style.elided(label, 44)) for label, _ in bars) + 0.45)
    height = ROW_IN * 1.2 * len(bars) + 0.1
    page = chart_style.page(words, height + 0.85)
    axes = page.axes(left, 0.52, WIDTH_IN - left - 0.42 - max(map(chart_style.text_width_in, told)), height)
    axes.set_xlim(min([*reached, 1.0]) / 1.3, max([*reached, 50.0]) * 1.4)
    axes.set_ylim(len(bars) - 0.4, -0.6)
    chart_style.log_axis(axes, "x", unit="x")
    axes.set_yticks(range(len(bars)), [chart_style.elided(label, 44) for label, _ in bars])
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("speedup so far (log scale)")
    axes.axvline(1, color=INK, linewidth=1.2)
    axes.axvline(50, color=FIFTY_X, linewidth=1.2, linestyle=(0, (5, 2)))
    axes.text(50, -0.65, "50x", color=FIFTY_X, fontsize=9, fontweight="bold", ha="center", va="bottom")
    _draw_factors(axes, bars, told)
    return page.figure


def _draw_factors(axes: Axes, bars: Sequence[tuple[str, tuple[float, float]]], told: Sequence[str]) -> None:
    for at, (_label, (start, end)) in enumerate(bars):
        last = at == len(bars) - 1
        colour = PALETTE[0] if last else FASTER if end >= start else SLOWER
        axes.barh(at, end - start, left=start, height=0.55, color=colour)
        _beside(axes, axes_width(axes) + 0.15, at, told[at], size=9)
        if not last:
            axes.plot([end, end], [at, at + 1], color=FAINT, linewidth=0.8, linestyle=":")


def factor_words(factor: float, bounds: tuple[float, float] = (math.nan, math.nan)) -> str:
    """`2.50x [2.41, 2.59]`, or `2.50x` where the interval is unknown."""
    low, high = bounds
    return f"{number(factor)}x" + (f" [{number(low)}, {number(high)}]" if math.isfinite(low) else "")
