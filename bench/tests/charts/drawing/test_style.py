from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.charts.drawing import style
from bench.charts.drawing.quantity import quantity
from bench.tests.charts.pages import WORDS, assert_nothing_leaves_the_page

printed = st.text("abcdefghijklmnopqrstuvwxyz_ABC.,:0123456789 µ", min_size=1, max_size=60).map(str.strip).filter(bool)


def test_every_colour_stands_out_from_white_paper():
    for colour in style.PALETTE:
        red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in to_rgb(colour))
        luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
        assert 1.05 / (luminance + 0.05) > 2.2, colour


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(50, "x", "50x"), (0.2, "x", "0.2x"), (2e4, "us", "20 ms"), (0.05, "us", "50 ns"), (3e8, "FLOP", "300M"),
     (1e4, "", "10,000"), (1e6, "", "1e6"), (0.1, "s", "100 ms"), (5e-8, "s", "0.05 us"), (2, "FLOP", "2")],
)  # fmt: skip
def test_ticks_are_written_out(value, unit, text):
    assert quantity(value, unit) == text


@given(printed, st.sampled_from([8.5, 9.5]), st.sampled_from(["normal", "bold"]))
def test_a_text_is_drawn_as_wide_as_it_was_measured(text, points, weight):
    with style.applied():
        figure = Figure(dpi=200)
        drawn = figure.text(0, 0, text, fontsize=points, fontweight=weight)
        figure.draw_without_rendering()
        wide = drawn.get_window_extent().width / figure.dpi
    assert style.text_width_in(text, points, weight) == pytest.approx(wide, rel=0.02, abs=0.03)


@pytest.mark.parametrize("panels", [1, 2, 5])
def test_panels_of_one_size_and_their_legends_stay_on_the_page_and_off_each_other(panels):
    handles = [Line2D([], [], label=f"a line of its own with number {index}") for index in range(7)]
    with style.applied():
        titles = [f"panel {at}" for at in range(panels)] if panels > 1 else [""]
        figure, found = style.panels(WORDS, titles, [handles, [], handles[:1]], "work", "time")
        assert_nothing_leaves_the_page(figure)
    assert len(found) == panels
    assert len(figure.legends) == 2
    boxes = [legend.get_window_extent() for legend in figure.legends]
    boxes += [box for axes in found if (box := axes.get_tightbbox())]
    for at, one in enumerate(boxes):
        assert not any(one.overlaps(other) for other in boxes[at + 1 :] if one is not other)
