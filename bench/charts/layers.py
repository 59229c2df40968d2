"""What things cost: each layer of abstraction in time, and a headline speedup taken apart into its factors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.charts import style as chart_style
from bench.charts.beside import _beside, axes_width
from bench.charts.rows import Config
from bench.charts.style import FAINT, INK, MARGIN_IN, PALETTE, WIDTH_IN, Words
from bench.verdict.intervals import CONFIDENCE, t_quantile
from bench.words import microseconds

RUNGS = (
    ("torch_tensors", "manual backward"),
    ("torch_autograd", "autograd"),
    ("torch_function", "own Function"),
    ("torch_nn", "nn.Sequential"),
    ("torch_optim_sgd", "torch.optim"),
    ("torch_module", "own nn.Module"),
)
ROW_IN, GROUP_IN = 0.3, 0.42
SLOWER, FASTER, BEFORE = PALETTE[1], PALETTE[2], "#c4c9ce"


@dataclass(frozen=True, slots=True)
class Rung:
    """A layer: its time, and what it adds to the layer before (us; mean of differences by block, and its interval)."""

    name: str
    us: float
    added_us: float
    low_us: float
    high_us: float


def rungs(rows: pd.DataFrame, confidence: float = CONFIDENCE) -> list[Rung]:
    """The layers that were measured, in order; `rows` are of one configuration and size.

    `us` is the mean over the blocks that all layers share, so that the differences add up to the last layer;
    the first adds nothing, and one block gives no interval (NaN). Empty with fewer than two layers.
    """
    names = [name for name, _ in RUNGS if (rows["style"] == name).any()]
    times = rows.pivot_table(index="block", columns="style", values="latency_median_us").reindex(columns=names).dropna()
    if len(names) < 2 or times.empty:
        return []
    found = [Rung(names[0], float(times[names[0]].mean()), math.nan, math.nan, math.nan)]
    for before, name in pairwise(names):
        added = times[name] - times[before]
        mean, blocks = float(added.mean()), len(added)
        half = t_quantile(blocks - 1, confidence) * float(added.std()) / math.sqrt(blocks) if blocks > 1 else math.nan
        found.append(Rung(name, float(times[name].mean()), mean, mean - half, mean + half))
    return found


def layers(groups: Sequence[tuple[Config, Sequence[Rung]]], words: Words, interval: str = "95% interval") -> Figure:
    """A bar a layer: grey what the layer before took, coloured what this one adds or saves, with its interval."""
    height = sum(GROUP_IN + ROW_IN * len(found) for _config, found in groups) + 0.1
    page = chart_style.page(words, height + 0.62)
    told = [rung_words(one) for _config, found in groups for one in found]
    left, values_in = 2.6, 0.32 + max(1.6, *(chart_style.text_width_in(text, 9) for text in told))
    axes = page.axes(left, 0.52, WIDTH_IN - left - values_in, height)
    longest = max(one.us for _config, found in groups for one in found)
    ends = [one.us - one.added_us + one.high_us for _config, found in groups for one in found]
    # two blocks can give an interval that would squeeze the bars into a line
    axes.set_xlim(0, min(max([longest, *filter(math.isfinite, ends)]), 2.5 * longest) * 1.06)
    axes.set_ylim(height, 0)
    axes.set_yticks([])
    axes.grid(True, axis="x")
    axes.locator_params(axis="x", nbins=5)
    axes.xaxis.set_major_formatter(lambda value, _at: f"{value:,.0f}")
    axes.set_xlabel("time of an iteration (us)")
    y_in = 0.0
    for config, found in groups:
        y_in += GROUP_IN - 0.12
        _beside(axes, -left + MARGIN_IN, y_in, config.label, weight="bold")
        _beside(axes, axes_width(axes) + 0.12, y_in, f"us; adds us [{interval}]", colour=FAINT, size=8.5)
        y_in += 0.02
        for before, one in pairwise([None, *found]):
            y_in += ROW_IN
            _draw_rung(axes, y_in, before, one, left)
        y_in += 0.1
    return page.figure


def _draw_rung(axes: Axes, y_in: float, before: Rung | None, one: Rung | None, left: float) -> None:
    if one is None:
        return
    told = dict(RUNGS)[one.name]
    _beside(axes, -left + MARGIN_IN + 0.12, y_in, f"{one.name}", size=9.5)
    _beside(axes, -1.04, y_in, told, colour=FAINT, size=8)
    base = before.us if before else one.us
    axes.barh(y_in, min(base, one.us), height=0.2, color=BEFORE)
    if before is not None:
        axes.barh(
            y_in, abs(one.us - base), left=min(base, one.us), height=0.2, color=SLOWER if one.us > base else FASTER
        )
        if math.isfinite(one.low_us):
            axes.plot([base + one.low_us, base + one.high_us], [y_in] * 2, color=INK, linewidth=1.4)
    _beside(axes, axes_width(axes) + 0.12, y_in, rung_words(one), size=9)


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
