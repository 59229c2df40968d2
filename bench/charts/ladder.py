"""The ladder of speedups: each style against one baseline at one size, with its interval."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from matplotlib.figure import Figure

from bench.cases.case import CaseKey
from bench.charts.series import Config, config_of, in_order, look, point
from bench.charts.strip import Row, draw_interval, draw_references, ratio_words, strip
from bench.charts.style import ONE_X, Words, elided, log_axis
from bench.charts.words import footer, interval_words, size_words
from bench.verdict.evidence import Evidence
from bench.verdict.intervals import CONFIDENCE
from bench.verdict.speedup import BASELINES, Speedup, chosen_baselines
from bench.words import thread_count

APART = "speedup-apart"
NAMES = (*(f"speedup-{name}" for name in BASELINES), APART)
Lines = list[tuple[CaseKey, Speedup | None]]


def charts(evidence: Evidence) -> Iterator[tuple[str, Figure]]:
    """Speedups at one size over each chosen baseline, and apart from them those of the other trainings."""
    size, run = evidence.shown_size, evidence.run
    rows, here = evidence.rows_at(size), evidence.by_iteration(size)
    for name in chosen_baselines(here):
        found = [one for one in here if one.baseline == name]
        base = found[0].baseline_case
        title = f"Speedup of each style over {base.style}, {base.device} {base.dtype}, {thread_count(base.threads)}"
        about = f"baseline {name}: {BASELINES[name]}\n{size_words(size)}"
        words = Words(title, about, footer(run, rows[rows["oracle"] == "sgd"]))
        yield f"speedup-{name}", ladder(found, words, evidence.confidence)
    apart = rows[rows["oracle"] != "sgd"]
    others = [one for one in here if one.baseline == "own" and one.contender.style in set(apart["style"])]
    if others:
        title = "Adam and the dynamic net: each over itself on one CPU thread"
        about = f"baseline own: {BASELINES['own']}; they train another way than the ladder\n{size_words(size)}"
        yield APART, ladder(others, Words(title, about, footer(run, apart)), evidence.confidence)


def ladder(found: Sequence[Speedup], words: Words, confidence: float = CONFIDENCE) -> Figure:
    """Speedup and interval of each style at one size against one baseline, a row a case.

    `found` holds one scope, size and baseline, and at least one speedup; `confidence` is that of its intervals.
    """
    noisy = ", * noisy" if any(one.noisy for one in found) else ""
    rows: list[Row] = []
    lines: Lines = []
    for config, here in grouped(found):
        rows.append(Row(config.label, "" if rows else f"[{interval_words(confidence)}]{noisy}", heading=True))
        rows += [Row(elided(case.style), value_words(one), faint=one is None) for case, one in here]
        lines += here
    figure, axes, at = strip(words, rows, "speedup (log scale); right of 1x is faster than the baseline")
    axes.set_xlim(*ratio_limits(found))
    log_axis(axes, "x", unit="x")
    draw_references(axes)
    colours = look(case.style for case, _ in lines)
    for y_in, (case, one) in zip(at, lines, strict=True):
        if one is None:
            axes.plot([1], [y_in], marker="|", markersize=11, markeredgewidth=2, color=ONE_X)
            continue
        colour, _shape = colours[case.style]
        draw_interval(axes, y_in, (one.ratio.low, one.ratio.high), colour)
        axes.plot([one.ratio.value], [y_in], **point(config_of(case), colour, "o" if case.on_cpu else "s"))
    return figure


def grouped(found: Sequence[Speedup]) -> list[tuple[Config, Lines]]:
    """The cases of each configuration, fastest first; the baseline itself among them, without a speedup."""
    cases: dict[CaseKey, Speedup | None] = {one.contender: one for one in found}
    for one in found:
        if one.baseline != "own":
            cases.setdefault(one.baseline_case, None)
    lines = sorted(cases.items(), key=lambda line: -(1.0 if line[1] is None else line[1].ratio.value))
    return [
        (config, [line for line in lines if config_of(line[0]) == config])
        for config in in_order(map(config_of, cases))
    ]  # fmt: skip


def value_words(one: Speedup | None) -> str:
    """The ratio with its interval, ` *` where noisy; the baseline says so."""
    if one is None:
        return "the baseline"
    return ratio_words(one.ratio) + (" *" if one.noisy else "")


def ratio_limits(found: Sequence[Speedup]) -> tuple[float, float]:
    """Limits of an axis that holds every speedup, its interval, 1x and 50x."""
    values = [1.0, 50.0]
    for ratio in (one.ratio for one in found):
        values.append(ratio.value)
        if math.isfinite(ratio.low) and math.isfinite(ratio.high):
            # two blocks can give an interval over many decades, which would squeeze everything else into a point
            values += [max(ratio.low, 1e-4), min(ratio.high, 1e6)]
    return min(values) / 1.35, max(values) * 1.35
