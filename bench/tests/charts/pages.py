"""What the tests of the charts share: words, speedups and rows to draw, and what a reader sees of a figure."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from bench.cases.case import CaseKey
from bench.cases.problem import Size
from bench.charts.drawing.series import Config
from bench.charts.drawing.style import Words
from bench.verdict.ratios.intervals import Ratio
from bench.verdict.ratios.speedup import Speedup

WORDS = Words("A title", "A subtitle", "A footer")
SMALL, TUTORIAL, LARGE = Size(32, 500, 50, 5), Size(64, 1000, 100, 10), Size(256, 4000, 400, 40)
CPU, GPU = Config("cpu", 1, "float32", "ieee"), Config("cuda:0", 1, "float32", "ieee")


def speedup(style, value, *, device="cpu", threads=1, size=TUTORIAL, half=0.1, noisy=False):
    baseline = CaseKey("numpy_in_place", "cpu", "float32", "ieee", 1, *size)
    ratio = Ratio(value, value * (1 - half), value * (1 + half), 5)
    contender = CaseKey(style, device, "float32", "ieee", threads, *size)
    return Speedup(contender, "best-cpu", baseline, "iteration", ratio, 100.0, 100.0 / value, noisy, "clean")


def measured(size: Size = TUTORIAL, **changes: Any) -> dict[str, Any]:
    """A row of measurements.csv, as far as charts read it."""
    common = {
        "block": 0, "style": "torch_tensors", "framework": "torch",
        "device": "cpu", "dtype": "float32", "precision": "ieee", "threads": 1,
        "flops": float(size.flops), "floor_us": np.nan, "latency_median_us": 100.0, "import_seconds": 1.0,
        "transfer_seconds": 0.5, "first_iteration_seconds": 0.25, "program_seconds": np.nan, **size._asdict(),
    }  # fmt: skip
    return {**common, **changes}


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in _texts(figure)]


def labels(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def _texts(figure: Figure) -> list[Text]:
    return [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]


def _tick_labels(axis: Axis) -> list[Text]:
    """Those of the ticks within sight: the others are not drawn."""
    low, high = sorted(axis.get_view_interval())
    return [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]


def _each_axis(figure: Figure) -> list[Axis]:
    return [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]


def assert_nothing_leaves_the_page(figure: Figure) -> None:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    width, height = canvas.get_width_height()
    legends = [text for legend in figure.legends for text in legend.get_texts()]
    ticks = [text for axis in _each_axis(figure) for text in (*_tick_labels(axis), axis.label)]
    for text in [*_texts(figure), *legends, *ticks]:
        box = text.get_window_extent()
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1
        assert inside, f"{text.get_text()!r} is cut off at {box}"


def assert_rows_do_not_overlap(figure: Figure) -> None:
    FigureCanvasAgg(figure).draw()
    shown = [text for axes in figure.axes for text in axes.texts if text.get_text()]
    for one, other in combinations([text.get_window_extent() for text in shown], 2):
        apart = one.x1 <= other.x0 or other.x1 <= one.x0 or one.y1 <= other.y0 + 2 or other.y1 <= one.y0 + 2
        assert apart, f"{one} lies on {other}"


def assert_ticks_stand_apart(figure: Figure) -> None:
    FigureCanvasAgg(figure).draw()
    for axis in _each_axis(figure):
        shown = [text for text in _tick_labels(axis) if text.get_text()]
        for one, other in combinations([text.get_window_extent() for text in shown], 2):
            apart = one.x1 <= other.x0 or other.x1 <= one.x0 or one.y1 <= other.y0 + 2 or other.y1 <= one.y0 + 2
            assert apart, f"ticks {[text.get_text() for text in shown]} lie on each other"
