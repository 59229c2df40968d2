"""How far the losses of each style lie from those of the float64 reference: the proof that all train alike."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bench.charts.drawing.series import Config, Palette, handle, marks, palette, palette_of
from bench.charts.drawing.style import Words, panels
from bench.charts.drawing.ticks import log_axis
from bench.charts.drawing.words import machine_words
from bench.tables.columns import LOSS_COLUMNS, LOSSES
from bench.tables.csv_files import read_table
from bench.verdict.evidence import Evidence

NAMES = ("losses",)
TINY = 1e-6  # of a figure: what floats make of one that is whole
LEAST = 1e-9  # nearer than this is the same: float64 styles agree to it, and a logarithm knows no 0
REFERENCE = "numpy_manual in float64, which the rehearsal holds to 1e-9 of the oracle"


def charts(evidence: Evidence) -> Iterator[tuple[str, Figure]]:
    """The distance of all styles, where the folder has a losses.csv; Adam and the dynamic net train another way."""
    run = evidence.run
    if not (run.folder / LOSSES).exists():
        return
    rows = read_table(run.folder / LOSSES, LOSS_COLUMNS)
    rows = rows[(rows["oracle"] == "sgd") & (rows["loss"] > 0)]
    plain = rows[(rows["dtype"] == "float32") & (rows["precision"] == "ieee")]
    known = rows[(rows["dtype"] == "float64") & (rows["style"] == "numpy_manual")]
    if plain.empty:
        return
    reference = (plain if known.empty else known).groupby("iteration")["loss"].median()
    frame = distances(plain, reference)
    said = "the median of these styles, for this run holds no float64 reference" if known.empty else REFERENCE
    words = Words(
        f"All styles train alike: their losses differ by at most {rounded_up(frame['distance'].max())}",
        f"relative distance of the loss from {said}\nthe rehearsal in float32 at the tutorial's size, on the device "
        "and threads of the style's first case; nearer than 1e-9 is drawn there",
        machine_words(run.machine, run.measurements[run.measurements["status"] == "ok"]),
    )
    yield NAMES[0], losses(frame, words, palette(map(str, frame["style"])) | palette_of(evidence))


def rounded_up(value: float) -> str:
    """With one figure, and no less than `value`: 2e-06 for 1.1e-06."""
    digit = 10.0 ** math.floor(math.log10(value))
    return f"{math.ceil(value / digit - TINY) * digit:.1g}"


def distances(plain: pd.DataFrame, reference: pd.Series) -> pd.DataFrame:
    """style, iteration, distance: of one case a style, on one CPU thread where there was one."""
    order = plain.sort_values(["device", "threads"], kind="stable").groupby("style", sort=False)[["device", "threads"]]
    first = order.transform("first").reindex(plain.index)
    frame = plain[(plain["device"] == first["device"]) & (plain["threads"] == first["threads"])]
    expected = frame["iteration"].map(reference)
    frame = frame.assign(distance=(frame["loss"] / expected - 1).abs().clip(lower=LEAST))
    return frame.dropna(subset=["distance"])


def losses(frame: pd.DataFrame, words: Words, colours: Palette | None = None) -> Figure:
    """Relative distance against iteration on a log scale, a line a style; `frame` as `distances` gives it.

    Lines get thinner in turn, so that one that lies below another still shows at its sides.
    """
    lines = {str(style): rows.sort_values("iteration") for style, rows in frame.groupby("style", sort=False)}
    colours = colours or palette(lines)
    configs = {
        style: Config(*rows[["device", "threads", "dtype", "precision"]].iloc[0]) for style, rows in lines.items()
    }
    widths = dict(zip(lines, np.linspace(5.0, 1.2, len(lines)), strict=True))
    handles = [handle(style, configs[style], colours) for style in lines]
    figure, (axes,) = panels(words, [""], [handles], "iteration", "relative distance (log scale)")
    axes.set_xlim(0, max(float(frame["iteration"].max()), 1.0))
    axes.set_ylim(float(frame["distance"].min()) / 2, float(frame["distance"].max()) * 2)
    log_axis(axes, "y", unit="")
    for style, rows in lines.items():
        drawn = {**marks(configs[style], *colours[style]), "linewidth": widths[style]}
        axes.plot(rows["iteration"], rows["distance"], markevery=max(1, len(rows) // 8), **drawn)
    return figure
