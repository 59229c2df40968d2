"""The losses of all styles on top of each other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.charts.series import look
from bench.charts.style import Words, elided, log_axis, panels
from bench.charts.words import machine_words
from bench.tables.columns import LOSS_COLUMNS, LOSSES
from bench.tables.csv_files import read_table
from bench.verdict.evidence import Evidence

NAMES = ("losses",)


def charts(evidence: Evidence) -> Iterator[tuple[str, Figure]]:
    """The losses of all styles, where the folder has a losses.csv; Adam and the dynamic net train another way."""
    run = evidence.run
    if not (run.folder / LOSSES).exists():
        return
    rows = read_table(run.folder / LOSSES, LOSS_COLUMNS)
    rows = rows[(rows["oracle"] == "sgd") & (rows["dtype"] == "float32") & (rows["precision"] == "ieee")]
    # one line a style: the rehearsal of its first case, on one CPU thread where there was one
    order = rows.sort_values(["device", "threads"], kind="stable").groupby("style", sort=False)[["device", "threads"]]
    first = order.transform("first").reindex(rows.index)
    frame = rows[(rows["device"] == first["device"]) & (rows["threads"] == first["threads"])]
    words = Words(
        "One training loop: the losses of all styles on top of each other",
        "the rehearsal in float32 at the tutorial's size and learning rate; each line is thinner than the one\n"
        "below it, so that where all agree they show as one striped line",
        machine_words(run.machine, run.measurements[run.measurements["status"] == "ok"]),
    )
    if len(frame):
        yield NAMES[0], losses(frame, words)


def losses(frame: pd.DataFrame, words: Words) -> Figure:
    """Loss against iteration on a log scale, a line a style on top of each other: the same line is the proof.

    `frame` has a row a style and iteration: style, iteration, loss. Lines get thinner in turn, so that one
    that lies below another still shows at its sides.
    """
    lines = {str(style): rows for style, rows in frame.groupby("style", sort=False)}
    colours = look(lines)
    widths = dict(zip(lines, np.linspace(14.0, 1.5, len(lines)), strict=True))
    handles = [
        Line2D([], [], label=elided(style), color=colours[style][0], linewidth=min(widths[style], 7.0))
        for style in lines
    ]
    figure, (axes,) = panels(words, [""], [handles], "iteration", "loss, sum of squares (log scale)")
    good = frame[frame["loss"] > 0]
    axes.set_xlim(0, float(frame["iteration"].max()))
    axes.set_ylim(float(good["loss"].min()) / 1.5, float(good["loss"].max()) * 1.5)
    log_axis(axes, "y", unit="")
    for style, rows in lines.items():
        rows = rows[rows["loss"] > 0].sort_values("iteration")
        axes.plot(rows["iteration"], rows["loss"], color=colours[style][0], linewidth=widths[style])
    return figure
