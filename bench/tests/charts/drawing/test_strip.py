from __future__ import annotations

import math
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from bench.charts.drawing import style
from bench.charts.drawing.strip import Row, ratio_words, strip
from bench.tests.charts.pages import WORDS, assert_nothing_leaves_the_page, assert_rows_do_not_overlap
from bench.verdict.ratios.intervals import Ratio

words = st.text("abcdefghijklmnopqrstuvwxyz_ .,0123456789", max_size=20).map(str.strip)
rows = st.lists(st.builds(Row, words, words, words, st.booleans(), st.booleans()), min_size=1, max_size=12)


@settings(max_examples=40, deadline=None)
@given(rows)
def test_whatever_the_rows_say_nothing_leaves_the_page_and_no_row_lies_on_another(rows):
    with style.applied():
        figure, axes, at = strip(WORDS, rows, "an axis")
        assert_nothing_leaves_the_page(figure)
        assert_rows_do_not_overlap(figure)
    bottom, top = axes.get_ylim()
    assert len(at) == sum(not row.heading for row in rows)
    assert at == sorted(set(at))
    assert all(top < y_in < bottom for y_in in at)


def test_a_heading_is_bold_and_starts_at_the_margin_while_names_end_at_the_axis():
    with style.applied():
        figure, axes, _ = strip(WORDS, [Row("of these", heading=True), Row("a"), Row("a longer name")], "")
    figure.draw_without_rendering()
    heading, *names = [text for text in axes.texts if text.get_text()]
    boxes = [text.get_window_extent() for text in names]
    assert heading.get_fontweight() == "bold"
    assert heading.get_window_extent().x0 < min(box.x0 for box in boxes)
    assert abs(boxes[0].x1 - boxes[1].x1) < 1


@given(st.floats(1e-3, 1e3), st.floats(1.01, 2))
def test_a_ratio_in_words_carries_its_interval_in_order(value, factor):
    shown = [
        float(number) for number in re.findall(r"[\d.]+", ratio_words(Ratio(value, value / factor, value * factor, 5)))
    ]
    assert len(shown) == 3
    middle, low, high = shown
    assert low <= middle <= high


def test_a_ratio_without_an_interval_says_so():
    assert ratio_words(Ratio(2.5, math.nan, math.nan, 1)) == "2.50x [?]"
