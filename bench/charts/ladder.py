"""The ladder of speedups: each style against one baseline at one size, a bar from 1x; and the card of a run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from matplotlib.figure import Figure

from bench.cases.case import CaseKey
from bench.cases.measurement import AT_ONCE
from bench.cases.problem import Size
from bench.charts.drawing.series import Config, Palette, config_of, in_order, palette, palette_of
from bench.charts.drawing.strip import Row, draw_bar, draw_interval, draw_references, ratio_words, strip
from bench.charts.drawing.style import ONE_X, Words, elided
from bench.charts.drawing.ticks import log_axis
from bench.charts.drawing.words import (
    count_words,
    finding_words,
    footer,
    interval_words,
    machine_words,
    size_words,
    work_words,
)
from bench.tables.by_case import at_size, cases_in
from bench.verdict.claim import TUTORIAL_CLAIM
from bench.verdict.evidence import Evidence
from bench.verdict.judgement import (
    Question,
    base_words,
    best_of_each,
    crossovers_of,
    lead,
    leads,
    style_words,
)
from bench.verdict.ratios.intervals import CONFIDENCE
from bench.verdict.ratios.speedup import BASELINES, Speedup, chosen_baselines
from bench.words import thread_count

OTHER_TRAININGS = "speedup-other-trainings"
NAMES = (*(f"speedup-{name}" for name in BASELINES), OTHER_TRAININGS)
XLABEL = "speedup (log scale); right of 1x is faster than the baseline"
HATCHED = "\nhatched: by throughput, where the losses of several iterations become known together"
CLAIM_IN_SIGHT = 20.0
CARD_IN, MOST_ON_CARD, MOST_HEADLINE = 4.2, 7, 440  # inches high, bars, letters
Lines = list[tuple[CaseKey, Speedup | None]]


def charts(evidence: Evidence) -> Iterator[tuple[str, Figure]]:
    """Speedups at one size over each chosen baseline; other trainings, where a GPU ran, in one of their own."""
    size, run, colours = evidence.shown_size, evidence.run, palette_of(evidence)
    rows, here = evidence.rows_at(size), evidence.by_iteration(size)
    for name in chosen_baselines(here):
        found = [one for one in here if one.baseline == name]
        at_once = started_at_once(evidence, size, name)
        about = f"over {base_of(found)}: {BASELINES[name]}\n{size_words(size)}{HATCHED if at_once else ''}"
        words = Words(finding_words(lead(evidence, size, name)), about, footer(run, rows[rows["oracle"] == "sgd"]))
        yield f"speedup-{name}", ladder(found, words, evidence.confidence, colours, at_once)
    unlike = rows[rows["oracle"] != "sgd"]
    others = [one for one in here if one.baseline == "own" and one.contender.style in set(unlike["style"])]
    if any(not one.contender.on_cpu for one in others):
        title = "Adam and the dynamic net: each over itself on one CPU thread"
        about = f"baseline own: {BASELINES['own']}; they train another way than the ladder\n{size_words(size)}"
        yield OTHER_TRAININGS, ladder(others, Words(title, about, footer(run, unlike)), evidence.confidence, colours)


def started_at_once(evidence: Evidence, size: Size, baseline: str) -> list[Speedup]:
    """The speedups by throughput of the cases that start several iterations at once and have none by iteration."""
    cases = {case for case, rows in cases_in(at_size(evidence.rows, size)) if rows[AT_ONCE].max() > 1}
    by_throughput = (one for one in evidence.speedups if (one.scope, one.baseline) == ("throughput", baseline))
    return [one for one in by_throughput if one.contender in cases]


def base_of(found: Sequence[Speedup]) -> str:
    """`tutorial (numpy_manual, cpu float64, 2 threads)`; `found` are over one baseline."""
    base = found[0].baseline_case
    return f"{found[0].baseline} ({base.style}, {base.device} {base.dtype}, {thread_count(base.threads)})"


def ladder(
    found: Sequence[Speedup],
    words: Words,
    confidence: float = CONFIDENCE,
    colours: Palette | None = None,
    at_once: Sequence[Speedup] = (),
) -> Figure:
    """Speedup and interval of each style at one size against one baseline, a row a case.

    `found` holds one scope, size and baseline, and at least one speedup; `confidence` is that of its intervals. Below
    these, hatched, `at_once`: what is faster by throughput alone.
    """
    noisy = ", * noisy" if any(one.noisy for one in (*found, *at_once)) else ""
    rows: list[Row] = []
    lines: Lines = []
    groups: list[tuple[str, Lines]] = [(config.label, here) for config, here in grouped(found)]
    for config, here in grouped(at_once):
        contenders: Lines = [(case, one) for case, one in here if one is not None]
        groups += [(f"{config.label}, throughput", contenders)] if contenders else []
    for heading, here in groups:
        rows.append(Row(heading, "" if rows else f"[{interval_words(confidence)}]{noisy}", heading=True))
        rows += [Row(elided(case.style), value_words(one), faint=one is None) for case, one in here]
        lines += here
    return _bars(rows, lines, words, colours)


def card(evidence: Evidence, headline: str) -> Figure:
    """One picture of a run: its finding, the headline sentence, a bar a size or where there is one size a style."""
    found = leads(evidence)
    shown: Lines = [(one.speedup.contender, one.speedup) for one in found if one.speedup is not None]
    sizes = len(shown) > 1
    if sizes:
        shown = shown[:: math.ceil(len(shown) / MOST_ON_CARD)]
    elif found:
        here = [one for one in evidence.by_iteration(found[0].size) if one.baseline == found[0].baseline]
        best = dict(shown)  # as the headline has it, with room for its choice
        shown = [(one.contender, best.get(one.contender, one)) for one in best_of_each(here)[:MOST_ON_CARD]]
        base = found[0].baseline_case
        shown += [(base, None)] if base is not None and len(shown) < MOST_ON_CARD else []
    rows = [Row(_card_name(case, sizes=sizes), value_words(one)) for case, one in shown]
    day = str(evidence.run.machine.get("created") or "")[:10]
    noisy = "* noisy" if any(one is not None and one.noisy for _case, one in shown) else ""
    blocks = count_words(evidence.rows) if len(evidence.rows) else ""
    machine = machine_words(evidence.run.machine, evidence.rows)
    foot = "; ".join(filter(None, (day, blocks, evidence.run.unfinished, machine, noisy)))
    words = Words(f"Is it really 50x on a GPU? {card_words(evidence)}", elided(headline, MOST_HEADLINE), foot)
    xlabel = f"speedup over {base_words(found[0].baseline)} (log scale)" if found else XLABEL
    return _bars(rows, shown, words, palette_of(evidence), xlabel, CARD_IN)


def card_words(evidence: Evidence) -> str:
    """The finding of a whole run in a few words."""
    found = leads(evidence)
    if len(found) > 1:
        question = Question(TUTORIAL_CLAIM, found[0].baseline)
        return work_words(found, crossovers_of(evidence, question))
    if not found:
        return "It was not measured"
    tried = "No GPU was measured in float32 by iteration; " if evidence.gpu_tried else "No GPU was measured; "
    on_gpu = found[0].speedup is not None and not found[0].speedup.contender.on_cpu
    return ("" if on_gpu else tried) + finding_words(found[0])


def _card_name(case: CaseKey, *, sizes: bool) -> str:
    where = thread_count(case.threads) if case.on_cpu else case.device
    at = f"{elided(case.size.short, 20)}: " if sizes else ""
    return f"{at}{style_words(case._replace(style=elided(case.style, 22)))}, {where}"


def _bars(
    rows: Sequence[Row],
    lines: Lines,
    words: Words,
    colours: Palette | None,
    xlabel: str = XLABEL,
    high_in: float | None = None,
) -> Figure:
    figure, axes, at = strip(words, rows, xlabel, high_in=high_in)
    axes.set_xlim(*ratio_limits([one for _case, one in lines if one is not None]))
    log_axis(axes, "x", unit="x")
    draw_references(axes)
    colours = colours or palette(case.style for case, _ in lines)
    for y_in, (case, one) in zip(at, lines, strict=True):
        if one is None:
            axes.plot([1], [y_in], marker="|", markersize=11, markeredgewidth=2, color=ONE_X)
            continue
        colour, hatched = colours[case.style][0], one.scope == "throughput"
        draw_bar(axes, y_in, (1.0, one.ratio.value), colour, filled=not case.on_cpu, hatched=hatched)
        draw_interval(axes, y_in, (one.ratio.low, one.ratio.high))
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


def claimed(found: Sequence[Speedup]) -> bool:
    """Whether the claim's 50x is worth its room: where an accelerator was measured, or a CPU comes near it."""
    return any(not one.contender.on_cpu or one.ratio.value >= CLAIM_IN_SIGHT for one in found)


def ratio_limits(found: Sequence[Speedup]) -> tuple[float, float]:
    """Limits of an axis from 1x to every speedup and its interval; to 50x where an accelerator is among them."""
    values = [1.0, *(one.ratio.value for one in found), *([50.0] if claimed(found) else [])]
    least, most = min(values), max(values)
    # two blocks can give an interval over many decades, which would squeeze everything else into a point
    ends = [end for one in found for end in (one.ratio.low, one.ratio.high) if math.isfinite(end)]
    low, high = max(min([least, *ends]), least / 2), min(max([most, *ends]), most * 2)
    margin = max((high / low) ** 0.04, 1.03)
    return low / margin, high * margin
