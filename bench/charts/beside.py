"""Legends and words outside of the plotting area, so that they never hide a line."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from bench.charts.style import INK, MARGIN_IN, WIDTH_IN, Page, text_width_in


def legend_below(page: Page, handles: Sequence[Line2D], top_in: float) -> None:
    """A legend in columns whose upper edge is `top_in` inches above the body's lower edge; none of no handles."""
    if not handles:
        return
    high = page.figure.get_size_inches()[1]
    page.figure.legend(
        handles=list(handles),
        loc="upper left",
        bbox_to_anchor=(MARGIN_IN / WIDTH_IN, (page.bottom + top_in) / high),
        ncols=legend_columns(handles),
        borderaxespad=0,
        borderpad=0,
        handlelength=2.6,
        columnspacing=1.6,
    )


def legend_columns(handles: Sequence[Line2D]) -> int:
    """As many columns as the page holds with the widest of these labels."""
    widest = max((text_width_in(str(handle.get_label())) for handle in handles), default=1.0) + 0.8
    return max(1, min(len(handles) or 1, int((WIDTH_IN - 2 * MARGIN_IN) / widest)))


def legend_height_in(handles: Sequence[Line2D]) -> float:
    """Inches that `legend_below` takes for these."""
    return 0.21 * math.ceil(len(handles) / legend_columns(handles)) + 0.06 if handles else 0.0


def legend_above(axes: Axes, entries: Sequence[tuple[str, str, str]]) -> None:
    """(marker, colour, label) in a row over the axes."""
    size = {".": 9.0}
    handles = [
        Line2D([], [], marker=mark, color=colour, label=label, linestyle="none", markersize=size.get(mark, 6.0))
        for mark, colour, label in entries
    ]
    axes.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=len(handles), handlelength=1.0,
        handletextpad=0.3, columnspacing=1.2, borderaxespad=0.2, fontsize=9,
    )  # fmt: skip


def axes_width(axes: Axes) -> float:
    """The plotting area's width in inches."""
    return float(axes.get_position().width) * WIDTH_IN


def _beside(
    axes: Axes, x_in: float, y_in: float, text: str, *, weight: str = "normal", colour: str = INK, size: float = 9.5
) -> None:
    axes.annotate(
        text, (0, y_in), xycoords=("axes fraction", "data"), xytext=(x_in * 72, 0), textcoords="offset points",
        va="center", fontsize=size, fontweight=weight, color=colour, annotation_clip=False,
    )  # fmt: skip
