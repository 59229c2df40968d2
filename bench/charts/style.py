"""How a chart looks: its colours, type, page with title and footer, and the bytes it is saved as."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, get_font
from matplotlib.font_manager import findfont as find_font
from matplotlib.textpath import TextPath
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

WIDTH_IN = 8.0
"""A README shows a chart about 800 pixels wide: 100 a design inch, so 10 points are 14 pixels."""
MARGIN_IN = 0.22
PNG_DPI = 200  # twice what is shown, for sharp text
TITLE_PT, TEXT_PT, SMALL_PT = 13.0, 10.0, 8.5
INK, FAINT, RULE = "#222222", "#5c5c5c", "#d9d9d9"
ONE_X, FIFTY_X = "#222222", "#b8470b"
REFERENCES = ((1.0, ONE_X, "-"), (50.0, FIFTY_X, (0, (5, 2))))

# Okabe and Ito's colours without their yellow, which white paper swallows, and with a grey
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7f7f7f")
SHAPES = ("o", "s", "^", "D", "v", "<", ">", "p")
# the same style keeps its colour and shape from chart to chart and from run to run
KNOWN = (
    "torch_tensors", "torch_autograd", "torch_function", "torch_nn", "torch_optim_sgd", "torch_module", "numpy_manual",
    "numpy_in_place", "torch_optim_adam", "torch_dynamic",
)  # fmt: skip

RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # ships with matplotlib, so every machine has it
    "font.size": TEXT_PT,
    "text.color": INK,
    "text.parse_math": False,  # a style's name may hold a dollar
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.labelsize": TEXT_PT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.titlesize": TEXT_PT,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "savefig.edgecolor": "white",
    "svg.hashsalt": "fiftyx",  # else the ids, and so the bytes, differ each time
    "svg.fonttype": "path",
}


@dataclass(frozen=True, slots=True)
class Words:
    """What stands around a chart: what it shows, how to read it, and on what it was measured."""

    title: str
    subtitle: str
    footer: str


@dataclass(frozen=True, slots=True)
class Page:
    """A figure and the rectangle left for its body, in inches from the lower left corner."""

    figure: Figure
    bottom: float
    height: float

    def axes(self, left: float, bottom: float, width: float, height: float) -> Axes:
        """Axes whose plotting area is this rectangle, in inches from the body's lower left corner."""
        wide, high = self.figure.get_size_inches()
        return self.figure.add_axes((left / wide, (self.bottom + bottom) / high, width / wide, height / high))


@contextmanager
def applied() -> Iterator[None]:
    """Draw and save under our own settings, whatever the user's matplotlibrc says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(RC)
        yield


def page(words: Words, body_in: float) -> Page:
    """A white page with its title, subtitle and footer, and room of `body_in` inches between them."""
    title, subtitle = _wrap(words.title, 68), _wrap(words.subtitle, 108)
    footer = _wrap(words.footer, 126)
    head_in = MARGIN_IN + 0.25 * len(title) + 0.185 * len(subtitle) + 0.04
    foot_in = MARGIN_IN * 0.8 + 0.155 * len(footer)
    high = head_in + body_in + foot_in
    figure = Figure(figsize=(WIDTH_IN, high))
    left, top = MARGIN_IN / WIDTH_IN, 1 - MARGIN_IN * 0.8 / high
    big: dict[str, Any] = {"fontsize": TITLE_PT, "fontweight": "bold", "va": "top", "linespacing": 1.15}
    figure.text(left, top, "\n".join(title), **big)
    below = top - 0.25 * len(title) / high
    figure.text(left, below, "\n".join(subtitle), fontsize=9.5, color=FAINT, va="top", linespacing=1.2)
    figure.text(left, MARGIN_IN * 0.5 / high, "\n".join(footer), fontsize=SMALL_PT, color=FAINT, va="bottom")
    return Page(figure, foot_in, body_in)


def _wrap(text: str, width: int) -> list[str]:
    return [line for part in printable(text).split("\n") for line in textwrap.wrap(part, width) or [""]]


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write `stem`.png and `stem`.svg; the same figure gives the same bytes. Call it under `applied`."""
    png, svg = stem.with_name(stem.name + ".png"), stem.with_name(stem.name + ".svg")
    figure.savefig(png, dpi=PNG_DPI, metadata={"Software": "fiftyx"})
    figure.savefig(svg, metadata={"Date": None, "Creator": "fiftyx"})
    return [png, svg]


def look(styles: Sequence[str]) -> dict[str, tuple[str, str]]:
    """A colour and a marker for each style; no two styles share both before 64 of them."""
    order = [*KNOWN, *sorted(set(styles) - set(KNOWN))]
    found = {}
    for index, style in enumerate(order):
        colour, turn = index % len(PALETTE), index // len(PALETTE)
        found[style] = (PALETTE[colour], SHAPES[(colour + 3 * turn) % len(SHAPES)])
    return {style: found[style] for style in styles}


def point(accelerated: bool, colour: str, shape: str) -> dict[str, Any]:
    """How a marker looks: hollow on the CPU, filled on an accelerator, so that it reads in grey too."""
    face = colour if accelerated else "white"
    return {
        "marker": shape,
        "markersize": 5.5,
        "markerfacecolor": face,
        "markeredgecolor": colour,
        "markeredgewidth": 1.5,
        "linestyle": "none",
    }


def dashes(accelerated: bool, threads: int, *, plain: bool = True) -> Any:
    """Solid on one CPU thread, dash-dotted on more, dashed on an accelerator; dotted where not plain float32."""
    if not plain:
        return (0, (1.2, 1.4))
    if accelerated:
        return (0, (5, 2))
    return "-" if threads == 1 else (0, (6, 2, 1, 2))


def ring() -> dict[str, Any]:
    """How a crossing is marked: a ring that hides nothing."""
    return {
        "marker": "o",
        "markersize": 11,
        "markerfacecolor": "none",
        "markeredgecolor": INK,
        "markeredgewidth": 1.3,
        "linestyle": "none",
    }


def printable(text: str) -> str:
    """`text` with a question mark for each character that our font cannot draw."""
    known = get_font(find_font(FontProperties(family=RC["font.family"]))).get_charmap()
    return "".join(char if char == "\n" or ord(char) in known else "?" for char in text)


def text_width_in(text: str, points: float = 9.5) -> float:
    """How wide a line of text comes out, in inches."""
    if not text.strip():
        return 0.0
    return float(TextPath((0, 0), text, size=points, usetex=False).get_extents().width) / 72


def elided(text: str, most: int = 34) -> str:
    """`text`, its middle left out where it is longer than `most` characters."""
    text = printable(text)
    tail = most // 3
    return text if len(text) <= most else f"{text[: most - tail - 1]}…{text[-tail:]}"


def log_axis(axes: Axes, which: str, *, unit: str) -> None:
    """A logarithmic axis whose ticks are written out: 0.5x, 20x; 3 ms."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    low, high = sorted(axis.get_view_interval())
    decades = math.log10(high / low)
    subs = (1.0, 2.0, 5.0) if decades < 2.2 else (1.0, 3.0) if decades < 3 else (1.0,)
    axis.set_major_locator(LogLocator(base=10, subs=subs, numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda value, _at: quantity(value, unit)))
    axis.set_minor_formatter(NullFormatter())
    axes.grid(True, axis="x" if which == "x" else "y")


def quantity(value: float, unit: str) -> str:
    """A tick's text: `50x`, `0.2x`, `20 us`, `3 ms`, `300M` of FLOP, `1,000`."""
    if unit == "x":
        return f"{value:,.10g}x"
    if unit == "us":
        return _scaled(value, (("s", 1e6), ("ms", 1e3), ("us", 1.0), ("ns", 1e-3)))
    if unit == "s":
        return _scaled(value, (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)))
    if unit == "FLOP":  # half a page is too narrow for the unit at every tick: the axis names it
        return _scaled(value, (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0))).replace(" ", "")
    return f"{value:,.10g}" if 1e-4 < value < 1e6 else f"{value:.0e}".replace("e+0", "e").replace("e-0", "e-")


def _scaled(value: float, steps: Sequence[tuple[str, float]]) -> str:
    unit, factor = next((step for step in steps if value >= step[1] * 0.9999), steps[-1])
    return f"{value / factor:,.4g} {unit}"
