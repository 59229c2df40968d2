"""Inside one process: its first call, warm-up and steady state, and how its timed iterations are distributed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bench import chart_legend, chart_style
from bench.chart_style import FAINT, INK, PALETTE, WIDTH_IN, Words

MOST_POINTS = 1500
BINS = 60
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
    """us against the recorded iteration, log scale, and beside it a histogram of the timed ones on the same axis."""
    page = chart_style.page(words, 3.75)
    left, between, beside = 0.95, 0.12, 1.75
    wide = WIDTH_IN - left - between - beside - 0.3
    axes = page.axes(left, 0.5, wide, 2.95)
    spread = page.axes(left + wide + between, 0.5, beside, 2.95)
    samples = np.concatenate([one.warmup_us, one.timed_us, [] if one.first_us is None else [one.first_us]])
    low, high = float(samples.min()) / 1.25, float(samples.max()) * 1.5
    for panel in (axes, spread):
        panel.set_ylim(low, high)
        chart_style.log_axis(panel, "y", unit="us")
    _draw_phases(axes, one)
    _draw_distribution(spread, one)
    axes.set(xlabel="iteration, as recorded", ylabel="time of one iteration")
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
    axes.tick_params(axis="y", labelleft=False, length=0, which="both")
    low, high = float(one.timed_us.min()), float(one.timed_us.max())
    edges = np.geomspace(low / 1.0001, high * 1.0001, min(BINS, max(6, len(one.timed_us) // 8)) + 1)
    axes.hist(one.timed_us, bins=edges.tolist(), orientation="horizontal", color=TIMED, alpha=0.75)
    for value, name, up in ((one.median_us, "median", False), (one.p95_us, "95th percentile", True)):
        axes.axhline(value, color=INK, linewidth=1.0, linestyle="-" if not up else "--")
        axes.annotate(
            f"{name} {chart_style.quantity(float(f'{value:.3g}'), 'us')}", (1, value),
            xycoords=("axes fraction", "data"), xytext=(0, 3 if up else -3), textcoords="offset points",
            ha="right", va="bottom" if up else "top", fontsize=8.5,
        )  # fmt: skip
    axes.set_xlabel("timed iterations")
    axes.locator_params(axis="x", nbins=3)
