"""Rows on one axis: a name at the left of each, bars or points with intervals, and its value in words at the right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import blended_transform_factory

from bench.charts.drawing.style import FAINT, INK, MARGIN_IN, REFERENCES, TEXT_PT, Words, around_in, page, text_width_in
from bench.charts.drawing.width import drawn_at, width_in
from bench.verdict.ratios.intervals import Ratio
from bench.words import number

ROW_IN, HEADING_IN = 0.24, 0.1  # a heading is so much higher
GAP_IN, BAR_IN, AXIS_IN, LEAST_IN = 0.12, 0.14, 0.75, 1.1
NAME_PT, VALUE_PT, NOTE_PT = 9.5, 9.0, 8.5


@dataclass(frozen=True, slots=True)
class Row:
    """A name, a value in words (`faint`: small print), and a note in small type between name and axis.

    A `heading` names the rows below it.
    """

    name: str
    value: str = ""
    note: str = ""
    heading: bool = False
    faint: bool = False

    @property
    def weight(self) -> str:
        """Of the name's letters."""
        return "bold" if self.heading else "normal"


def strip(
    words: Words,
    rows: Sequence[Row],
    xlabel: str,
    row_in: float = ROW_IN,
    legend: Sequence[Line2D] = (),
    high_in: float | None = None,
) -> tuple[Figure, Axes, list[float]]:
    """A page with these rows in words, its axes, and the place of each row that is no heading on their y axis.

    Nothing is drawn yet: what stands on the axes is the caller's. With `high_in` the rows fill a page so high.
    """
    if high_in is not None:
        row_in = (high_in - around_in(words, [legend]) - AXIS_IN) / (len(rows) + 0.85)
    at = list(accumulate(row_in + HEADING_IN * row.heading for row in rows))
    height = max(at, default=0.0) + row_in * 0.85
    names_in = max([text_width_in(row.name, NAME_PT, row.weight) for row in rows], default=0.0) + GAP_IN + MARGIN_IN
    notes_in = max([text_width_in(row.note, NOTE_PT) + GAP_IN for row in rows if row.note], default=0.0)
    values_in = max([text_width_in(row.value, VALUE_PT) for row in rows], default=0.0) + GAP_IN + MARGIN_IN
    left, right = names_in + notes_in, max(0.5, values_in)  # half a tick's label
    wide = max(LEAST_IN, width_in() - left - right)
    with drawn_at(width_in() if wide > LEAST_IN else left + wide + right):
        body = page(words, height + AXIS_IN, [legend])
    axes = body.axes(left, 0.5, wide, height)
    axes.set(ylim=(height, 0), yticks=[])
    axes.set_xlabel(xlabel, x=(_on_page(left + wide / 2, xlabel, left + wide + right) - left) / wide)
    axes.spines["left"].set_visible(False)
    axes.grid(True, axis="x")
    for row, y_in in zip(rows, at, strict=True):
        faint: dict[str, Any] = {"color": FAINT, "fontsize": NOTE_PT}
        write = partial(
            axes.text, y=y_in, transform=blended_transform_factory(axes.transAxes, axes.transData), va="center"
        )
        write(1 + GAP_IN / wide, s=row.value, **(faint if row.faint or row.heading else {"fontsize": VALUE_PT}))
        write(-GAP_IN / wide, s=row.note, ha="right", **faint)
        place, side = (MARGIN_IN - left, "left") if row.heading else (-GAP_IN - notes_in, "right")
        write(place / wide, s=row.name, ha=side, fontsize=NAME_PT, fontweight=row.weight)
    return body.figure, axes, [y_in for row, y_in in zip(rows, at, strict=True) if not row.heading]


def _on_page(middle_in: float, text: str, page_in: float) -> float:
    """Where the middle of an axis' label may stand, from the page's left: at `middle_in` if all of it is seen there."""
    half_in = text_width_in(text, TEXT_PT) / 2 + MARGIN_IN / 2
    return max(half_in, min(middle_in, page_in - half_in))


def draw_interval(axes: Axes, y_in: float, ends: tuple[float, float], colour: str = INK) -> None:
    """A bar with caps between both ends; none where they are unknown."""
    if all(map(math.isfinite, ends)):
        axes.plot(
            ends, [y_in, y_in], color=colour, linewidth=1.6, solid_capstyle="butt", marker="|", markersize=7,
            markeredgewidth=1.4,
        )  # fmt: skip


def draw_bar(
    axes: Axes, y_in: float, ends: tuple[float, float], colour: str, *, filled: bool = True, hatched: bool = False
) -> None:
    """A bar between both ends, pale with an edge where not `filled` or `hatched`, so that it reads in grey too."""
    low, high = sorted(ends)
    face, hatch = to_rgba(colour, 1.0 if filled and not hatched else 0.4), "////" if hatched else None
    axes.barh(y_in, high - low, left=low, height=BAR_IN, color=face, edgecolor=colour, linewidth=1.0, hatch=hatch)


def ratio_words(ratio: Ratio) -> str:
    """`12.3x [11.9, 12.7]`; `[?]` where one block has no interval."""
    interval = f"[{number(ratio.low)}, {number(ratio.high)}]" if math.isfinite(ratio.low) else "[?]"
    return f"{number(ratio.value)}x {interval}"


def draw_references(axes: Axes) -> None:
    """The 1x line (no faster than the baseline) and the 50x line (the claim), named above the axes if they are there.

    The limits of the axes stand already.
    """
    low, high = axes.get_xlim()
    for value, colour, line in REFERENCES:
        if not low <= value <= high:
            continue
        axes.axvline(value, color=colour, linewidth=1.2, linestyle=line, zorder=1.5)
        axes.text(value, -0.03, f"{value:g}x", color=colour, fontsize=9, fontweight="bold", va="bottom", ha="center")
