"""What changes with the work of an iteration: the speedup with its crossovers, the time with its floors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.cases.case import CaseKey
from bench.cases.problem import Size
from bench.charts.drawing.series import (
    RING,
    Config,
    Palette,
    by_config,
    config_of,
    draw_crossing,
    handle,
    in_order,
    marks,
    name_sizes,
    palette,
    palette_of,
)  # fmt: skip
from bench.charts.drawing.style import FAINT, REFERENCES, Words, elided, panels
from bench.charts.drawing.ticks import log_axis
from bench.charts.drawing.words import footer, growth_words, interval_words, work_words
from bench.charts.ladder import claimed
from bench.tables.by_case import cases_in
from bench.verdict.claim import TUTORIAL_CLAIM
from bench.verdict.crossover import first_reaching
from bench.verdict.evidence import Evidence
from bench.verdict.judgement import Question, crossovers_of, lead
from bench.verdict.ratios.speedup import BASELINES, Speedup, chosen_baselines, mean_us

SPEEDUP, TIME = "speedup-against-work-", "time-against-work"
NAMES = (*(f"{SPEEDUP}{name}" for name in BASELINES), TIME)
MOST_IN_ONE_PANEL = 6
LEVELS = (1.0, 50.0)
FLOOR: dict[str, Any] = {"color": FAINT, "linewidth": 2.2, "linestyle": "-", "marker": "_", "markersize": 7}
Limits = tuple[float, float]
Point = tuple[CaseKey, float, float, float]  # a value and its interval
Panel = tuple[Config | None, list["Line"]]


@dataclass(frozen=True, slots=True)
class Line:
    """A style on a device: the FLOP of an iteration, a value there, and its interval (NaN: unknown)."""

    style: str
    config: Config
    work: tuple[float, ...]
    middle: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    sizes: tuple[Size, ...] = ()


def charts(evidence: Evidence) -> Iterator[tuple[str, Figure]]:
    """Speedup and time against the work of an iteration, where there is more than one size.

    Without an accelerator the speedups over one baseline alone: over the best CPU they would all lie below 1x.
    """
    rows, found, colours = evidence.rows, evidence.by_iteration(), palette_of(evidence)
    rows = rows[(rows["oracle"] == "sgd") & (rows["latency_median_us"] > 0)]
    if rows["flops"].nunique() < 2:
        return
    foot = footer(evidence.run, rows)
    scaled = any(size.short not in ("tutorial", str(size)) for size in evidence.sizes)
    named = "; size 2x: every side twice the tutorial's" if scaled else ""
    accelerated = any(not one.contender.on_cpu for one in found)
    for name in chosen_baselines(found)[: None if accelerated else 1]:
        chosen = [one for one in found if one.baseline == name]
        if len({one.contender.size for one in chosen}) > 1:
            about = (
                f"baseline {name}, at each size anew: {BASELINES[name]}\n"
                f"log-log; bands and bars: {interval_words(evidence.confidence)}s paired by block{named}"
            )
            yield f"{SPEEDUP}{name}", speedup_against_work(chosen, Words(finding(evidence, name), about, foot), colours)
    about = f"log-log; a point is the mean of its blocks, bands and bars reach from the fastest to the slowest{named}"
    words = Words(growth_words(rows), about, foot)
    yield TIME, time_against_work(rows, words, colours)


def finding(evidence: Evidence, baseline: str) -> str:
    """What the sizes found against one baseline, as the verdict has it."""
    found = [lead(evidence, size, baseline) for size in evidence.sizes]
    crossovers = crossovers_of(evidence, Question(TUTORIAL_CLAIM, baseline))
    if crossovers:  # of a GPU: a size without one says nothing of it
        found = [one for one in found if one.speedup is not None and not one.speedup.contender.on_cpu]
    return work_words(found, crossovers)


def speedup_lines(found: Iterable[Speedup]) -> list[Line]:
    """A line a style and configuration, through its sizes in order of their work.

    The baseline itself is at 1; what is the baseline at every size is the 1x line that is there already.
    """
    points: list[Point] = []
    for one in found:
        points.append((one.contender, one.ratio.value, one.ratio.low, one.ratio.high))
        points.append((one.baseline_case, 1.0, 1.0, 1.0))
    lines = _lines(points)
    return [line for line in lines if set(line.middle) != {1.0} or any(math.isnan(low) for low in line.low)] or lines


def time_lines(ok: pd.DataFrame) -> list[Line]:
    """us an iteration: the mean over blocks of the process medians, and the least and most of them."""
    us = {case: rows["latency_median_us"] for case, rows in cases_in(ok)}
    return _lines((case, mean_us(rows), float(us[case].min()), float(us[case].max())) for case, rows in cases_in(ok))


def _lines(points: Iterable[Point]) -> list[Line]:
    by_series: dict[tuple[str, Config], list[tuple[Any, ...]]] = {}
    for case, *values in dict.fromkeys(points):
        point = (float(case.size.flops), *values, case.size)
        by_series.setdefault((case.style, config_of(case)), []).append(point)
    lines = [Line(*key, *zip(*sorted(series), strict=True)) for key, series in by_series.items()]
    # a case measured at one size only is in the ladder, and here would only hide the lines behind its marker
    lines = [line for line in lines if len(line.work) > 1] or lines
    return sorted(lines, key=lambda line: (line.config.accelerated, line.config, line.style))


def crossing(line: Line, level: float) -> float | None:
    """The FLOP where `line` comes to reach `level` between two of its sizes: the verdict's crossover, not the pen's."""
    at = first_reaching(line.work, line.middle, level)
    return None if at is None or at == line.work[0] else at


def first_crossings(lines: Sequence[Line]) -> dict[Line, list[tuple[float, float]]]:
    """By line the (FLOP, level) where it is the first of all, or of the accelerators, and none was there before."""
    asked = [line for line in lines if line.config.accelerated] or lines
    found: dict[Line, list[tuple[float, float]]] = {line: [] for line in lines}
    for level in LEVELS:
        at = {line: where for line in asked if (where := crossing(line, level))}
        if at and all(line.middle[0] < level for line in asked):
            first = min(at, key=at.__getitem__)
            found[first].append((at[first], level))
    return found


def speedup_against_work(found: Sequence[Speedup], words: Words, colours: Palette | None = None) -> Figure:
    """Speedup over one baseline against the FLOP of an iteration, in one scope; at least two sizes.

    One panel while its lines are few, else one for each configuration on the same axes.
    """
    lines = speedup_lines(found)
    crossed = first_crossings(lines)
    limits = LEVELS if claimed(found) else LEVELS[:1]
    ringed = Line2D([], [], label="the first to reach 1x or 50x (between sizes: interpolated)", **RING)
    extra = [ringed] if any(crossed.values()) else []
    figure, drawn = _draw(words, lines, ("speedup", "x"), extra, colours, limits=limits)
    for axes, (_config, here) in drawn:
        for value, colour, style in REFERENCES[: len(limits)]:
            axes.axhline(value, color=colour, linewidth=1.2, linestyle=style, zorder=1.5)
            axes.annotate(
                f"{value:g}x", (1, value), xycoords=("axes fraction", "data"), xytext=(4, 0),
                textcoords="offset points", color=colour, fontsize=9, fontweight="bold", va="center",
            )  # fmt: skip
        for line in here:
            for at, level in crossed[line]:
                draw_crossing(axes, at, level)
    return figure


def time_against_work(ok: pd.DataFrame, words: Words, colours: Palette | None = None) -> Figure:
    """Time of an iteration against its FLOP, a panel for each configuration, above the floor in `floor_us`.

    `ok` holds the styles that train by plain SGD.
    """
    floors = {config: _floor(rows) for config, rows in by_config(ok).items()}
    lowest = [us for floor in floors.values() for us in floor]
    extra = [Line2D([], [], label="floor: the least time that the measured ceilings allow", **FLOOR)] if lowest else []
    lines = time_lines(ok)
    figure, drawn = _draw(words, lines, ("time of an iteration", "us"), extra, colours, limits=lowest, split=True)
    for axes, (_config, here) in drawn:
        floor = floors[here[0].config]
        if len(floor):
            axes.plot(floor.index, floor, zorder=1.6, **FLOOR)
            axes.fill_between(floor.index, floor, axes.get_ylim()[0], color="#efefef", zorder=0)
    return figure


def _floor(rows: pd.DataFrame) -> pd.Series:
    """The floor (us) by FLOP, which is the same in all blocks up to what the ceilings were measured as."""
    return rows[rows["floor_us"] > 0].groupby("flops", sort=True)["floor_us"].median()


def _draw(
    words: Words,
    lines: Sequence[Line],
    measure: tuple[str, str],
    extra: Sequence[Line2D],
    colours: Palette | None,
    *,
    limits: Sequence[float],
    split: bool = False,
) -> tuple[Figure, list[tuple[Axes, Panel]]]:
    """One panel, or one for each configuration, with its lines drawn on the same limits, and the legend below.

    `measure` is a name and a unit.
    """
    groups: list[Panel] = [(None, list(lines))]
    if split or len(lines) > MOST_IN_ONE_PANEL:
        configs = in_order(line.config for line in lines)
        groups = [(config, [line for line in lines if line.config == config]) for config in configs]
    colours = colours or palette(line.style for line in lines)
    titles = ["" if config is None else config.label for config, _ in groups]
    legends = [_handles(lines, colours, titled=any(titles)), extra]
    figure, panes = panels(words, titles, legends, "work of an iteration (FLOP) and the size", measure[0])
    xlim, ylim = _limits(lines, limits)
    for axes, (_config, here) in zip(panes, groups, strict=True):
        axes.set(xlim=xlim, ylim=ylim)
        log_axis(axes, "x", unit="FLOP")
        log_axis(axes, "y", unit=measure[1])
        name_sizes(axes, {size for line in lines for size in line.sizes})
        for line in here:
            colour, shape = colours[line.style]
            axes.fill_between(line.work, line.low, line.high, color=colour, alpha=0.18, linewidth=0)
            axes.vlines(line.work, line.low, line.high, color=colour, linewidth=1.3, alpha=0.7)
            axes.plot(line.work, line.middle, **marks(line.config, colour, shape))
    return figure, list(zip(panes, groups, strict=True))


def _handles(lines: Sequence[Line], colours: Palette, *, titled: bool) -> list[Line2D]:
    handles = [handle(line.style, line.config, colours) for line in lines]
    if not titled:
        return handles
    first = {line.style: shown for line, shown in reversed(list(zip(lines, handles, strict=True)))}
    for style, shown in first.items():  # the panels name the configurations
        shown.set(label=elided(style), linestyle="-")
    return [first[style] for style in sorted(first)]


def _limits(lines: Sequence[Line], others: Sequence[float]) -> tuple[Limits, Limits]:
    work = [value for line in lines for value in line.work]
    values = [value for line in lines for value in (*line.middle, *line.low, *line.high) if math.isfinite(value)]
    # two blocks can give an interval over many decades, which would squeeze everything else into a line
    middles = [value for line in lines for value in line.middle] + list(others)
    low, high = max(min([*values, *others]), min(middles) / 10), min(max([*values, *others]), max(middles) * 10)
    margin = max(1.15, (max(work) / min(work)) ** 0.04)
    return (min(work) / margin, max(work) * margin), (low / 1.3, high * 1.3)
