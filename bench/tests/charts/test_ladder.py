from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgba

from bench.charts import ladder
from bench.charts.drawing import style
from bench.tests.charts.pages import (
    WORDS,
    assert_nothing_leaves_the_page,
    assert_rows_do_not_overlap,
    speedup,
    texts,
)
from bench.verdict.ratios.intervals import Ratio
from bench.verdict.ratios.speedup import Speedup


def test_the_ladder_groups_by_device_and_sorts_by_speedup():
    found = [speedup("a", 2.0), speedup("b", 3.0), speedup("c", 40.0, device="cuda:0")]
    assert [(config.label, [case.style for case, _ in lines]) for config, lines in ladder.grouped(found)] == [
        ("cpu, 1 thread, float32", ["b", "a", "numpy_in_place"]),
        ("cuda:0, float32", ["c"]),
    ]


def test_the_baseline_stands_in_the_ladder_without_a_speedup():
    ((_config, lines),) = ladder.grouped([speedup("a", 2.0)])
    assert [case.style for case, one in lines if one is None] == ["numpy_in_place"]


def test_the_ladder_shows_every_speedup_with_its_interval_and_both_lines():
    with style.applied():
        figure = ladder.ladder([speedup("a", 2.0), speedup("b", 3.0, noisy=True)], WORDS)
    shown = texts(figure)
    assert {"2.00x [1.80, 2.20]", "3.00x [2.70, 3.30] *", "the baseline", "1x", "A footer"} <= set(shown)


@given(st.lists(st.floats(0.01, 200), min_size=1, max_size=8), st.booleans())
def test_the_claims_line_is_in_the_ladder_of_an_accelerator_and_else_the_bars_use_the_width(ratios, on_gpu):
    device = "cuda:0" if on_gpu else "cpu"
    found = [speedup(f"style_{at}", value, device=device) for at, value in enumerate(ratios)]
    with style.applied():
        figure = ladder.ladder(found, WORDS)
    (low, high), claimed = figure.axes[0].get_xlim(), on_gpu or max(ratios) >= 20
    assert ("50x" in texts(figure)) == claimed
    assert low < min(1.0, *ratios)
    assert high > max([1.0, *ratios, *([50.0] if claimed else [])])
    if not claimed:
        ends = [1.0, *(one.ratio.low for one in found), *(one.ratio.high for one in found)]
        used = math.log(max(ends) / min(ends))
        assert used / math.log(high / low) > 0.7


@given(st.lists(st.floats(0.01, 200), min_size=1, max_size=8))
def test_a_speedup_is_a_bar_from_1x_with_its_interval_across_its_end(ratios):
    found = [speedup(f"style_{at}", value) for at, value in enumerate(ratios)]
    with style.applied():
        axes = ladder.ladder(found, WORDS).axes[0]
    bars = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in axes.patches]  # type: ignore[attr-defined]
    by_speed = sorted(found, key=lambda one: -one.ratio.value)
    expected = {one.ratio.value: tuple(sorted((1.0, one.ratio.value))) for one in by_speed}
    assert sorted(bars) == [pytest.approx(ends) for ends in sorted(expected[one.ratio.value] for one in found)]
    spans = {tuple(np.asarray(line.get_xdata(), dtype=float).tolist()) for line in axes.get_lines()}
    assert {(one.ratio.low, one.ratio.high) for one in found} <= spans


def test_a_bar_is_pale_on_the_cpu_and_full_on_an_accelerator():
    with style.applied():
        axes = ladder.ladder([speedup("a", 2.0), speedup("a", 40.0, device="cuda:0")], WORDS).axes[0]
    assert [to_rgba(bar.get_facecolor())[3] for bar in axes.patches] == [0.4, 1.0]


def test_a_speedup_from_one_block_says_that_its_interval_is_unknown():
    one = speedup("a", 2.0, half=math.nan)
    assert ladder.value_words(one) == "2.00x [?]"
    with style.applied():
        assert "2.00x [?]" in texts(ladder.ladder([one], WORDS))


@pytest.mark.parametrize("cases", [1, 40])
@pytest.mark.parametrize("name", ["a", "a_style_with_a_name_that_is_far_too_long_for_any_chart_whatever"])
def test_ladders_of_one_and_of_forty_cases_are_readable(cases, name):
    found = [
        speedup(f"{name}_{index // 2}", 1 + index, device=("cpu", "cuda:0")[index % 2], threads=16)
        for index in range(cases)
    ]
    with style.applied():
        figure = ladder.ladder(found, WORDS)
        assert_nothing_leaves_the_page(figure)
        assert_rows_do_not_overlap(figure)


def test_an_endless_interval_does_not_squeeze_the_chart():
    wide = speedup("a", 2.0)
    endless = Speedup(
        wide.contender, "best-cpu", wide.baseline_case, "iteration", Ratio(2, 1e-200, 1e200, 2), 1, 1, True, ""
    )
    low, high = ladder.ratio_limits([endless])
    assert low > 1e-5
    assert high < 1e7


def test_names_that_our_font_cannot_draw_and_dollars_are_drawn_all_the_same(tmp_path: Path):
    found = [speedup("$x_1$", 2.0), speedup("訓練", 3.0), speedup("_hidden", 1.5)]
    with style.applied():
        style.save(ladder.ladder(found, WORDS), tmp_path / "chart")
    assert (tmp_path / "chart.png").stat().st_size > 10_000
