"""The parts of an iteration as a bar a case."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.causes.shares import CALLS, FAULTS, MEMORY, NOT_EXPLAINED, PRODUCTS, Explained, Share
from bench.charts.drawing.series import config_of
from bench.charts.drawing.strip import BAR_IN, Row, draw_interval, strip
from bench.charts.drawing.style import GREY, INK, ONE_X, PALE, Words, elided
from bench.charts.drawing.ticks import linear_axis
from bench.words import counted, microseconds

ABOUT = "shares of the time of an iteration, each measured by itself; what is left to 100% is not explained"
TINTS: Mapping[str, str] = {PRODUCTS: INK, MEMORY: GREY, CALLS: PALE, FAULTS: "white"}  # a colour is a style's alone
WHOLE, AIR = 1.05, 0.01  # of the axis at least, and of it beyond the longest bar and its interval


def shares_words(found: Sequence[Explained]) -> str:
    """Its finding: what binds the fastest case, and what binds most."""
    fastest = min(found, key=lambda one: one.us)
    most, cases = Counter(one.bound_by or NOT_EXPLAINED for one in found).most_common(1)[0]
    own = fastest.bound_words or "bound by nothing that was measured"
    if most == fastest.bound_by and len(found) > 1:
        others = "the other case" if len(found) == 2 else f"{cases - 1} of {len(found) - 1} other cases"
        of = f", as {'is' if len(found) == 2 else 'are'} {others}" if cases > 1 else ""
    else:
        of = f"; {cases} of {counted(len(found), 'case')} by {most}" if len(found) > 1 else ""
    return f"{elided(fastest.case.style)}, the fastest, is {own}{of}"


def shares(found: Sequence[Explained], words: Words) -> Figure:
    """A bar a case, fastest first, its parts one after another, and the 95% interval of their sum."""
    ordered = sorted(found, key=lambda one: one.us)
    rows = [
        Row(elided(one.case.style), f"{microseconds(one.us)} us; {total_words(one.total)}", config_of(one.case).label)
        for one in ordered
    ]
    square = {"marker": "s", "markersize": 9, "markeredgecolor": INK, "linestyle": "none"}
    legend = [Line2D([], [], markerfacecolor=tint, label=name, **square) for name, tint in TINTS.items()]  # type: ignore[arg-type]
    figure, axes, at = strip(words, rows, "share of the time", legend=legend)
    ends = (one.total.value + max(np.nan_to_num(one.total.half), (WHOLE - 1) * one.total.value) for one in ordered)
    axes.set_xlim(0, max(WHOLE, *ends) + AIR)
    linear_axis(axes, "{:.0%}".format)
    axes.axvline(1, color=ONE_X, linewidth=1.2)
    for y_in, one in zip(at, ordered, strict=True):
        left = 0.0
        for name, part in one.parts.items():
            axes.barh(y_in, part.value, left=left, height=BAR_IN, color=TINTS[name], edgecolor=INK, linewidth=0.6)
            left += part.value
        draw_interval(axes, y_in, (left - one.total.half, left + one.total.half))
    return figure


def total_words(total: Share) -> str:
    """`97% ±2` explained, `97%` with one block."""
    return f"{total.value:.0%}" + (f" ±{100 * total.half:.0f}" if math.isfinite(total.half) else "")
