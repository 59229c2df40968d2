"""When a start pays off: the time of whole trainings from cold against their iterations."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.cases.case import CaseKey
from bench.cases.problem import TUTORIAL_ITERATIONS
from bench.charts.drawing.series import (
    RING,
    Palette,
    config_of,
    draw_crossing,
    handle,
    marks,
    palette,
    palette_of,
    shown,
)
from bench.charts.drawing.style import FAINT, INK, Words, panels
from bench.charts.drawing.ticks import log_axis
from bench.charts.drawing.words import footer, interval_words, size_words, time_words
from bench.tables.by_case import cases_in
from bench.verdict.break_even import PROGRAM, START_COLUMNS, Iterations, Start, between, start_of
from bench.verdict.evidence import Evidence
from bench.verdict.ratios.intervals import CONFIDENCE, looks_of
from bench.verdict.ratios.speedup import fastest

NAMES = ("break-even",)
MOST_ITERATIONS = 10**6
STAR: dict[str, Any] = {"marker": "*", "markersize": 11}
Ring = tuple[Iterations, float]  # when, and after how many seconds


def charts(evidence: Evidence) -> Iterator[tuple[str, Figure]]:
    """Time from a cold start against iterations, where starts were timed."""
    rows = shown(evidence)
    found = starts(rows, looks_of(evidence.run.machine)[0])
    if found:
        about = (
            f"{start_words(found)}\nthen the mean iteration over and over; bands: all blocks\n"
            f"{size_words(evidence.shown_size)}"
        )
        words = Words(break_even_words(found), about, footer(evidence.run, rows))
        rings = rings_of(found, dict(cases_in(rows)), evidence.confidence)
        yield NAMES[0], break_even(found, words, rings, interval_words(evidence.confidence), palette_of(evidence))


def starts(rows: pd.DataFrame, first_look: float = math.inf) -> list[Start]:
    """Who is compared: the fastest float32 case of each framework on each device, the tutorial's own float64.

    Of each framework and device also the fastest case whose whole program was run. `rows` are `ok`, of one size, of
    styles that train by plain SGD. A case whose start was not timed is left out.
    """
    timed = rows.dropna(subset=list(START_COLUMNS))
    plain = timed[(timed["dtype"] == "float32") & (timed["precision"] == "ieee")]
    best = partial(fastest, first_look=first_look)
    groups = [best(same) for _key, same in plain.groupby(["device", "framework"], sort=True)]
    groups.append(best(timed[(timed["style"] == "numpy_manual") & (timed["dtype"] == "float64")]))
    programs = timed[timed[PROGRAM].notna()]
    groups += [best(same) for _key, same in programs.groupby(["device", "framework"], sort=True)]
    found = [start_of(same) for same in groups if len(same)]
    return list({one.case: one for one in found if one is not None}.values())


def break_even_words(starts: Sequence[Start]) -> str:
    """Its finding: who is done first with the tutorial's iterations from cold, of starts that were taken alike."""
    whole = sum(one.whole for one in starts)
    alike = [one for one in starts if one.whole == (2 * whole >= len(starts))]
    both = len({one.case.device for one in alike}) > 1
    ends = sorted(
        (one.total(TUTORIAL_ITERATIONS), f"{one.case.style} {one.case.arithmetic}{f' on {one.case.device}' * both}")
        for one in alike
    )
    done = [f"{who} in {time_words(seconds, 's')}" for seconds, who in (ends[0], ends[-1])]
    return f"{TUTORIAL_ITERATIONS} iterations from cold: {', '.join(dict.fromkeys(done))}"


def start_words(starts: Sequence[Start]) -> str:
    """How the starts of these lines were taken."""
    whole = f"whole programs of {TUTORIAL_ITERATIONS} iterations (star)"
    parts = "import + transfer + first call, without python itself"
    kinds = {one.whole: whole if one.whole else parts for one in starts}
    return "start: " + ", else ".join(kinds[kind] for kind in sorted(kinds, reverse=True))


def rings_of(
    starts: Sequence[Start], rows: Mapping[CaseKey, pd.DataFrame], confidence: float = CONFIDENCE
) -> list[Ring]:
    """The verdict's break-evens within the chart: accelerators against CPUs, if both are there, else all pairs.

    Only between starts that were taken alike: a whole program against a sum of parts would compare two things.
    """
    mixed = len({one.case.on_cpu for one in starts}) > 1
    found = []
    for pair in combinations(starts, 2):
        before, after = sorted(pair, key=lambda one: -fmean(one.latency_us))
        if before.whole != after.whole or (mixed and before.case.on_cpu == after.case.on_cpu):
            continue
        at = between(rows[before.case], rows[after.case], confidence=confidence)
        if at is not None and at.whole == after.whole and 1 < at.cold.value <= MOST_ITERATIONS:
            found.append((at.cold, after.total(at.cold.value)))
    return found


def break_even(
    starts: Sequence[Start],
    words: Words,
    rings: Sequence[Ring] = (),
    interval: str = "interval",
    colours: Palette | None = None,
) -> Figure:
    """Total seconds against iterations, log-log, a line a case; a ring where one has repaid its dearer start."""
    colours = colours or palette(one.case.style for one in starts)
    handles = [handle(one.case.style, config_of(one.case), colours) for one in starts]
    alike = "" if len({one.whole for one in starts}) == 1 else ", of lines that both have a star or both none"
    extra = [Line2D([], [], label=f"break-even with its {interval}{alike}", **RING)] if rings else []
    if any(one.whole for one in starts):
        measured = f"measured: a whole program of {TUTORIAL_ITERATIONS} iterations"
        extra.append(Line2D([], [], label=measured, color=INK, linestyle="none", **STAR))
    figure, (axes,) = panels(words, [""], [handles, extra], "iterations (log scale)", "time from a cold start")
    at = np.unique(np.round(np.geomspace(1, MOST_ITERATIONS, 200)))
    totals = [np.array([one.totals(float(k)) for k in at]) for one in starts]  # (iterations, blocks)
    means = [total.mean(axis=1) for total in totals]
    least = min(float(mean[mean > 0].min(initial=math.inf)) for mean in means)
    axes.set(xlim=(0.9, MOST_ITERATIONS), ylim=(least / 1.5, max(float(mean.max()) for mean in means) * 1.2))
    log_axis(axes, "x", unit="")
    log_axis(axes, "y", unit="s")
    for one, total, mean in zip(starts, totals, means, strict=True):
        colour, shape = colours[one.case.style]
        axes.fill_between(at, total.min(axis=1), total.max(axis=1), color=colour, alpha=0.18, linewidth=0)
        axes.plot(at, mean, markevery=(12, 24), **marks(config_of(one.case), colour, shape))
        if one.whole:
            axes.plot([TUTORIAL_ITERATIONS], [one.total(TUTORIAL_ITERATIONS)], color=colour, zorder=3, **STAR)
    for when, seconds in rings:
        draw_crossing(axes, when.value, seconds)
        axes.plot([max(when.low, 0.9), min(when.high, MOST_ITERATIONS)], [seconds] * 2, color=INK, linewidth=1.3)
    _mark_tutorial(axes)
    return figure


def _mark_tutorial(axes: Axes) -> None:
    axes.axvline(TUTORIAL_ITERATIONS, color=FAINT, linewidth=1.0, linestyle=(0, (1, 2)), zorder=1.3)
    axes.annotate(
        f"the tutorial's {TUTORIAL_ITERATIONS}", (TUTORIAL_ITERATIONS, 1), xycoords=("data", "axes fraction"),
        xytext=(4, -2), textcoords="offset points", fontsize=8.5, color=FAINT, va="top",
    )  # fmt: skip
