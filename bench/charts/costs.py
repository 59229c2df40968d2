"""What things cost: each layer, a first call, the parts of an iteration, and a headline speedup's factors."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from operator import mul

import pandas as pd
from matplotlib.figure import Figure

from bench.cases.case import CaseKey
from bench.causes.shares import explain
from bench.charts.drawing.series import Config, Palette, by_config, config_of, palette, palette_of, shown
from bench.charts.drawing.strip import BAR_IN, Row, draw_bar, draw_interval, draw_references, ratio_words, strip
from bench.charts.drawing.style import FAINT, GREY, INK, PALE, Words, elided
from bench.charts.drawing.ticks import linear_axis, log_axis
from bench.charts.drawing.width import is_narrow
from bench.charts.drawing.words import footer, interval_words, size_words, time_words
from bench.charts.shares import ABOUT, shares, shares_words
from bench.tables.by_case import cases_in
from bench.verdict.decomposition import Decomposition, decompose
from bench.verdict.evidence import Evidence
from bench.verdict.ratios.intervals import CONFIDENCE, t_quantile
from bench.verdict.ratios.speedup import mean_us
from bench.words import microseconds, number

NAMES = ("layers", "first-call", "shares", "decomposition")
RUNGS = {
    "torch_tensors": "manual backward",
    "torch_autograd": "autograd",
    "torch_function": "own Function",
    "torch_nn": "nn.Sequential",
    "torch_optim_sgd": "torch.optim",
    "torch_module": "own nn.Module",
}
ROW_IN = 0.3


@dataclass(frozen=True, slots=True)
class Rung:
    """A layer: its time, and what it adds to the layer before (us; mean of differences by block, and its interval).

    `first_us` is the first iteration of a process, the median of the blocks; NaN where unknown.
    """

    name: str
    us: float
    added_us: float
    low_us: float
    high_us: float
    first_us: float = math.nan


def charts(evidence: Evidence) -> Iterator[tuple[str, Figure]]:
    """What each layer adds, wherever two were measured; first calls; the headline's factors, where it has some."""
    run, rows, size, colours = evidence.run, shown(evidence), size_words(evidence.shown_size), palette_of(evidence)
    interval = interval_words(evidence.confidence)
    each = {config: rungs(same, evidence.confidence) for config, same in by_config(rows).items()}
    names = {one.name for found in each.values() for one in found}
    if names:
        about = (
            f"means over blocks, of first calls the median; full colour: what a layer adds to the one above, pale: "
            f"saves; black: its {interval}"
        )
        foot = footer(run, rows[rows["style"].isin(names)])
        words = Words(layers_words(*next(item for item in each.items() if item[1])), f"{about}\n{size}", foot)
        yield "layers", layers(each, words, interval, colours)
    first = first_calls(evidence.rows_at(evidence.shown_size))
    if len(first) > 1:
        about = f"the first iteration of a process, after its imports: median of the blocks, least and most\n{size}"
        foot = footer(run, evidence.rows_at(evidence.shown_size))
        yield "first-call", first_call(first, Words(first_words(first), about, foot), colours)
    here = [one for one in explain(run) if one.case.size == evidence.shown_size]
    parts = [one for one in here if one.whole]
    if parts:
        unseen = f"{len(here) - len(parts)} without all parts" if len(parts) < len(here) else ""
        foot = footer(run, evidence.rows_at(evidence.shown_size), unseen)
        yield "shares", shares(parts, Words(shares_words(parts), f"{ABOUT}\n{size}", foot))
    found = decompose(evidence, evidence.shown_size) if len(rows) else None
    if found is not None and any(math.isfinite(factor) for _label, factor in found.waterfall()):
        start = found.start
        title = f"What makes {number(found.headline.value)}x over {start.style}, {start.device} {start.dtype}"
        merged = f"; not measured separately: {', '.join(found.unmeasured)}" if found.unmeasured else ""
        about = f"from {found.start_words} to {found.end.label}{merged}\n{found.environment}".rstrip()
        foot = footer(run, rows, f"{'noisy; ' if found.noisy else ''}each factor with its {interval}")
        yield "decomposition", waterfall(found, Words(title, f"{about}\n{size}", foot))


def rungs(rows: pd.DataFrame, confidence: float = CONFIDENCE) -> list[Rung]:
    """The layers that were measured, in order; `rows` are of one configuration and size.

    Over the blocks that all layers share: `us` is the time of the case, `added_us` the mean difference to the layer
    before. The first adds nothing, and one block gives no interval (NaN). Empty with fewer than two layers.
    """
    names = [name for name in RUNGS if (rows["style"] == name).any()]
    times = rows.pivot_table(index="block", columns="style", values="latency_median_us").reindex(columns=names).dropna()
    if len(names) < 2 or times.empty:
        return []
    shared = rows[rows["block"].isin(times.index)]
    us = {name: mean_us(shared[shared["style"] == name]) for name in names}
    first_us = shared.groupby("style")["first_iteration_seconds"].median() * 1e6
    found = [Rung(names[0], us[names[0]], math.nan, math.nan, math.nan, float(first_us[names[0]]))]
    for before, name in pairwise(names):
        added = times[name] - times[before]
        mean, blocks = float(added.mean()), len(added)
        half = t_quantile(blocks - 1, confidence) * float(added.std()) / math.sqrt(blocks) if blocks > 1 else math.nan
        found.append(Rung(name, us[name], mean, mean - half, mean + half, float(first_us[name])))
    return found


def layers_words(config: Config, found: Sequence[Rung]) -> str:
    """Its finding: from the first layer to the last, and which of them adds the most; `found` holds at least two."""
    first, *later = found
    dearest = max(later, key=lambda one: one.added_us)
    sure = [one for one in later if one.added_us > 0 and not one.low_us <= 0]
    most = f"; {dearest.name} adds the most" if dearest in sure else "; which layer adds the most is not sure"
    most = most if sure else "; no layer surely adds time"
    ends = [f"{microseconds(one.us)} us with {one.name}" for one in (first, later[-1])]
    return f"An iteration takes {' and '.join(ends)} ({config.label}){most}"


def layers(
    groups: Mapping[Config, Sequence[Rung]], words: Words, interval: str, colours: Palette | None = None
) -> Figure:
    """A bar a layer: grey what the layer before took, coloured what this one adds or saves, with its interval."""
    colours = colours or palette(RUNGS)
    rows: list[Row] = []
    pairs: list[tuple[Rung, Rung]] = []
    for config, found in groups.items():
        if found:
            rows.append(Row(config.label, f"us; adds us [{interval}]", "layer; first call", heading=True))
            rows += [Row(one.name, rung_words(one), layer_words(one)) for one in found]
            pairs += pairwise([found[0], *found])
    figure, axes, at = strip(words, rows, "time of an iteration (us)", ROW_IN)
    longest = max(one.us for _, one in pairs)
    ends = [before.us + one.high_us for before, one in pairs]
    # two blocks can give an interval that would squeeze the bars into a line
    axes.set_xlim(0, min(max([longest, *filter(math.isfinite, ends)]), 2.5 * longest) * 1.06)
    linear_axis(axes, "{:,.0f}".format)
    for y_in, (before, one) in zip(at, pairs, strict=True):
        least = min(before.us, one.us)
        axes.barh(y_in, least, height=BAR_IN, color=PALE)
        draw_bar(axes, y_in, (before.us, one.us), colours[one.name][0], filled=one.us > least)
        draw_interval(axes, y_in, (before.us + one.low_us, before.us + one.high_us))
    return figure


def layer_words(one: Rung) -> str:
    """`torch.optim; 531 ms`, the latter its first call."""
    first = f"; {time_words(one.first_us)}" if math.isfinite(one.first_us) else ""
    return RUNGS[one.name] + first


def rung_words(one: Rung) -> str:
    """`424; +13.1 [-0.54, +26.8]`, us; the first layer adds nothing, one block gives `[?]`."""
    if math.isnan(one.added_us):
        return microseconds(one.us)
    interval = f"[{signed(one.low_us)}, {signed(one.high_us)}]" if math.isfinite(one.low_us) else "[?]"
    return f"{microseconds(one.us)}; {signed(one.added_us)} {interval}"


def signed(us: float) -> str:
    """A difference with its sign: `+0.54`, `-12.3`, `+1,250`."""
    size = abs(us)
    return f"{us:+,.0f}" if size >= 100 else f"{us:+.1f}" if size >= 10 else f"{us:+.2f}"


def first_calls(rows: pd.DataFrame) -> dict[CaseKey, pd.Series]:
    """The us of the first iteration of each case, block by block, the dearest case first.

    A style on several numbers of CPU threads is shown on the fewest: its first call is much the same.
    """
    found: dict[tuple[str, str, str], tuple[CaseKey, pd.Series]] = {}
    for case, same in sorted(cases_in(rows), key=lambda item: item[0].threads):
        us = same["first_iteration_seconds"].dropna() * 1e6
        if (us > 0).any():
            found.setdefault((case.style, case.device, case.arithmetic), (case, us[us > 0]))
    return dict(sorted(found.values(), key=lambda item: -float(item[1].median())))


def first_words(found: Mapping[CaseKey, pd.Series]) -> str:
    """Its finding: the dearest and the cheapest first call."""
    (dear, dear_us), *_, (cheap, cheap_us) = found.items()
    times = [time_words(float(us.median())) for us in (dear_us, cheap_us)]
    return f"A first call takes {times[0]} with {elided(dear.style)}, {times[1]} with {elided(cheap.style)}"


def first_call(found: Mapping[CaseKey, pd.Series], words: Words, colours: Palette | None = None) -> Figure:
    """A bar a case on a logarithmic axis, from the least to the most of its blocks."""
    colours = colours or palette(case.style for case in found)
    medians = {case: float(us.median()) for case, us in found.items()}
    rows = [Row(elided(case.style), time_words(medians[case]), config_of(case).label) for case in found]
    figure, axes, at = strip(words, rows, "first iteration (log scale)")
    least, most = min(us.min() for us in found.values()), max(us.max() for us in found.values())
    axes.set_xlim(least / 2, most * 1.2)
    log_axis(axes, "x", unit="us")
    for y_in, (case, us) in zip(at, found.items(), strict=True):
        draw_bar(axes, y_in, (least / 2, medians[case]), colours[case.style][0], filled=not case.on_cpu)
        if len(us) > 1:
            draw_interval(axes, y_in, (float(us.min()), float(us.max())))
    return figure


def link_words(label: str) -> str:
    """A link in few words: of links that were merged, the last and how many more, as the subtitle names them."""
    most = 24 if is_narrow() else 44
    *more, last = label.split(" + ")
    return elided(f"{last} + {len(more)} more" if more and len(label) > most else label, most)


def waterfall(found: Decomposition, words: Words) -> Figure:
    """A headline speedup as a product: each bar starts where the one before ended, the last is the product.

    A link whose best choice was made before is no factor, and has no bar.
    """
    factors = [one for one in found.factors if not one.chosen]
    ratios = [*(one.ratio for one in factors), found.headline]
    reached = [1.0, *accumulate((ratio.value for ratio in ratios[:-1]), mul)]
    bars = [*pairwise(reached), (1.0, reached[-1])]
    labels = [*(link_words(one.label) for one in factors), "all together"]
    rows = list(map(Row, labels, map(ratio_words, ratios)))
    figure, axes, at = strip(words, rows, "speedup so far (log scale)", ROW_IN * 1.2)
    claimed = [50.0] if found.on_gpu else []
    axes.set_xlim(min(reached) / 1.1, max([*reached, *claimed]) * 1.15)
    log_axis(axes, "x", unit="x")
    draw_references(axes)
    for y_in, below, (start, end) in zip(at, [*at[1:], None], bars, strict=True):
        draw_bar(axes, y_in, (start, end), INK if below is None else GREY, filled=end >= start)
        if below is not None:
            axes.plot([end, end], [y_in, below], color=FAINT, linewidth=0.8, linestyle=":")
    return figure
