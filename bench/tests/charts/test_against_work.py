from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cases.presets import SWEEP_SIZES
from bench.charts import against_work
from bench.charts.drawing import style
from bench.tests.charts.pages import (
    CPU,
    GPU,
    LARGE,
    SMALL,
    TUTORIAL,
    WORDS,
    assert_nothing_leaves_the_page,
    labels,
    measured,
    speedup,
)
from bench.tests.planted import planted
from bench.tests.runs import evidence_of
from bench.verdict.crossover import first_reaching
from bench.verdict.ratios.speedup import mean_us

positive = st.floats(1e-3, 1e3)


def a_line(work, middle):
    return against_work.Line("torch_tensors", GPU, tuple(work), tuple(middle), tuple(middle), tuple(middle))


@given(st.lists(positive, min_size=2, max_size=6), st.sampled_from([1.0, 50.0]))
def test_a_ring_is_where_the_verdict_has_its_crossover(ratios, level):
    work = [10.0**index for index in range(len(ratios))]
    at = against_work.crossing(a_line(work, ratios), level)
    assert at is None or (at == first_reaching(work, ratios, level) and work[0] < at <= work[-1])


def test_a_level_that_the_first_size_has_reached_gets_no_ring():
    assert against_work.crossing(a_line([1, 100], [2.0, 10.0]), 1.0) is None
    assert against_work.crossing(a_line([1, 100], [0.1, 0.2]), 1.0) is None
    assert against_work.crossing(a_line([1, 100], [0.1, 10.0]), 1.0) == pytest.approx(10.0)


def test_lines_go_through_their_sizes_in_order_of_work_and_what_is_always_the_baseline_has_none():
    found = [speedup("a", 3.0, size=LARGE), speedup("a", 2.0, size=SMALL)]
    (line,) = against_work.speedup_lines(found)
    assert (line.style, line.work, line.sizes) == ("a", (SMALL.flops, LARGE.flops), (SMALL, LARGE))
    assert line.middle == (2.0, 3.0)


def test_what_is_the_baseline_at_some_sizes_lies_at_one_there():
    beaten = speedup("numpy_in_place", 0.5, size=TUTORIAL)
    beaten = replace(beaten, baseline_case=beaten.contender._replace(style="a"))
    found = [speedup("a", 3.0, size=LARGE), speedup("a", 2.0, size=SMALL), beaten]
    by_style = {line.style: line for line in against_work.speedup_lines(found)}
    assert by_style["numpy_in_place"].middle == (1.0, 0.5, 1.0)
    assert by_style["a"].middle == (2.0, 1.0, 3.0)


@given(st.lists(st.lists(positive, min_size=3, max_size=3), min_size=1, max_size=5), st.booleans())
def test_each_level_is_ringed_once_where_the_first_line_reaches_it_accelerators_before_the_cpu(ratios, on_gpu):
    work = (1.0, 10.0, 100.0)
    lines = [
        against_work.Line(f"s{at}", GPU if on_gpu and at == 0 else CPU, work, *[tuple(values)] * 3)
        for at, values in enumerate(ratios)
    ]
    found = against_work.first_crossings(lines)
    for level in against_work.LEVELS:
        ringed = [at for places in found.values() for at, one in places if one == level]
        asked = lines[:1] if on_gpu else lines
        every = [at for line in asked if (at := against_work.crossing(line, level))]
        every *= all(line.middle[0] < level for line in asked)  # else somebody has it from the start
        assert ringed == ([min(every)] if every else [])


@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
def test_the_claims_line_is_there_only_where_an_accelerator_was_measured(device):
    found = [speedup("a", value, size=size, device=device) for size, value in ((SMALL, 0.5), (LARGE, 3.0))]
    with style.applied():
        figure = against_work.speedup_against_work(found, WORDS)
    shown = {text.get_text() for text in figure.axes[0].texts}
    assert ("50x" in shown) == (device != "cpu")
    assert (figure.axes[0].get_ylim()[1] > 50) == (device != "cpu")


@given(st.lists(st.tuples(positive, positive), min_size=1, max_size=6))
def test_a_point_of_a_time_is_the_one_time_of_its_case_between_its_least_and_most(blocks):
    both = zip((SMALL, LARGE), zip(*blocks, strict=True), strict=True)
    rows = pd.DataFrame(
        measured(size, block=block, latency_median_us=us) for size, times in both for block, us in enumerate(times)
    )
    (line,) = against_work.time_lines(rows)
    assert line.middle == tuple(mean_us(rows[rows["n"] == size.n]) for size in (SMALL, LARGE))
    for low, middle, high in zip(line.low, line.middle, line.high, strict=True):
        assert low <= middle * (1 + 1e-9)
        assert middle <= high * (1 + 1e-9)


@pytest.mark.parametrize("styles", [1, 20])
def test_speedup_against_work_keeps_few_lines_together_and_many_apart(styles):
    found = [
        speedup(f"style_{index}", value, size=size, device=device)
        for index in range(styles)
        for size, value in ((SMALL, 0.3), (TUTORIAL, 2.0), (LARGE, 60.0))
        for device in ("cpu", "cuda:0")
    ]
    with style.applied():
        figure = against_work.speedup_against_work(found, WORDS)
        assert_nothing_leaves_the_page(figure)
    assert len(figure.axes) == (1 if styles == 1 else 2)
    assert any(label.startswith("the first to reach 1x or 50x") for label in labels(figure))


def test_time_against_work_draws_the_floor_only_where_it_was_measured():
    sizes = [measured(size, latency_median_us=us) for size, us in ((SMALL, 50.0), (LARGE, 900.0))]
    floored = [{**row, "device": "cuda:0", "floor_us": row["latency_median_us"] / 3} for row in sizes]
    with style.applied():
        without = against_work.time_against_work(pd.DataFrame(sizes), WORDS)
        both = against_work.time_against_work(pd.DataFrame([*sizes, *floored]), WORDS)
    assert len(without.legends) == 1
    assert len(both.legends) == 2
    assert [axes.get_title(loc="left") for axes in both.axes] == [CPU.label, GPU.label]


def test_a_size_without_a_gpu_says_nothing_of_a_gpu():
    rows = planted(sizes=SWEEP_SIZES[:4])
    smallest = rows["n"] == SWEEP_SIZES[0].n  # where its launches make a GPU slower than the tutorial's numpy
    rows = rows[(rows["device"] == "cpu") | smallest]
    assert against_work.finding(evidence_of(rows), "tutorial-1") == (
        "A GPU is nowhere faster than the tutorial's numpy, nowhere 50x as fast"
    )
