"""Tests of the words around a chart: what a footer counts as missing, and figures beside a threshold."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.charts.costs import Rung, layers_words
from bench.charts.drawing.series import Config
from bench.charts.drawing.words import left_out
from bench.report.verdict_tables import crossover_words
from bench.tests.fakes import a_measurement
from bench.tests.runs import NUMPY, TORCH, around, write_run
from bench.verdict.crossover import Crossover
from bench.words import beside, number


@pytest.mark.parametrize(
    ("statuses", "told"),
    [
        (["crashed"], ""),  # in one of four blocks: its number is that of the others
        (["wrong"], "not in the chart: 1 wrong"),
        ([], ""),
    ],
)
def test_a_case_that_failed_in_some_blocks_is_in_the_chart_unless_it_was_wrong(tmp_path, statuses, told):
    others = [a_measurement(TORCH, 9, status=status, reason="why", values={}) for status in statuses]
    run = write_run(tmp_path / "run", {NUMPY: around(100), TORCH: around(50)}, others=others)
    assert left_out(run.measurements) == told


def test_a_case_without_any_number_is_not_in_the_chart(tmp_path):
    others = [a_measurement(TORCH, block, status="skipped", reason="no torch", values={}) for block in (0, 1)]
    run = write_run(tmp_path / "run", {NUMPY: around(100)}, others=others)
    assert left_out(run.measurements) == "not in the chart: 1 skipped"


@given(st.floats(1e-2, 1e4), st.sampled_from([1.0, 10.0, 50.0, 200.0]))
def test_no_figure_beside_a_threshold_is_the_threshold_itself_unless_it_is(value, threshold):
    text = beside(value, threshold)
    assert float(text) == pytest.approx(value, rel=6e-3)
    assert float(text) != threshold or math.isclose(value, threshold, rel_tol=1e-7)
    assert float(number(value)) == threshold or text == number(value)


def test_a_figure_just_below_a_threshold_has_the_digits_that_say_so():
    values = (49.96, 49.9996, 50.0, 49.9, 12.34)
    assert [beside(one, 50.0) for one in values] == ["49.96", "49.9996", "50.0", "49.9", "12.3"]


@pytest.mark.parametrize(
    ("high", "told"),
    [(1e6, "already"), (4e6, "already, surely from 4.00 MFLOP"), (None, "already, perhaps")],
)
def test_a_target_that_is_reached_at_the_smallest_size_is_so_surely_only_within_its_interval(high, told):
    found = Crossover("torch_nn", "best-cpu", 1.0, 1e6, None, high, 1e6, 1e9, already=True)
    assert crossover_words(found).endswith(told)


@pytest.mark.parametrize(("low", "told"), [(12.0, "slow adds the most"), (-21.5, "no layer surely adds time")])
def test_a_layer_adds_the_most_only_where_it_surely_adds(low, told):
    rungs = [Rung("first", 100.0, math.nan, math.nan, math.nan), Rung("slow", 250.0, 150.0, low, 317.0)]
    config = Config("cpu", 1, "float32", "ieee")
    assert layers_words(config, rungs).endswith(told)
    surely = [*rungs, Rung("steady", 280.0, 30.0, 20.0, 40.0)]  # which adds less, and surely something
    assert layers_words(config, surely).endswith(told if low > 0 else "which layer adds the most is not sure")
