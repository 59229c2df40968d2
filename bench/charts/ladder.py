"""The ladder of speedups: each style against one baseline at one size, with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.charts import style as chart_style
from bench.charts.rows import Config, config_of, in_order, interval_words
from bench.charts.style import FAINT, MARGIN_IN, ONE_X, WIDTH_IN, Words
from bench.verdict.intervals import CONFIDENCE
from bench.verdict.speedup import Speedup
from bench.words import number

ROW_IN, HEADING_IN = 0.235, 0.34


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the ladder: a heading, a style's speedup, or the baseline itself (no speedup)."""

    text: str
    y_in: float
    config: Config | None = None
    speedup: Speedup | None = None

    @property
    def heading(self) -> bool:
        """Whether it only names the group below it."""
        return self.config is None


def ladder_rows(found: Sequence[Speedup]) -> list[Row]:
    """Grouped by configuration, fastest first; the baselines among them, `y_in` inches down from the top."""
    cases = {one.contender: one for one in found}
    keys = [*cases, *dict.fromkeys(one.baseline_case for one in found if one.baseline != "own")]
    rows, y_in = [], 0.0
    for config in in_order(config_of(key) for key in keys):
        y_in += HEADING_IN
        rows.append(Row(config.label, y_in))
        here = [key for key in keys if config_of(key) == config]
        for key in sorted(here, key=lambda key: -_value(cases.get(key))):
            y_in += ROW_IN
            rows.append(Row(str(key[0]), y_in, config, cases.get(key)))
    return rows


def _value(one: Speedup | None) -> float:
    return 1.0 if one is None else one.ratio.value


def speedup_ladder(found: Sequence[Speedup], words: Words, confidence: float = CONFIDENCE) -> Figure:
    """Speedup and interval of each style at one size against one baseline, a row a case.

    `found` holds one scope, size and baseline, and at least one speedup; `confidence` is that of its intervals.
    """
    rows = ladder_rows(found)
    names, left = left_of(rows)
    values_in = 1.95
    height = rows[-1].y_in + 0.2
    axes = (page := chart_style.page(words, height + 0.72)).axes(left, 0.5, WIDTH_IN - left - values_in, height)
    axes.set_xlim(*ratio_limits(found))
    axes.set_ylim(height, 0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    chart_style.log_axis(axes, "x", unit="x")
    axes.set_xlabel("speedup (log scale); right of 1x is faster than the baseline")
    reference_lines(axes)
    look = chart_style.look(sorted(names))
    for row in rows:
        _draw_row(axes, row, look)
    noisy = ", * noisy" if any(one.noisy for one in found) else ""
    axes.text(
        1.04,
        rows[0].y_in,
        f"[{interval_words(confidence)}]{noisy}",
        transform=_beside(axes),
        va="center",
        fontsize=8.5,
        color=FAINT,
    )
    return page.figure


def left_of(rows: Sequence[Row]) -> tuple[set[str], float]:
    """The styles in the ladder, and the inches that their names and the headings take."""
    names = {row.text for row in rows if not row.heading}
    left = max(chart_style.text_width_in(chart_style.elided(name)) for name in names) + 0.42
    left = max(left, *(chart_style.text_width_in(row.text) * 1.12 + MARGIN_IN + 0.1 for row in rows if row.heading))
    return names, left


def _beside(axes: Axes) -> object:
    from matplotlib.transforms import blended_transform_factory

    return blended_transform_factory(axes.transAxes, axes.transData)


def _draw_row(axes: Axes, row: Row, look: dict[str, tuple[str, str]]) -> None:
    beside: dict[str, Any] = {"transform": _beside(axes), "va": "center"}
    if row.config is None:
        left_in = axes.get_position().x0 * WIDTH_IN - MARGIN_IN
        wide_in = axes.get_position().width * WIDTH_IN
        axes.text(-left_in / wide_in, row.y_in, row.text, fontweight="bold", fontsize=9.5, ha="left", **beside)
        return
    axes.text(-0.02, row.y_in, chart_style.elided(row.text), fontsize=9.5, ha="right", **beside)
    if row.speedup is None:
        axes.plot([1], [row.y_in], marker="|", markersize=11, markeredgewidth=2, color=ONE_X)
        axes.text(1.04, row.y_in, "the baseline", fontsize=9, color=FAINT, **beside)
        return
    colour, _shape = look[row.text]
    ratio = row.speedup.ratio
    if math.isfinite(ratio.low):
        axes.plot([ratio.low, ratio.high], [row.y_in] * 2, color=colour, linewidth=2.6, solid_capstyle="butt")
        for end in (ratio.low, ratio.high):
            axes.plot([end], [row.y_in], marker="|", markersize=8, markeredgewidth=1.6, color=colour)
    axes.plot(
        [ratio.value],
        [row.y_in],
        **chart_style.point(row.config.accelerated, colour, "s" if row.config.accelerated else "o"),
    )
    noisy = " *" if row.speedup.noisy else ""
    axes.text(1.04, row.y_in, ratio_words(row.speedup) + noisy, fontsize=9, **beside)


def ratio_words(one: Speedup) -> str:
    """`12.3x [11.9, 12.7]`; `[?]` where one block has no interval."""
    ratio = one.ratio
    interval = f"[{number(ratio.low)}, {number(ratio.high)}]" if math.isfinite(ratio.low) else "[?]"
    return f"{number(ratio.value)}x {interval}"


def ratio_limits(found: Sequence[Speedup]) -> tuple[float, float]:
    """Limits of an axis that holds every speedup, its interval, 1x and 50x."""
    ratios = [one.ratio for one in found]
    values = [value for ratio in ratios for value in (ratio.value, *_interval(ratio.low, ratio.high))]
    return min([*values, 1.0]) / 1.35, max([*values, 50.0]) * 1.35


def _interval(low: float, high: float) -> tuple[float, ...]:
    # two blocks can give an interval over many decades, which would squeeze everything else into a point
    return (max(low, 1e-4), min(high, 1e6)) if math.isfinite(low) and math.isfinite(high) else ()


def reference_lines(axes: Axes) -> None:
    """The 1x line (no faster than the baseline) and the 50x line (the claim), named above the axes."""
    for value, colour, line in chart_style.REFERENCES:
        axes.axvline(value, color=colour, linewidth=1.2, linestyle=line, zorder=1.5)
        axes.text(value, -0.03, f"{value:g}x", color=colour, fontsize=9, fontweight="bold", va="bottom", ha="center")
