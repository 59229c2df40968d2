"""What a line stands for, a style in a configuration, and how it looks: colour, marker, dashes, label."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from bench.cases.case import CaseKey
from bench.cases.problem import Size
from bench.charts.drawing.quantity import quantity
from bench.charts.drawing.style import FAINT, INK, PALETTE, elided
from bench.charts.drawing.width import width_in
from bench.verdict.evidence import Evidence
from bench.words import thread_count

LABEL_IN = 0.56  # the widest name of a tick, and some room
SHAPES = ("o", "s", "^", "D", "v", "<", ">", "p")
# the same style keeps its colour and shape from chart to chart and from run to run
KNOWN = (
    "torch_tensors", "torch_autograd", "torch_function", "torch_nn", "torch_optim_sgd", "torch_module", "numpy_manual",
    "numpy_in_place", "torch_optim_adam", "torch_dynamic", "numpy_kept",
)  # fmt: skip
# where other styles take theirs from, colours of known ones that are charted apart or come last before the others
SPARE = (11, 9, 8, 5, 4, 2, 3, 1, 0, 10, 7, 6)
Palette = dict[str, tuple[str, str]]
RING: dict[str, Any] = {  # a crossing: it hides nothing
    "marker": "o", "markersize": 11, "markerfacecolor": "none", "markeredgecolor": INK, "markeredgewidth": 1.3,
    "linestyle": "none",
}  # fmt: skip


@dataclass(frozen=True, slots=True, order=True)
class Config:
    """Where and in which arithmetic a style ran: what a chart groups by."""

    device: str
    threads: int
    dtype: str
    precision: str

    @property
    def accelerated(self) -> bool:
        """Whether this is anything but the CPU."""
        return self.device != "cpu"

    @property
    def label(self) -> str:
        """`cpu, 1 thread, float32`; `cuda:0, float32 tf32`."""
        threads = "" if self.accelerated else f", {thread_count(self.threads)}"
        precision = "" if self.precision == "ieee" else f" {self.precision}"
        return f"{self.device}{threads}, {self.dtype}{precision}"


def config_of(case: CaseKey) -> Config:
    """The configuration of a case."""
    return Config(case.device, case.threads, case.dtype, case.precision)


def order(config: Config) -> tuple[bool, Config]:
    """The CPU with few threads first, accelerators last."""
    return config.accelerated, config


def in_order(configs: Iterable[Config]) -> list[Config]:
    """Each once, in `order`."""
    return sorted(set(configs), key=order)


def by_config(rows: pd.DataFrame) -> dict[Config, pd.DataFrame]:
    """The rows of each configuration, in order."""
    groups = rows.groupby(["device", "threads", "dtype", "precision"], sort=False)
    found = {Config(str(d), int(t), str(f), str(p)): same for (d, t, f, p), same in cast(Any, groups)}
    return {config: found[config] for config in in_order(found)}


def shown(evidence: Evidence) -> pd.DataFrame:
    """The rows of the size that is shown, of the styles that train by plain SGD."""
    rows = evidence.rows_at(evidence.shown_size)
    return rows[rows["oracle"] == "sgd"]


def palette(styles: Iterable[str]) -> Palette:
    """A colour and a marker for each style of a run; no two share both before a whole palette times SHAPES of them.

    Known styles keep theirs from run to run; the others take what these leave free, and then one more each of the rest.
    """
    styles = sorted(set(styles))
    known = {style: KNOWN.index(style) for style in styles if style in KNOWN}
    found = {style: (PALETTE[at], SHAPES[at % len(SHAPES)]) for style, at in known.items()}
    taken = [*known.values()]
    for style in (style for style in styles if style not in known):
        at = min(SPARE, key=taken.count)
        found[style] = (PALETTE[at], SHAPES[(at + 3 * taken.count(at)) % len(SHAPES)])
        taken.append(at)
    return found


def palette_of(evidence: Evidence) -> Palette:
    """The looks of all styles of a run, so that one colour is one style in all of its charts."""
    return palette(map(str, evidence.run.measurements["style"]))


def handle(style: str, config: Config, colours: Palette) -> Line2D:
    """The line of a style in a configuration in a legend: `torch_tensors cuda:0, float32`."""
    return Line2D([], [], label=f"{elided(style, 28)} {config.label}", **marks(config, *colours[style]))


def marks(config: Config, colour: str, shape: str) -> dict[str, Any]:
    """How the line of a style in a configuration looks, with its points."""
    return {**point(config, colour, shape), "color": colour, "linewidth": 1.6, "linestyle": dashes(config)}


def point(config: Config, colour: str, shape: str) -> dict[str, Any]:
    """How a marker looks: hollow on the CPU, filled on an accelerator, so that it reads in grey too."""
    return {
        "marker": shape, "markersize": 5.5, "markerfacecolor": colour if config.accelerated else "white",
        "markeredgecolor": colour, "markeredgewidth": 1.5, "linestyle": "none",
    }  # fmt: skip


def dashes(config: Config) -> Any:
    """Solid on one CPU thread, dash-dotted on more, dashed on an accelerator; dotted where not plain float32."""
    if (config.dtype, config.precision) != ("float32", "ieee"):
        return (0, (1.2, 1.4))
    if config.accelerated:
        return (0, (5, 2))
    return "-" if config.threads == 1 else (0, (6, 2, 1, 2))


def draw_crossing(axes: Axes, x: float, y: float) -> None:
    """A ring at a place, and a dotted line down from it; the limits of the axes stand already."""
    axes.plot([x], [y], zorder=4, **RING)
    axes.plot([x, x], [axes.get_ylim()[0], y], color=FAINT, linewidth=0.9, linestyle=":", zorder=1.4)


def name_sizes(axes: Axes, sizes: Iterable[Size]) -> None:
    """Ticks at these sizes on an axis of FLOP, each with its work and its name; the tutorial's, then what has room."""
    by_work = {size.flops: size for size in sizes}
    low, high = (math.log(end) for end in axes.get_xlim())
    an_inch = (high - low) / (axes.get_position().width * width_in())
    placed: list[int] = []
    for work in sorted(by_work, key=lambda work: (by_work[work].short != "tutorial", work)):
        if all(abs(math.log(work / other)) >= LABEL_IN * an_inch for other in placed):
            placed.append(work)
    names = {work: "" if by_work[work].short == str(by_work[work]) else f"\n{by_work[work].short}" for work in placed}
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(placed, [quantity(float(f"{work:.2g}"), "FLOP") + names[work] for work in placed])
