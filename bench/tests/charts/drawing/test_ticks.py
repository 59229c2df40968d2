from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from bench.charts.drawing.quantity import STEPS
from bench.charts.drawing.style import applied
from bench.charts.drawing.ticks import linear_axis, log_axis
from bench.tests.charts.pages import assert_ticks_stand_apart

lows, factors = st.floats(1e-4, 1e4), st.floats(0.02, 6.0).map(lambda decades: 10**decades)
inches = st.floats(1.1, 7.0)


def an_axis(which: str, low: float, high: float, wide_in: float, high_in: float = 2.0):
    figure = Figure(figsize=(wide_in + 2, high_in + 2))
    axes = figure.add_axes((1 / (wide_in + 2), 1 / (high_in + 2), wide_in / (wide_in + 2), high_in / (high_in + 2)))
    axes.set(**{f"{which}lim": (low, high)})
    return figure, axes


@settings(max_examples=60, deadline=None)
@given(st.sampled_from("xy"), lows, factors, inches, st.sampled_from(["x", "", *STEPS]))
def test_the_ticks_of_a_logarithmic_axis_stand_apart_and_some_are_in_sight(which, low, factor, room_in, unit):
    with applied():
        figure, axes = an_axis(which, low, low * factor, room_in, room_in)
        log_axis(axes, which, unit=unit)
        assert_ticks_stand_apart(figure)
    axis = axes.xaxis if which == "x" else axes.yaxis
    shown = [tick for tick in axis.get_majorticklocs() if low <= tick <= low * factor]
    assert len(shown) >= (2 if factor > 100 and room_in > 2 else 1)


@settings(max_examples=40, deadline=None)
@given(st.floats(1e-2, 1e7), inches, st.sampled_from(["{:,.0f}", "{:.0%}"]))
def test_even_steps_stand_apart_too(most, room_in, text):
    with applied():
        figure, axes = an_axis("x", 0, most, room_in)
        linear_axis(axes, text.format)
        assert_ticks_stand_apart(figure)


@pytest.mark.parametrize(
    ("room_in", "shown"), [(6.0, ["0.1x", "0.2x", "0.5x", "1x"]), (1.3, ["0.1x", "0.3x", "1x"]), (0.7, ["0.1x", "1x"])]
)
def test_where_there_is_less_room_there_are_fewer_ticks(room_in, shown):
    with applied():
        figure, axes = an_axis("x", 0.08, 1.7, room_in)
        log_axis(axes, "x", unit="x")
        figure.draw_without_rendering()
    assert [tick.label1.get_text() for tick in axes.xaxis.get_major_ticks() if 0.08 <= tick.get_loc() <= 1.7] == shown
