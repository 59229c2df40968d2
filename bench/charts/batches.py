"""How much faster a GPU can be at most, against the batch, as a matplotlib Figure; saves nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.charts.drawing.style import INK, PALETTE, Words, applied, panels, save
from bench.charts.drawing.ticks import log_axis

SHAPES = ("o", "s", "^", "v", "D")
Points = Sequence[tuple[int, float]]  # (batch, at most so many times as fast)


def batch_chart(lines: Mapping[str, Points], words: Words) -> Figure:
    """A line a name over batches, both axes logarithmic; above 1x a GPU could be faster, which is drawn."""
    looks = {name: (PALETTE[at % len(PALETTE)], SHAPES[at % len(SHAPES)]) for at, name in enumerate(lines)}
    handles = [Line2D([], [], color=colour, marker=shape, label=name) for name, (colour, shape) in looks.items()]
    figure, (axes,) = panels(words, [""], [handles], "batch (log scale)", "at most so many times as fast")
    values = [value for points in lines.values() for _batch, value in points]
    batches = [batch for points in lines.values() for batch, _value in points]
    axes.set_xlim(min(batches) / 1.3, max(batches) * 1.3)
    axes.set_ylim(min(*values, 1.0) / 1.5, max(*values, 1.0) * 1.5)
    log_axis(axes, "x", unit="")
    log_axis(axes, "y", unit="x")
    axes.axhline(1, color=INK, linewidth=0.8)
    for name, points in lines.items():
        colour, shape = looks[name]
        ordered = sorted(points)
        axes.plot([batch for batch, _ in ordered], [value for _, value in ordered], color=colour, marker=shape)
    return figure


def save_batches(lines: Mapping[str, Points], words: Words, stem: Path) -> list[Path]:
    """The chart as `stem`.png and `stem`.svg; their paths."""
    with applied():
        return save(batch_chart(lines, words), stem)
