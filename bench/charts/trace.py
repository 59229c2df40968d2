"""Inside one process: its first call, warm-up and steady state, and how its timed iterations are distributed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bench.charts import beside as chart_legend
from bench.charts import style as chart_style
from bench.charts.style import FAINT, INK, PALETTE, WIDTH_IN, Words
from bench.words import microseconds

MOST_POINTS = 1500
BINS = 60
PAPER = {"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.8}
FIRST, WARMUP, TIMED = PALETTE[1], PALETTE[4], PALETTE[0]
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Trace:
    """The samples of one process in us, and the median, p95 and count of warm-up iterations that the tables give."""

    first_us: float | None
    warmup_us: Array
    timed_us: Array
    median_us: float
    p95_us: float
    warmup_iterations: int


def trace_of(iterations: pd.DataFrame, measurement: pd.Series) -> Trace:
    """From the rows of iterations.csv of one process and its row of measurements.csv."""
    by_phase = {str(phase): rows["elapsed_us"].to_numpy(float) for phase, rows in iterations.groupby("phase")}
    none = np.empty(0)
    first = by_phase.get("first", none)
    warmup = measurement["warmup_iterations"]
    return Trace(
        float(first[0]) if len(first) else None,
        by_phase.get("warmup", none),
        by_phase.get("timed", none),
        float(measurement["latency_median_us"]),
        float(measurement["latency_p95_us"]),
        int(warmup) if pd.notna(warmup) else 0,
    )


def trace(one: Trace, words: Words) -> Figure:
    """us against the recorded iteration, log scale, and beside it a histogram of the timed ones up to their 99%."""
    page = chart_style.page(words, 3.75)
    left, between, beside = 0.95, 0.75, 2.3
    wide = WIDTH_IN - left - between - beside - 0.3
    axes = page.axes(left, 0.5, wide, 2.95)
    samples = np.concatenate([one.warmup_us, one.timed_us, [] if one.first_us is None else [one.first_us]])
    axes.set_ylim(float(samples.min()) / 1.25, float(samples.max()) * 1.5)
    chart_style.log_axis(axes, "y", unit="us")
    _draw_phases(axes, one)
    axes.set(xlabel="iteration, as recorded", ylabel="time of one iteration (log scale)")
    _draw_distribution(page.axes(left + wide + between, 0.5, beside, 2.95), one)
    return page.figure


def _draw_phases(axes: Axes, one: Trace) -> None:
    start = 1 + len(one.warmup_us)
    end = start + len(one.timed_us)
    dots: dict[str, Any] = {"linestyle": "none", "marker": ".", "markersize": 3.5}
    if one.first_us is not None:
        axes.plot([0], [one.first_us], marker="D", markersize=7, color=FIRST, zorder=3, clip_on=False)
    axes.plot(*thinned(one.warmup_us, 1), color=WARMUP, **dots)
    axes.plot(*thinned(one.timed_us, start), color=TIMED, **dots)
    axes.set_xlim(-0.02 * end, end)
    axes.locator_params(axis="x", nbins=5)
    axes.xaxis.set_major_formatter(lambda value, _at: f"{value:,.0f}" if value >= 0 else "")
    axes.axvline(start, color=FAINT, linewidth=0.8, linestyle=":")
    kept, all_ = len(one.warmup_us), one.warmup_iterations
    warm = f"warm-up ({kept:,} of {all_:,} kept)" if all_ > kept else f"warm-up ({kept:,})"
    chart_legend.legend_above(
        axes,
        [("D", FIRST, "first call"), (".", WARMUP, warm), (".", TIMED, f"timed ({len(one.timed_us):,})")],
    )


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


def _draw_distribution(axes: Axes, one: Trace) -> None:
    low = float(one.timed_us.min())
    left = low / 1.01
    shown = max(float(np.quantile(one.timed_us, 0.99)), one.p95_us * 1.02, low * 1.02)
    inside = one.timed_us[one.timed_us <= shown]
    axes.hist(inside, bins=min(BINS, max(6, len(inside) // 8)), color=TIMED, alpha=0.75)
    high = axes.get_ylim()[1]
    axes.set(ylim=(0, high * 1.25), xlabel="time of one iteration (us)", ylabel="timed iterations")
    axes.grid(True, axis="y")
    axes.locator_params(axis="both", nbins=5)
    axes.set_xlim(left, right := max(shown, one.p95_us) * 1.01)
    for value, name, line, at in ((one.median_us, "median", "-", 0.99), (one.p95_us, "95%", "--", 0.92)):
        axes.axvline(value, color=INK, linewidth=1.1, linestyle=line)
        late = value > (left + right) / 2
        axes.annotate(
            f"{name} {microseconds(value)}", (value, at), xycoords=("data", "axes fraction"), fontsize=8.5, bbox=PAPER,
            xytext=(-4 if late else 4, 0), textcoords="offset points", va="top", ha="right" if late else "left",
        )  # fmt: skip
    beyond = len(one.timed_us) - len(inside)
    if beyond:
        axes.set_title(f"{beyond:,} slower ones off the chart", fontsize=8.5, fontweight="normal", color=FAINT)
