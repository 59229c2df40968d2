"""Inside one process: its first call, warm-up and steady state, and how its timed iterations are distributed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from bench.charts.drawing.series import config_of, palette_of
from bench.charts.drawing.style import FAINT, GREY, INK, PALE, Words, page
from bench.charts.drawing.ticks import log_axis
from bench.charts.drawing.width import is_narrow, width_in
from bench.charts.drawing.words import machine_words, size_words, time_words
from bench.tables.by_case import case_of
from bench.tables.columns import ITERATIONS
from bench.tables.run import read_process
from bench.verdict.evidence import Evidence
from bench.verdict.ratios.intervals import looks_of
from bench.verdict.ratios.speedup import fastest
from bench.words import microseconds

NAMES = ("trace",)
MOST_POINTS = 1500
BINS = 60
PAPER = {"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.8}
Array = NDArray[np.float64]


def charts(evidence: Evidence) -> Iterator[tuple[str, Figure]]:
    """The trace and the distribution of one process at the size that is shown, where iterations.csv was kept."""
    run, rows = evidence.run, evidence.rows_at(evidence.shown_size)
    if rows.empty or not (run.folder / ITERATIONS).exists():
        return
    row = process_shown(rows, looks_of(evidence.run.machine)[0])
    samples = read_process(run.folder, {str(name): value for name, value in row.items()})
    if not (samples["phase"] == "timed").any():
        return
    case = case_of(rows.loc[[row.name]])
    here = rows[(rows["style"] == row["style"]) & (rows["block"] == row["block"])]
    words = Words(
        trace_words(samples),
        f"{case.style}, {config_of(case).label}, block {row['block']}\n{size_words(case.size)}",
        f"one process of the run\n{machine_words(run.machine, here)}",
    )
    by_phase = {str(phase): same["elapsed_us"].to_numpy(float) for phase, same in samples.groupby("phase")}
    # samples as timed, so their own median and not that at the speed of their block
    colour, _shape = palette_of(evidence)[case.style]
    yield NAMES[0], trace(by_phase, run.measurements.loc[[row.name]].iloc[0], words, colour)


def trace_words(samples: pd.DataFrame) -> str:
    """Its finding: the first call and a usual iteration; `samples` are those of one process with a timed one."""
    us = {phase: float(same["elapsed_us"].median()) for phase, same in samples.groupby("phase")}
    first = f"a first call of {time_words(us['first'])}, then " if "first" in us else ""
    return f"Inside one process: {first}{time_words(us['timed'])} an iteration"


def process_shown(rows: pd.DataFrame, first_look: float = math.inf) -> pd.Series:
    """The measurement of the process whose trace is shown; `rows` are `ok` and of one size.

    An accelerator before the CPU, SGD before other trainings, plain float32 before other arithmetic, then the
    fastest case; of its blocks the middle one.
    """
    first = rows[rows["device"] != "cpu"] if (rows["device"] != "cpu").any() else rows
    for column, wanted in (("oracle", "sgd"), ("dtype", "float32"), ("precision", "ieee")):
        first = first[first[column] == wanted] if (first[column] == wanted).any() else first
    case = fastest(first, first_look=first_look).sort_values(["latency_median_us", "block"])
    return case.iloc[len(case) // 2]


def trace(samples: Mapping[str, Array], measured: pd.Series, words: Words, colour: str = GREY) -> Figure:
    """us against the recorded iteration, log scale, and next to it a histogram of the timed ones up to their 99%.

    `samples` are those of one process in us by phase: `first` and `warmup` where they were kept, `timed`. `measured`
    holds what the tables give of it: `latency_median_us`, `latency_p95_us`, `warmup_iterations`.
    """
    left, between, histogram, high = 0.95, 0.75, 2.3, 2.95
    narrow = is_narrow()  # then one above the other
    step = high + 0.8
    body = page(words, step * (1 + narrow))
    wide = width_in() - left - 0.3 - (0 if narrow else between + histogram)
    axes = body.axes(left, 0.5 + step * narrow, wide, high)
    below = body.axes(left, 0.5, wide, high) if narrow else body.axes(left + wide + between, 0.5, histogram, high)
    every = np.concatenate(list(samples.values()))
    axes.set_ylim(float(every.min()) / 1.25, float(every.max()) * 1.5)
    log_axis(axes, "y", unit="us")
    _draw_phases(axes, samples, measured["warmup_iterations"], colour)
    axes.set(xlabel="iteration, as recorded", ylabel="time of one iteration (log scale)")
    middle, late = float(measured["latency_median_us"]), float(measured["latency_p95_us"])
    _draw_distribution(below, samples["timed"], middle, late, colour)
    return body.figure


def _draw_phases(axes: Axes, samples: Mapping[str, Array], warmups: float, colour: str) -> None:
    warmup, timed = samples.get("warmup", np.empty(0)), samples["timed"]
    start = 1 + len(warmup)
    end = start + len(timed)
    if "first" in samples:
        axes.plot([0], samples["first"][:1], marker="D", markersize=7, color=INK, zorder=3, clip_on=False)
    for us, at, dots in ((warmup, 1, PALE), (timed, start, colour)):
        axes.plot(*thinned(us, at), color=dots, linestyle="none", marker=".", markersize=3.5)
    axes.set_xlim(-0.02 * end, end)
    axes.locator_params(axis="x", nbins=5)
    axes.xaxis.set_major_formatter(lambda value, _at: f"{value:,.0f}" if value >= 0 else "")
    axes.axvline(start, color=FAINT, linewidth=0.8, linestyle=":")
    warm = f"{len(warmup):,} of {warmups:,.0f} kept" if warmups > len(warmup) else f"{len(warmup):,}"  # it may be NaN
    _legend_above(
        axes,
        [
            ("D", 6, INK, "first call"),
            (".", 9, PALE, f"warm-up ({warm})"),
            (".", 9, colour, f"timed ({len(timed):,})"),
        ],
    )


def _legend_above(axes: Axes, entries: Sequence[tuple[str, float, str, str]]) -> None:
    """(marker, its size, colour, label) in a row over the axes."""
    handles = [
        Line2D([], [], marker=mark, markersize=size, color=colour, label=label, linestyle="none")
        for mark, size, colour, label in entries
    ]
    axes.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2 if is_narrow() else len(handles),
        handlelength=1.0, handletextpad=0.3, columnspacing=1.2, borderaxespad=0.2, fontsize=9,
    )  # fmt: skip


def thinned(us: Array, start: int) -> tuple[Array, Array]:
    """At most about MOST_POINTS of the samples with their positions: of each stretch its least, middle and most."""
    at = np.arange(start, start + len(us), dtype=float)
    if len(us) <= MOST_POINTS:
        return at, us
    chosen = []
    for stretch in np.array_split(np.arange(len(us)), MOST_POINTS // 3):
        order = stretch[np.argsort(us[stretch], kind="stable")]
        chosen += sorted({int(order[0]), int(order[len(order) // 2]), int(order[-1])})
    return at[chosen], us[chosen]


def _draw_distribution(axes: Axes, us: Array, middle: float, p95: float, colour: str) -> None:
    low = float(us.min())
    left = low / 1.01
    shown = max(float(np.quantile(us, 0.99)), p95 * 1.02, low * 1.02)
    inside = us[us <= shown]
    axes.hist(inside, bins=min(BINS, max(6, len(inside) // 8)), color=colour, alpha=0.75)
    high = axes.get_ylim()[1]
    axes.set(ylim=(0, high * 1.25), xlabel="time of one iteration (us)", ylabel="timed iterations")
    axes.grid(True, axis="y")
    axes.locator_params(axis="both", nbins=5)
    axes.set_xlim(left, right := max(shown, p95) * 1.01)
    for value, name, line, at in ((middle, "median", "-", 0.99), (p95, "95%", "--", 0.92)):
        axes.axvline(value, color=INK, linewidth=1.1, linestyle=line)
        late = value > (left + right) / 2
        axes.annotate(
            f"{name} {microseconds(value)}", (value, at), xycoords=("data", "axes fraction"), fontsize=8.5, bbox=PAPER,
            xytext=(-4 if late else 4, 0), textcoords="offset points", va="top", ha="right" if late else "left",
        )  # fmt: skip
    beyond = len(us) - len(inside)
    if beyond:
        axes.set_title(f"{beyond:,} slower ones off the chart", fontsize=8.5, fontweight="normal", color=FAINT)
