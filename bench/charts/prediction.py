"""Predicted against measured times as a matplotlib Figure; saves nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.charts.drawing.style import INK, PALETTE, Words, applied, panels, save
from bench.charts.drawing.ticks import log_axis

INSIDE, OUTSIDE = PALETTE[0], PALETTE[1]
Point = tuple[float, float, float, float]  # us: measured, predicted, and the ends of its interval


def prediction_chart(points: Sequence[Point], words: Words) -> Figure:
    """A point a step with its interval, both axes logarithmic; on the line it would be right."""
    inside = [low <= measured <= high for measured, _, low, high in points]
    handles = [
        Line2D([], [], color=INSIDE, marker="o", label=f"its interval holds what was measured ({sum(inside)})"),
        Line2D([], [], color=OUTSIDE, marker="s", label=f"it does not ({len(points) - sum(inside)})"),
    ]
    figure, (axes,) = panels(words, [""], [handles], "measured a step (log scale)", "predicted a step (log scale)")
    ends = [end for measured, _, low, high in points for end in (measured, low, high)]
    least, most = min(ends) / 1.5, max(ends) * 1.5
    axes.set_xlim(least, most)
    axes.set_ylim(least, most)
    log_axis(axes, "x", unit="us")
    log_axis(axes, "y", unit="us")
    axes.plot([least, most], [least, most], color=INK, linewidth=0.8)
    for (measured, predicted, low, high), right in zip(points, inside, strict=True):
        colour, shape = (INSIDE, "o") if right else (OUTSIDE, "s")
        axes.plot([measured, measured], [low, high], color=colour, linewidth=0.8, alpha=0.5)
        axes.plot(measured, predicted, color=colour, marker=shape, markersize=4)
    return figure


def save_prediction(points: Sequence[Point], words: Words, stem: Path) -> list[Path]:
    """The chart as `stem`.png and `stem`.svg; their paths."""
    with applied():
        return save(prediction_chart(points, words), stem)
