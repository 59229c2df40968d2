"""How a chart looks: its colours, type, page, panels, legends and ticks, and the bytes it is saved as."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.lines import Line2D

from bench.charts.drawing.picture import Picture
from bench.charts.drawing.width import is_narrow, width_in

MARGIN_IN, HANDLE_IN = 0.22, 0.8  # of the page; the mark of a legend's line and the blank around it
BELOW_IN = 0.68  # of a panel: two lines of ticks and what the axis is
PNG_DPI = 200  # twice what is shown, for sharp text
SUFFIXES = (".png", ".svg")
FINE_DPI = 1200  # where hinting moves no letter
TITLE_PT, TEXT_PT, SMALL_PT = 13.0, 10.0, 8.5
INK, FAINT, RULE = "#222222", "#5c5c5c", "#d9d9d9"
ONE_X, FIFTY_X = "#222222", "#b8470b"
REFERENCES = ((1.0, ONE_X, "-"), (50.0, FIFTY_X, (0, (5, 2))))

# Okabe and Ito's colours without their yellow, which white paper swallows; the last five lie farthest from these and
# from each other as normal, red-blind, green-blind and blue-blind eyes see them. A colour is a style and nothing else.
PALETTE = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7a1fd0", "#633200", "#e8114b",
    "#0a1e78", "#8f0a5f",
)  # fmt: skip
GREY, PALE = "#7f7f7f", "#c4c9ce"  # what is no style
RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # ships with matplotlib, so every machine has it
    "text.hinting": "none",  # at twice the pixels it only costs time
    "text.parse_math": False,  # a style's name may hold a dollar
    **dict.fromkeys(("font.size", "axes.labelsize", "axes.titlesize"), TEXT_PT),
    **dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), 9.5),
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor"), INK),
    **dict.fromkeys(("axes.edgecolor", "xtick.color", "ytick.color"), FAINT),
    **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor", "savefig.edgecolor"), "white"),
    **dict.fromkeys(("axes.spines.top", "axes.spines.right", "legend.frameon"), False),
    "axes.axisbelow": True,
    "axes.linewidth": 0.8,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "grid.color": RULE,
    "grid.linewidth": 0.7,
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


def page(words: Words, body_in: float, legends: Sequence[Sequence[Line2D]] = ()) -> Page:
    """A white page with its title, subtitle and footer, and room of `body_in` inches between them.

    Under the body the legends, one under the other, each in as many columns as the page holds.
    """
    title, subtitle, footer = _wrapped(words)
    legends = [handles for handles in legends if handles]
    for handle in (handle for handles in legends for handle in handles):
        handle.set_label("\n".join(_wrap(str(handle.get_label()), 9.5, room=(width_in() - 2 * MARGIN_IN) - HANDLE_IN)))
    head_in, legends_in, foot_in = _around(words, legends)
    high = head_in + body_in + sum(legends_in) + foot_in
    figure = Picture(figsize=(width_in(), high))
    left, top = MARGIN_IN / width_in(), 1 - MARGIN_IN * 0.8 / high
    big: dict[str, Any] = {"fontsize": TITLE_PT, "fontweight": "bold", "va": "top", "linespacing": 1.15}
    figure.text(left, top, "\n".join(title), **big)
    below = top - 0.25 * len(title) / high
    figure.text(left, below, "\n".join(subtitle), fontsize=9.5, color=FAINT, va="top", linespacing=1.2)
    figure.text(left, MARGIN_IN * 0.5 / high, "\n".join(footer), fontsize=SMALL_PT, color=FAINT, va="bottom")
    for at, handles in enumerate(legends):
        figure.legend(
            handles=list(handles), loc="upper left", bbox_to_anchor=(left, (foot_in + sum(legends_in[at:])) / high),
            ncols=_columns(handles), borderaxespad=0, borderpad=0, handlelength=2.6, columnspacing=1.6,
        )  # fmt: skip
    return Page(figure, foot_in + sum(legends_in), body_in)


def _columns(handles: Sequence[Line2D]) -> int:
    widest = max(text_width_in(line) for handle in handles for line in str(handle.get_label()).split("\n")) + HANDLE_IN
    return max(1, min(len(handles), int((width_in() - 2 * MARGIN_IN) / widest)))


def around_in(words: Words, legends: Sequence[Sequence[Line2D]] = ()) -> float:
    """How high a page is without its body, in inches."""
    head_in, legends_in, foot_in = _around(words, [handles for handles in legends if handles])
    return head_in + sum(legends_in) + foot_in


def _around(words: Words, legends: Sequence[Sequence[Line2D]]) -> tuple[float, list[float], float]:
    """The inches of title and subtitle, of each legend and of the footer."""
    title, subtitle, footer = map(len, _wrapped(words))
    more = [0.17 * sum(str(handle.get_label()).count("\n") for handle in handles) for handles in legends]
    rows = [math.ceil(len(handles) / _columns(handles)) for handles in legends]
    legends_in = [0.21 * count + 0.06 + wrapped for count, wrapped in zip(rows, more, strict=True)]
    return MARGIN_IN + 0.25 * title + 0.185 * subtitle + 0.04, legends_in, MARGIN_IN * 0.8 + 0.155 * footer


def _wrapped(words: Words) -> tuple[list[str], list[str], list[str]]:
    return _wrap(words.title, TITLE_PT, "bold"), _wrap(words.subtitle, 9.5), _wrap(words.footer, SMALL_PT)


def _wrap(text: str, points: float, weight: str = "normal", room: float | None = None) -> list[str]:
    """Lines as wide as the page, or as `room` in inches."""
    room, space = room or (width_in() - 2 * MARGIN_IN), text_width_in(" ", points, weight)
    lines = []
    for part in printable(text).split("\n"):
        line, used = "", 0.0
        for word in (piece for long in part.split() for piece in textwrap.wrap(long, 60)):
            wide = text_width_in(word, points, weight) + space
            if line and used + wide - space > room:
                lines.append(line)
                line, used = "", 0.0
            line, used = f"{line} {word}".lstrip(), used + wide
        lines.append(line)
    return lines


def panels(
    words: Words, titles: Sequence[str], legends: Sequence[Sequence[Line2D]], xlabel: str, ylabel: str
) -> tuple[Figure, list[Axes]]:
    """Axes of one size, two in a row where there are several, with the legends below them."""
    columns = 1 if is_narrow() else min(2, len(titles))
    panel_in = 3.3 if len(titles) == 1 else 2.35
    step_in = panel_in + (0.8 if any(titles) else 0.3)
    body = page(words, math.ceil(len(titles) / columns) * step_in + BELOW_IN, legends)
    left, right, between = 0.95, 0.5, 0.85
    width = (width_in() - left - right - (columns - 1) * between) / columns
    found = []
    for at, title in enumerate(titles):
        row, column = divmod(at, columns)
        bottom = body.height - (row + 1) * step_in + (step_in - panel_in) * (0.5 if any(titles) else 0.3)
        axes = body.axes(left + column * (width + between), bottom, width, panel_in)
        axes.set(xlabel=xlabel if at + columns >= len(titles) else "", ylabel=ylabel if column == 0 else "")
        axes.set_title(title)
        found.append(axes)
    return body.figure, found


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write `stem`.png and `stem`.svg; the same figure gives the same bytes. Call it under `applied`."""
    png, svg = (stem.with_name(stem.name + suffix) for suffix in SUFFIXES)
    # compression of level 3: half the time, 2% larger
    figure.savefig(png, dpi=PNG_DPI, metadata={"Software": "fiftyx"}, pil_kwargs={"compress_level": 3})
    svg.write_bytes(svg_of(figure))
    return [png, svg]


def svg_of(figure: Figure) -> bytes:
    """The figure as SVG; the same figure gives the same bytes. Call it under `applied`."""
    with BytesIO() as file:
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": "fiftyx"})
        return file.getvalue()


def is_ours(content: bytes) -> bool:
    """Whether a picture says that `save` made it; another with the same name is somebody's own."""
    return b"Software\0fiftyx" in content[:1000] or b"<dc:title>fiftyx" in content[:3000]


@cache
def printable(text: str) -> str:
    """`text` with a question mark for each character that our font cannot draw."""
    return "".join(char if char == "\n" or ord(char) in _known_characters() else "?" for char in text)


@cache
def _known_characters() -> frozenset[int]:
    return frozenset(get_font(findfont(FontProperties(family=RC["font.family"]))).get_charmap())


@cache
def text_width_in(text: str, points: float = 9.5, weight: str = "normal") -> float:
    """How wide a line of text comes out, in inches."""
    font = get_font(findfont(FontProperties(family=RC["font.family"], weight=weight)))
    font.set_size(points, FINE_DPI)
    font.set_text(printable(text))
    return float(font.get_width_height()[0]) / 64 / FINE_DPI


def elided(text: str, most: int = 34) -> str:
    """`text`, its middle left out where it is longer than `most` characters."""
    text = printable(text)
    tail = most // 3
    return text if len(text) <= most else f"{text[: most - tail - 1]}…{text[-tail:]}"
