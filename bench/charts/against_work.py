"""What changes with the work of an iteration: the speedup with its crossovers, the time with its floors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.charts import beside as chart_legend
from bench.charts import style as chart_style
from bench.charts.rows import Config, config_of, configs_in, in_order
from bench.charts.style import FAINT, REFERENCES, WIDTH_IN, Page, Words
from bench.tables.by_case import cases_in
from bench.verdict.crossover import first_reaching
from bench.verdict.speedup import Speedup, mean_us

MOST_IN_ONE_PANEL = 6
Limits = tuple[float, float]
Look = dict[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Line:
    """A style on a device: the FLOP of an iteration, a value there, and its interval (NaN: unknown)."""

    style: str
    config: Config
    work: tuple[float, ...]
    middle: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def label(self) -> str:
        """`torch_tensors cuda:0, float32`."""
        return f"{chart_style.elided(self.style, 28)} {self.config.label}"


def speedup_lines(found: Iterable[Speedup]) -> list[Line]:
    """A line a style and configuration, through its sizes in order of their work; the baseline itself is at 1."""
    by_series: dict[tuple[str, Config], list[tuple[float, float, float, float]]] = {}
    for one in found:
        work = float(one.contender.size.flops)
        series = by_series.setdefault((one.contender.style, config_of(one.contender)), [])
        series.append((work, one.ratio.value, one.ratio.low, one.ratio.high))
        itself = by_series.setdefault((one.baseline_case.style, config_of(one.baseline_case)), [])
        if (work, 1.0, 1.0, 1.0) not in itself:
            itself.append((work, 1.0, 1.0, 1.0))
    return _lines(by_series)


def time_lines(ok: pd.DataFrame) -> list[Line]:
    """us an iteration: the mean over blocks of the process medians, and the least and most of them."""
    by_series: dict[tuple[str, Config], list[tuple[float, float, float, float]]] = {}
    for config in configs_in(ok):
        for case, rows in cases_in(config.of(ok)):
            us = rows["latency_median_us"]
            series = by_series.setdefault((case.style, config), [])
            series.append((float(case.size.flops), mean_us(rows), float(us.min()), float(us.max())))
    return _lines(by_series)


def _lines(by_series: dict[tuple[str, Config], list[tuple[float, float, float, float]]]) -> list[Line]:
    lines = [Line(*key, *zip(*sorted(points), strict=True)) for key, points in by_series.items()]
    # a case measured at one size only is in the ladder, and here would only hide the lines behind its marker
    lines = [line for line in lines if len(line.work) > 1] or lines
    return sorted(lines, key=lambda line: (line.config.accelerated, line.config, line.style))


def crossing(line: Line, level: float) -> float | None:
    """The FLOP where `line` comes to reach `level` between two of its sizes: the verdict's crossover, not the pen's."""
    at = first_reaching(line.work, line.middle, level)
    return None if at is None or at == line.work[0] else at


def speedup_against_work(found: Sequence[Speedup], words: Words) -> Figure:
    """Speedup over one baseline against the FLOP of an iteration, in one scope; at least two sizes.

    One panel while its lines are few, else one for each configuration on the same axes.
    """
    lines = speedup_lines(found)
    look = chart_style.look(sorted({line.style for line in lines}))
    crossed = any(crossing(line, level) is not None for line in lines for level in (1.0, 50.0))
    ring = Line2D([], [], label="reaches 1x or 50x (between sizes: interpolated)", **chart_style.ring())
    extra = [ring] if crossed else []

    def draw(axes: Axes, here: Sequence[Line]) -> None:
        for value, colour, style in REFERENCES:
            axes.axhline(value, color=colour, linewidth=1.2, linestyle=style, zorder=1.5)
            axes.annotate(
                f"{value:g}x", (1, value), xycoords=("axes fraction", "data"), xytext=(4, 0),
                textcoords="offset points", color=colour, fontsize=9, fontweight="bold", va="center",
            )  # fmt: skip
        for line in here:
            _draw_line(axes, line, look)
            _draw_crossings(axes, line)

    return _panels(words, lines, draw, ("speedup", "x"), extra, limits=(1.0, 50.0))


def _draw_crossings(axes: Axes, line: Line) -> None:
    for level in (1.0, 50.0):
        work = crossing(line, level)
        if work is not None:
            axes.plot([work], [level], zorder=4, **chart_style.ring())
            axes.plot([work, work], [axes.get_ylim()[0], level], color=FAINT, linewidth=0.9, linestyle=":", zorder=1.4)


def _draw_line(axes: Axes, line: Line, look: Look) -> None:
    colour, shape = look[line.style]
    axes.fill_between(line.work, line.low, line.high, color=colour, alpha=0.18, linewidth=0)
    for work, low, high in zip(line.work, line.low, line.high, strict=True):
        axes.plot([work, work], [low, high], color=colour, linewidth=1.3, alpha=0.7)
    axes.plot(line.work, line.middle, **_marks(line, colour, shape))


def _marks(line: Line, colour: str, shape: str) -> dict[str, Any]:
    marks = chart_style.point(line.config.accelerated, colour, shape)
    dashes = chart_style.dashes(line.config.accelerated, line.config.threads, plain=line.config.plain)
    return {**marks, "color": colour, "linewidth": 1.6, "linestyle": dashes}


def time_against_work(ok: pd.DataFrame, words: Words) -> Figure:
    """Time of an iteration against its FLOP, a panel for each configuration, above the floor in `floor_us`.

    `ok` holds the styles that train by plain SGD.
    """
    lines = time_lines(ok)
    look = chart_style.look(sorted({line.style for line in lines}))
    floors = {config: _floor(config.of(ok)) for config in configs_in(ok)}
    extra = [Line2D([], [], label="floor: the least time that the measured ceilings allow", **_floor_look())]
    lowest = [us for work_us in floors.values() for us in work_us[1]]

    def draw(axes: Axes, here: Sequence[Line]) -> None:
        work, us = floors[here[0].config]
        if work:
            axes.plot(work, us, **_floor_look())
            axes.fill_between(work, us, axes.get_ylim()[0], color="#efefef", zorder=0)
        for line in here:
            _draw_line(axes, line, look)

    return _panels(words, lines, draw, ("time of an iteration", "us"), extra if lowest else [], lowest, split=True)


def _floor(rows: pd.DataFrame) -> tuple[list[float], list[float]]:
    floors = rows[rows["floor_us"] > 0].groupby("flops", sort=True)["floor_us"].median()
    return floors.index.astype(float).tolist(), [float(us) for us in floors]


def _floor_look() -> dict[str, Any]:
    return {"color": FAINT, "linewidth": 2.2, "linestyle": "-", "marker": "_", "markersize": 7}


def _panels(
    words: Words,
    lines: Sequence[Line],
    draw: Callable[[Axes, Sequence[Line]], None],
    quantity: tuple[str, str],
    extra: Sequence[Line2D],
    limits: Sequence[float] = (),
    *,
    split: bool = False,
) -> Figure:
    """One panel, or two columns of them with a title each, on the same axes, and the legend below."""
    groups = _groups(lines, split=split)
    titled = groups[0][0] is not None
    handles = _handles(lines, titled=titled)
    legend_in = chart_legend.legend_height_in(handles) + chart_legend.legend_height_in(extra)
    columns = min(2, len(groups))
    panel_in = 3.3 if columns == 1 else 2.35
    rows = math.ceil(len(groups) / columns)
    gap_in = 0.62 if titled else 0.3
    page = chart_style.page(words, rows * (panel_in + gap_in) + 0.55 + legend_in)
    xlim, ylim = _limits(lines, limits)
    for index, (config, here) in enumerate(groups):
        row, column = divmod(index, columns)
        bottom = page.height - (row + 1) * (panel_in + gap_in) + gap_in * 0.3
        axes = _place(page, columns, column, bottom, panel_in)
        axes.set(xlim=xlim, ylim=ylim)
        _label(axes, quantity, first=column == 0, last=index + columns >= len(groups))
        draw(axes, here)
        if config is not None:
            axes.set_title(config.label)
    chart_legend.legend_below(page, handles, legend_in)
    chart_legend.legend_below(page, extra, chart_legend.legend_height_in(extra))
    return page.figure


def _label(axes: Axes, quantity: tuple[str, str], *, first: bool, last: bool) -> None:
    name, unit = quantity
    chart_style.log_axis(axes, "x", unit="FLOP")
    chart_style.log_axis(axes, "y", unit=unit)
    axes.set_ylabel(name if first else "")
    axes.set_xlabel("work of an iteration (FLOP)" if last else "")


def _groups(lines: Sequence[Line], *, split: bool) -> list[tuple[Config | None, list[Line]]]:
    """The lines of each panel: all in one without a title, or those of a configuration."""
    if not split and len(lines) <= MOST_IN_ONE_PANEL:
        return [(None, list(lines))]
    configs = in_order(line.config for line in lines)
    return [(config, [line for line in lines if line.config == config]) for config in configs]


def _place(page: Page, columns: int, column: int, bottom: float, height: float) -> Axes:
    left, right, between = 0.95, 0.5, 0.85
    width = (WIDTH_IN - left - right - (columns - 1) * between) / columns
    return page.axes(left + column * (width + between), bottom, width, height)


def _handles(lines: Sequence[Line], *, titled: bool) -> list[Line2D]:
    look = chart_style.look(sorted({line.style for line in lines}))
    if not titled:
        return [Line2D([], [], label=line.label, **_marks(line, *look[line.style])) for line in lines]
    first = {line.style: line for line in reversed(lines)}
    names = sorted(first, key=lambda style: list(look).index(style))
    return [
        Line2D([], [], label=chart_style.elided(name), **{**_marks(first[name], *look[name]), "linestyle": "-"})
        for name in names
    ]


def _limits(lines: Sequence[Line], others: Sequence[float]) -> tuple[Limits, Limits]:
    work = [value for line in lines for value in line.work]
    values = [value for line in lines for value in (*line.middle, *line.low, *line.high) if math.isfinite(value)]
    # two blocks can give an interval over many decades, which would squeeze everything else into a line
    middles = [value for line in lines for value in line.middle] + list(others)
    low, high = max(min([*values, *others]), min(middles) / 10), min(max([*values, *others]), max(middles) * 10)
    margin = max(1.15, (max(work) / min(work)) ** 0.04)
    return (min(work) / margin, max(work) * margin), (low / 1.3, high * 1.3)
