from __future__ import annotations

import math

import pytest

from bench.cases.case import CaseKey
from bench.charts import comparison
from bench.charts.drawing import style
from bench.tests.charts.pages import (
    LARGE,
    TUTORIAL,
    assert_nothing_leaves_the_page,
    assert_rows_do_not_overlap,
    labels,
    texts,
)
from bench.verdict.comparison import Compared, Comparison
from bench.verdict.ratios.intervals import Ratio

OUTCOMES = {"faster": (1.1, 1.2, 1.3), "slower": (0.7, 0.8, 0.9), "same": (0.99, 1.0, 1.01)}


def compared(style, outcome="faster", *, device="cpu", size=TUTORIAL):
    low, value, high = OUTCOMES.get(outcome, (math.nan, 1.0, math.nan))
    case = CaseKey(style, device, "float32", "ieee", 1, *size)
    ratio = Ratio(value, low, high, 5)
    return Compared(case, 120.0, 100.0, 5, 5, ratio, 0.01, by_reference=True, noisy=False, outcome=outcome)


def drawn(*cases, margin=0.02):
    found = Comparison("before", "after", "iteration", margin, cases, (), identical=False)
    with style.applied():
        figure = comparison.comparison_chart(found, "A footer")
        assert_nothing_leaves_the_page(figure)
        assert_rows_do_not_overlap(figure)
    return figure


def test_a_comparison_groups_its_cases_by_size_and_device_and_shows_every_ratio():
    figure = drawn(compared("a", device="cuda:0"), compared("a", "slower"), compared("b", size=LARGE))
    assert [text for text in texts(figure)[3:] if text] == [
        "cpu, 1 thread, float32, 64x1000x100x10", "0.800x [0.700, 0.900]", "a",
        "cuda:0, float32, 64x1000x100x10", "1.20x [1.10, 1.30]", "a",
        "cpu, 1 thread, float32, 256x4000x400x40", "1.20x [1.10, 1.30]", "b",
    ]  # fmt: skip


def test_the_legend_counts_the_outcomes_that_there_are():
    figure = drawn(compared("a"), compared("b"), compared("c", "undecided"), compared("d", "same"))
    assert labels(figure) == ["faster (2)", "same (1)", "undecided (1)"]
    assert "1.00x [?]" in texts(figure)


@pytest.mark.parametrize("margin", [0.0, 0.02, 0.5, 2.0])
def test_whatever_the_margin_it_is_in_sight(margin):
    low, high = drawn(compared("a"), margin=margin).axes[0].get_xlim()
    assert 0 < low < 1 / (1 + margin)
    assert 1 + margin < high


def test_a_comparison_without_a_single_case_is_a_page_of_words():
    assert texts(drawn())[0] == "after against before: no case can be compared"
