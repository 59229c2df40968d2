"""Whole trainings: the time from a cold start against iterations, and the losses of all styles together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.cases.problem import TUTORIAL_ITERATIONS
from bench.charts import beside as chart_legend
from bench.charts import style as chart_style
from bench.charts.rows import Config, configs_in
from bench.charts.style import FAINT, INK, WIDTH_IN, Words
from bench.verdict.speedup import fastest

MOST_ITERATIONS = 10**6


@dataclass(frozen=True, slots=True)
class Start:
    """A case from a cold start, medians over its blocks: seconds before the first iteration, then us each.

    `blocks` holds the start (s) and the latency (us) of each block. `program_s` is the measured time of a whole
    program of 500 iterations, NaN where it was not measured.
    """

    style: str
    config: Config
    before_s: float
    first_s: float
    latency_us: float
    program_s: float
    blocks: tuple[tuple[float, float], ...] = ()

    def seconds(self, iterations: float) -> float:
        """Importing, moving the data, the cold first iteration and the warm ones after it."""
        return self.before_s + self.first_s + (iterations - 1) * self.latency_us / 1e6

    def spread(self, iterations: float) -> tuple[float, float]:
        """The least and the most seconds of any block."""
        totals = [start_s + (iterations - 1) * us / 1e6 for start_s, us in self.blocks] or [self.seconds(iterations)]
        return min(totals), max(totals)

    @property
    def label(self) -> str:
        """`torch_tensors cuda:0, float32`."""
        return f"{chart_style.elided(self.style, 28)} {self.config.label}"


def starts(rows: pd.DataFrame) -> list[Start]:
    """Who is compared: the fastest float32 case of each framework on each device, the tutorial's own float64.

    Also the fastest case of each device whose whole program was measured. `rows` are `ok`, of one size, of styles
    that train by plain SGD. A case whose start was not timed is left out.
    """
    timed = rows.dropna(subset=["import_seconds", "transfer_seconds", "first_iteration_seconds"])
    plain = timed[(timed["dtype"] == "float32") & (timed["precision"] == "ieee")]
    groups = [fastest(same) for _key, same in plain.groupby(["device", "framework"], sort=True)]
    groups.append(fastest(timed[(timed["style"] == "numpy_manual") & (timed["dtype"] == "float64")]))
    programs = timed[timed["program_seconds"].notna()]
    groups += [fastest(same) for _key, same in programs.groupby("device", sort=True)]
    found = [_start(same) for same in groups if len(same)]
    return list({(one.style, one.config): one for one in found}.values())


def _start(rows: pd.DataFrame) -> Start:
    def middle(column: str) -> float:
        return float(rows[column].median())

    start_s = rows["import_seconds"] + rows["transfer_seconds"] + rows["first_iteration_seconds"]
    return Start(
        str(rows["style"].iloc[0]),
        configs_in(rows)[0],
        middle("import_seconds") + middle("transfer_seconds"),
        middle("first_iteration_seconds"),
        middle("latency_median_us"),
        middle("program_seconds"),
        tuple(zip(start_s.tolist(), rows["latency_median_us"].tolist(), strict=True)),
    )


def overtakes(one: Start, other: Start) -> float:
    """After how many iterations both have taken as long; NaN when that is never, or not within the chart."""
    slope = (one.latency_us - other.latency_us) / 1e6
    if slope == 0:
        return math.nan
    iterations = 1 + (other.before_s + other.first_s - one.before_s - one.first_s) / slope
    return iterations if 1 < iterations <= MOST_ITERATIONS else math.nan


def break_even(starts: Sequence[Start], words: Words) -> Figure:
    """Total seconds against iterations, log-log, a line a case; rings where an accelerator overtakes a CPU.

    Without an accelerator the rings are where one case overtakes another. At least one case.
    """
    look = chart_style.look(sorted({one.style for one in starts}))
    handles = [Line2D([], [], label=one.label, **_marks(one, look)) for one in starts]
    crossed = crossing_points(starts)
    extra = _explained(starts, crossed)
    legend_in = chart_legend.legend_height_in(handles) + chart_legend.legend_height_in(extra)
    page = chart_style.page(words, 4.0 + legend_in)
    axes = page.axes(0.95, 0.55 + legend_in, WIDTH_IN - 1.5, 3.3)
    at = np.unique(np.round(np.geomspace(1, MOST_ITERATIONS, 200)))
    everything = [one.seconds(float(k)) for one in starts for k in (1, MOST_ITERATIONS)]
    axes.set(xlim=(0.9, MOST_ITERATIONS), ylim=(min(everything) / 1.5, max(everything) * 1.2))
    chart_style.log_axis(axes, "x", unit="")
    chart_style.log_axis(axes, "y", unit="s")
    for one in starts:
        low, high = zip(*(one.spread(float(k)) for k in at), strict=True)
        axes.fill_between(at, low, high, color=look[one.style][0], alpha=0.18, linewidth=0)
        axes.plot(at, [one.seconds(float(k)) for k in at], markevery=(12, 24), **_marks(one, look))
        axes.plot([TUTORIAL_ITERATIONS], [one.program_s], marker="*", markersize=11, color=look[one.style][0])
    for iterations, seconds in crossed:
        axes.plot([iterations], [seconds], zorder=4, **chart_style.ring())
        axes.plot(
            [iterations] * 2, [axes.get_ylim()[0], seconds], color=FAINT, linewidth=0.9, linestyle=":", zorder=1.4
        )
    _mark_tutorial(axes)
    axes.set(xlabel="iterations (log scale)", ylabel="time from a cold start")
    chart_legend.legend_below(page, handles, legend_in)
    chart_legend.legend_below(page, extra, chart_legend.legend_height_in(extra))
    return page.figure


def _explained(starts: Sequence[Start], crossed: Sequence[tuple[float, float]]) -> list[Line2D]:
    """What the legend says beside the lines."""
    extra = []
    if crossed:
        extra.append(Line2D([], [], label="break-even", **chart_style.ring()))
    if any(math.isfinite(one.program_s) for one in starts):
        label = f"measured: a whole program of {TUTORIAL_ITERATIONS} iterations"
        extra.append(Line2D([], [], label=label, marker="*", markersize=11, color=INK, linestyle="none"))
    return extra


def _mark_tutorial(axes: Axes) -> None:
    axes.axvline(TUTORIAL_ITERATIONS, color=FAINT, linewidth=1.0, linestyle=(0, (1, 2)), zorder=1.3)
    axes.annotate(
        f"the tutorial's {TUTORIAL_ITERATIONS}", (TUTORIAL_ITERATIONS, 1), xycoords=("data", "axes fraction"),
        xytext=(4, -2), textcoords="offset points", fontsize=8.5, color=FAINT, va="top",
    )  # fmt: skip


def _marks(one: Start, look: dict[str, tuple[str, str]]) -> dict[str, Any]:
    colour, shape = look[one.style]
    config = one.config
    dashes = chart_style.dashes(config.accelerated, config.threads, plain=config.plain)
    marks = chart_style.point(config.accelerated, colour, shape)
    return {**marks, "color": colour, "linewidth": 1.6, "linestyle": dashes}


def crossing_points(starts: Sequence[Start]) -> list[tuple[float, float]]:
    """(iterations, seconds) where a case overtakes another: accelerators against CPUs, if both are there."""
    mixed = len({one.config.accelerated for one in starts}) > 1
    found = []
    for one, other in combinations(starts, 2):
        if mixed and one.config.accelerated == other.config.accelerated:
            continue
        iterations = overtakes(one, other)
        if math.isfinite(iterations):
            found.append((iterations, one.seconds(iterations)))
    return found
