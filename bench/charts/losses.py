"""The losses of all styles on top of each other."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.charts import beside as chart_legend
from bench.charts import style as chart_style
from bench.charts.style import WIDTH_IN, Words


def losses(frame: pd.DataFrame, words: Words) -> Figure:
    """Loss against iteration on a log scale, a line a style on top of each other: the same line is the proof.

    `frame` has a row a style and iteration: style, iteration, loss. Lines get thinner in turn, so that one
    that lies below another still shows at its sides.
    """
    styles = list(dict.fromkeys(frame["style"]))
    look = chart_style.look(sorted(styles))
    widths = dict(zip(styles, np.linspace(14.0, 1.5, len(styles)), strict=True))
    handles = [
        Line2D([], [], label=chart_style.elided(style), color=look[style][0], linewidth=min(widths[style], 7.0))
        for style in styles
    ]
    legend_in = chart_legend.legend_height_in(handles)
    page = chart_style.page(words, 3.9 + legend_in)
    axes = page.axes(0.95, 0.55 + legend_in, WIDTH_IN - 1.3, 3.2)
    good = frame[frame["loss"] > 0]
    axes.set_xlim(0, float(frame["iteration"].max()))
    axes.set_ylim(float(good["loss"].min()) / 1.5, float(good["loss"].max()) * 1.5)
    chart_style.log_axis(axes, "y", unit="")
    for style in styles:
        rows = good[good["style"] == style].sort_values("iteration")
        axes.plot(rows["iteration"], rows["loss"], color=look[style][0], linewidth=widths[style])
    axes.set(xlabel="iteration", ylabel="loss, sum of squares (log scale)")
    chart_legend.legend_below(page, handles, legend_in)
    return page.figure
