"""What things cost: each layer of abstraction in time, and a headline speedup taken apart into its factors."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from operator import mul

import pandas as pd
from matplotlib.figure import Figure

from bench.charts.series import Config, by_config, shown
from bench.charts.strip import Row, draw_references, ratio_words, strip
from bench.charts.style import FAINT, INK, PALETTE, Words, elided, log_axis
from bench.charts.words import footer, interval_words, size_words
from bench.verdict.decomposition import Decomposition, decompose
from bench.verdict.evidence import Evidence
from bench.verdict.intervals import CONFIDENCE, t_quantile
from bench.verdict.speedup import mean_us
from bench.words import microseconds

NAMES = ("layers", "decomposition")
RUNGS = {
    "torch_tensors": "manual backward",
    "torch_autograd": "autograd",
    "torch_function": "own Function",
    "torch_nn": "nn.Sequential",
    "torch_optim_sgd": "torch.optim",
    "torch_module": "own nn.Module",
}
ROW_IN = 0.3
SLOWER, FASTER, BEFORE = PALETTE[1], PALETTE[2], "#c4c9ce"
CAPITALS = 84  # letters of a subtitle's line that holds names of variables, which are wider


@dataclass(frozen=True, slots=True)
class Rung:
    """A layer: its time, and what it adds to the layer before (us; mean of differences by block, and its interval)."""

    name: str
    us: float
    added_us: float
    low_us: float
    high_us: float


def charts(evidence: Evidence) -> Iterator[tuple[str, Figure]]:
    """What each layer adds, wherever two were measured; the headline's factors, where numpy and more were."""
    run, rows, size = evidence.run, shown(evidence), size_words(evidence.shown_size)
    interval = interval_words(evidence.confidence)
    each = {config: rungs(same, evidence.confidence) for config, same in by_config(rows).items()}
    names = {one.name for found in each.values() for one in found}
    if names:
        about = f"means over blocks; coloured: what a layer adds to the one above it, or saves; black: its {interval}"
        foot = footer(run, rows[rows["style"].isin(names)])
        yield "layers", layers(each, Words("What each layer of abstraction costs", f"{about}\n{size}", foot), interval)
    found = decompose(evidence, evidence.shown_size) if len(rows) else None
    if found is not None and any(math.isfinite(factor) for _label, factor in found.waterfall()):
        title = f"What makes the speedup over {found.start.style}, {found.start.device} {found.start.dtype}"
        merged = f"; not measured apart: {', '.join(found.unmeasured)}" if found.unmeasured else ""
        about = f"from {found.start_words} to {found.end.label}{merged}\n{textwrap.fill(found.environment, CAPITALS)}"
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
    found = [Rung(names[0], us[names[0]], math.nan, math.nan, math.nan)]
    for before, name in pairwise(names):
        added = times[name] - times[before]
        mean, blocks = float(added.mean()), len(added)
        half = t_quantile(blocks - 1, confidence) * float(added.std()) / math.sqrt(blocks) if blocks > 1 else math.nan
        found.append(Rung(name, us[name], mean, mean - half, mean + half))
    return found


def layers(groups: Mapping[Config, Sequence[Rung]], words: Words, interval: str) -> Figure:
    """A bar a layer: grey what the layer before took, coloured what this one adds or saves, with its interval."""
    rows: list[Row] = []
    pairs: list[tuple[Rung, Rung]] = []
    for config, found in groups.items():
        if found:
            rows.append(Row(config.label, f"us; adds us [{interval}]", heading=True))
            rows += [Row(one.name, rung_words(one), RUNGS[one.name]) for one in found]
            pairs += pairwise([found[0], *found])
    figure, axes, at = strip(words, rows, "time of an iteration (us)", ROW_IN)
    longest = max(one.us for _, one in pairs)
    ends = [before.us + one.high_us for before, one in pairs]
    # two blocks can give an interval that would squeeze the bars into a line
    axes.set_xlim(0, min(max([longest, *filter(math.isfinite, ends)]), 2.5 * longest) * 1.06)
    axes.locator_params(axis="x", nbins=5)
    axes.xaxis.set_major_formatter(lambda value, _at: f"{value:,.0f}")
    for y_in, (before, one) in zip(at, pairs, strict=True):
        least = min(before.us, one.us)
        axes.barh(y_in, least, height=0.2, color=BEFORE)
        axes.barh(y_in, abs(one.us - before.us), left=least, height=0.2, color=SLOWER if one.us > least else FASTER)
        axes.plot([before.us + one.low_us, before.us + one.high_us], [y_in] * 2, color=INK, linewidth=1.4)
    return figure


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


def waterfall(found: Decomposition, words: Words) -> Figure:
    """A headline speedup as a product: each bar starts where the one before ended, the last is the product."""
    ratios = [*(one.ratio for one in found.factors), found.headline]
    reached = [1.0, *accumulate((ratio.value for ratio in ratios[:-1]), mul)]
    bars = [*pairwise(reached), (1.0, reached[-1])]
    labels = [*(elided(one.label, 44) for one in found.factors), "all together"]
    rows = list(map(Row, labels, map(ratio_words, ratios)))
    figure, axes, at = strip(words, rows, "speedup so far (log scale)", ROW_IN * 1.2)
    axes.set_xlim(min([*reached, 1.0]) / 1.3, max([*reached, 50.0]) * 1.4)
    log_axis(axes, "x", unit="x")
    draw_references(axes)
    for y_in, below, (start, end) in zip(at, [*at[1:], None], bars, strict=True):
        colour = PALETTE[0] if below is None else FASTER if end >= start else SLOWER
        axes.barh(y_in, end - start, left=start, height=0.2, color=colour)
        if below is not None:
            axes.plot([end, end], [y_in, below], color=FAINT, linewidth=0.8, linestyle=":")
    return figure
