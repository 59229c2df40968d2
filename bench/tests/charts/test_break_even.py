from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.charts import break_even
from bench.charts.drawing import style
from bench.tables.by_case import cases_in
from bench.tests.charts.pages import WORDS, assert_nothing_leaves_the_page, labels, measured
from bench.verdict.break_even import between

seconds, latencies = st.floats(0.01, 5), st.floats(1.0, 1e4)


def compared(*sides):
    """Starts and rows by case of these (device, import s, us an iteration, program s), two blocks each."""
    rows = pd.DataFrame(
        measured(device=device, block=block, import_seconds=imports, transfer_seconds=0.0, latency_median_us=us,
                 first_iteration_seconds=us / 1e6, program_seconds=program_s)
        for device, imports, us, program_s in sides
        for block in range(2)
    )  # fmt: skip
    by_case = dict(cases_in(rows))
    return break_even.starts(rows), by_case


@given(seconds, seconds, latencies, latencies)
def test_at_a_ring_both_lines_have_taken_as_long(before_s, after_s, us_before, us_after):
    starts, rows = compared(("cpu", before_s, us_before, math.nan), ("cuda:0", after_s, us_after, math.nan))
    for when, at_s in break_even.rings_of(starts, rows):
        assert 1 < when.value <= break_even.MOST_ITERATIONS
        assert [one.total(when.value) for one in starts] == pytest.approx([at_s] * 2, rel=1e-6)


@given(seconds, seconds, latencies, latencies)
def test_a_ring_is_where_the_verdict_has_its_break_even(before_s, after_s, us_before, us_after):
    starts, rows = compared(("cpu", before_s, us_before, math.nan), ("cuda:0", after_s, us_after, math.nan))
    before, after = sorted(rows.values(), key=lambda same: -same["latency_median_us"].iloc[0])
    found = between(before, after)
    assert found is not None
    expected = [found.cold] if 1 < found.cold.value <= break_even.MOST_ITERATIONS else []
    assert [when for when, _ in break_even.rings_of(starts, rows)] == expected


@given(seconds, latencies)
def test_the_drawn_line_meets_the_measured_program_at_500_iterations(program_s, us):
    starts, _rows = compared(("cpu", 1.0, us, program_s))
    with style.applied():
        line, star = break_even.break_even(starts, WORDS).axes[0].get_lines()[:2]
    assert np.asarray(star.get_xdata()).tolist() == [500]
    assert np.asarray(star.get_ydata())[0] == pytest.approx(program_s)
    x, y = np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)
    assert np.interp(500, x, y) == pytest.approx(program_s)


def test_what_starts_later_and_runs_slower_never_breaks_even():
    for us in (20.0, 10.0):
        starts, rows = compared(("cpu", 0.1, 10.0, math.nan), ("cuda:0", 2.0, us, math.nan))
        assert break_even.rings_of(starts, rows) == []


def test_a_whole_program_and_a_sum_of_parts_get_no_ring_and_the_legend_says_so():
    starts, rows = compared(("cpu", 0.1, 500.0, 0.4), ("cuda:0", 2.0, 10.0, math.nan))
    assert [one.whole for one in starts] == [True, False]
    assert break_even.rings_of(starts, rows) == []
    assert break_even.start_words(starts) == (
        "start: whole programs of 500 iterations (star), else import + transfer + first call, without python itself"
    )
    starts, rows = compared(("cpu", 0.1, 500.0, 0.4), ("cuda:0", 2.0, 10.0, 3.0), ("xpu:0", 2.0, 10.0, math.nan))
    rings = break_even.rings_of(starts, rows)
    assert len(rings) == 1
    with style.applied():
        shown = labels(break_even.break_even(starts, WORDS, rings, "95% interval"))
    assert "break-even with its 95% interval, of lines that both have a star or both none" in shown


def test_break_even_compares_the_fastest_of_each_framework_and_device():
    rows = pd.DataFrame([
        measured(), measured(style="torch_nn", latency_median_us=200.0), measured(device="cuda:0"),
        measured(style="numpy_manual", framework="numpy", dtype="float64"), measured(import_seconds=np.nan, threads=2),
    ])  # fmt: skip
    found = break_even.starts(rows)
    assert [(one.case.style, one.case.device) for one in found] == [
        ("torch_tensors", "cpu"), ("torch_tensors", "cuda:0"), ("numpy_manual", "cpu"),
    ]  # fmt: skip
    assert found[0].total(1) == pytest.approx(1.75)
    with style.applied():
        assert_nothing_leaves_the_page(break_even.break_even(found, WORDS))


def test_the_fastest_whole_program_of_each_framework_joins_the_fastest_case():
    slower = measured(threads=2, latency_median_us=200.0, program_seconds=3.0)
    found = break_even.starts(pd.DataFrame([measured(), slower, {**slower, "threads": 4, "latency_median_us": 300.0}]))
    assert [(one.case.threads, one.whole) for one in found] == [(1, False), (2, True)]


def test_one_style_on_two_devices_is_told_apart_in_the_title():
    starts, _rows = compared(("cpu", 1.0, 100.0, math.nan), ("cuda:0", 2.0, 10.0, math.nan))
    title = break_even.break_even_words(starts)
    assert " on cpu in " in title
    assert " on cuda:0 in " in title
