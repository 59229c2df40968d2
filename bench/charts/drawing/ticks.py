"""The ticks of an axis: as many as can be told apart on the inches that it has, written out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, Locator, LogLocator, MaxNLocator, NullFormatter, NullLocator

from bench.charts.drawing.quantity import quantity
from bench.charts.drawing.style import text_width_in

LABEL_PT, LABEL_HIGH_IN, AIR_IN = 9.5, 0.15, 0.08
FEW = 3.0  # times the least: a shorter axis has even steps
DECADES = 3.0  # a longer axis has ticks at powers of 10 alone
Write = Callable[[float], str]


def log_axis(axes: Axes, which: str, *, unit: str) -> None:
    """A logarithmic axis, its limits and its place set, whose ticks are written out: 0.5x, 20x; 3 ms."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    low, high = sorted(axis.get_view_interval())
    decades = math.log10(high / low)

    def write(value: float) -> str:
        return quantity(value, unit)

    axis.set_major_locator(_fitting(axes, which, _logarithmic(low, high), write))
    if decades < DECADES:  # within a decade the labels show the scale
        axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(lambda value, _at: write(value))
    axis.set_minor_formatter(NullFormatter())
    axes.grid(True, axis="x" if which == "x" else "y")


def linear_axis(axes: Axes, write: Write) -> None:
    """An x axis in even steps, its limits and its place set, at most five of them."""
    axes.xaxis.set_major_locator(_fitting(axes, "x", _even(5), write))
    axes.xaxis.set_major_formatter(lambda value, _at: write(value))


def _logarithmic(low: float, high: float) -> Iterator[Locator]:
    """From many ticks to few."""
    decades = math.log10(high / low)
    if high / low >= FEW:
        subs = (1.0, 2.0, 5.0) if decades < 2.2 else (1.0, 3.0) if decades < DECADES else (1.0,)
        yield LogLocator(base=10, subs=subs, numticks=12)
        if len(subs) == 3:
            yield LogLocator(base=10, subs=(1.0, 3.0), numticks=12)
        if decades >= 1:
            yield from (LogLocator(base=10, numticks=most) for most in (12, 8, 6, 5, 4, 3, 2))
    yield from _even(6)


def _even(most: int) -> Iterator[Locator]:
    """Even steps, from so many to one."""
    return (MaxNLocator(count, steps=[1, 2, 5, 10]) for count in range(most, 0, -1))


def _fitting(axes: Axes, which: str, locators: Iterator[Locator], write: Write) -> Locator:
    """The first whose labels stand apart, with two in sight or more; where there is no room for two, one of them."""
    some: list[float] = []
    for locator in locators:
        shown = _in_sight(axes, which, locator)
        if len(shown) > 1 and _stand_apart(axes, which, shown, write):
            return locator
        some = shown or some
    return FixedLocator(some[:1])


def _in_sight(axes: Axes, which: str, locator: Locator) -> list[float]:
    low, high = sorted((axes.xaxis if which == "x" else axes.yaxis).get_view_interval())
    return sorted(value for value in map(float, locator.tick_values(low, high)) if low <= value <= high)


def _stand_apart(axes: Axes, which: str, values: list[float], write: Write) -> bool:
    upright = which == "y"
    points = [(1.0, value) if upright else (value, 1.0) for value in values]
    at_in = [float(axes.transData.transform(point)[int(upright)]) / axes.figure.dpi for point in points]
    sizes_in = [LABEL_HIGH_IN if upright else text_width_in(write(value), LABEL_PT) + AIR_IN for value in values]
    return all(
        abs(b - a) >= (one + other) / 2
        for (a, b), (one, other) in zip(pairwise(at_in), pairwise(sizes_in), strict=True)
    )
