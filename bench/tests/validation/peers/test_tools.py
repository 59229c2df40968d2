"""Other tools, asked in processes of their own."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cases.problem import TUTORIAL_SIZE
from bench.tables.csv_files import read_as, write_as
from bench.tests.validation.pools import GOOD_TOOLS
from bench.validation.peers import tools
from bench.validation.peers.agreement import (
    CLOCK,
    INTERVAL,
    PEDANTIC,
    PYPERF,
    SUITE,
    TIMEIT,
    TORCH,
    UNTIMED,
    Tool,
    judge_agreement,
    judge_tools,
)
from bench.validation.peers.tools import ToolError, in_turns, measure_tools, start


def test_a_tool_that_ends_badly_is_an_error_with_its_last_line(tmp_path):
    with pytest.raises(ToolError, match="exit code 1: ValueError: boom"):
        start(["-c", "raise ValueError('boom')"], tmp_path)


def test_who_goes_first_alternates_and_the_ratio_is_theirs_over_ours():
    called = []

    def theirs():
        called.append("theirs")
        return 3.0

    def ours():
        called.append("ours")
        return 2.0

    assert Tool.ratio_of(PYPERF, in_turns(theirs, ours, 2)).value == pytest.approx(1.5)
    assert called == ["ours", "theirs", "theirs", "ours"]


def test_a_tool_that_fails_is_a_quantity_without_a_value_and_the_others_go_on(monkeypatch):
    def broken(*given):
        raise ToolError("out of order")

    monkeypatch.setattr(tools, "ask", broken)
    monkeypatch.setattr(tools, "start", broken)
    said: list[str] = []
    found = {tool.quantity: tool for tool in measure_tools(TUTORIAL_SIZE, lambda column: 1.0, 1, said.append)}
    assert list(found) == [CLOCK, UNTIMED, PEDANTIC, TIMEIT, TORCH, PYPERF, SUITE]
    assert {(tool.value, tool.note) for tool in found.values()} == {(None, "out of order")}
    assert said[:2] == ["beside other tools: clock, untimed", "beside other tools: pedantic untimed"]


def test_the_suite_is_held_against_the_median_of_a_run(monkeypatch):
    asked: list[str] = []

    def ours(column):
        asked.append(column)
        return 200.0

    monkeypatch.setattr(tools, "suite_us", lambda folder, size: 206.0)
    tool = tools.suite_tool(Path(), TUTORIAL_SIZE, ours, 3)
    assert tool.value == pytest.approx(1.03)
    assert asked == ["latency_median_us"] * 3


def test_without_pytest_benchmark_its_quantities_say_how_to_get_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ToolError, match="pip install pytest-benchmark"):
        tools.suite_tool(Path(), TUTORIAL_SIZE, lambda column: 1.0, 1)


def test_a_tool_that_is_not_installed_is_untested_with_the_reason():
    check = judge_agreement(PYPERF, Tool(PYPERF, None, "ratio", note="pyperf is not installed"), 0.02)
    assert check.met is None
    assert check.note == "pyperf is not installed"
    assert judge_agreement(TIMEIT, Tool(TIMEIT, 1.006, "ratio", 9), 0.005).met is False


@pytest.mark.parametrize(
    ("value", "low", "high", "met"),
    [
        (1.004, 1.001, 1.007, True),
        (1.004, 0.99, 1.018, True),
        (1.004, 0.95, 1.06, None),  # as wide as this it would agree with anything
        (1.03, 1.021, 1.04, False),
        (0.97, 0.965, 0.975, False),
        (2.0, 1.9, 2.1, False),  # wide, and all of it beyond
        (0.5, 0.45, 0.55, False),
        (1.03, 1.019, 1.041, None),
        (0.97, 0.95, 0.99, None),
    ],
)
def test_a_tool_disagrees_as_far_as_its_interval_can_tell(value, low, high, met):
    check = judge_agreement(PYPERF, Tool(PYPERF, value, "ratio", 24, "", low, high), 0.02)
    assert check.met is met
    assert check.note.startswith("too noisy; 95% interval " if met is None else "95% interval ")
    assert f"{low - 1:+.2%} to {high - 1:+.2%}" in check.note


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_no_number_tests_nothing_and_says_so(value):
    check = judge_agreement(PYPERF, Tool(PYPERF, value, "ratio", 24, "odd", 0.9, 1.1), 0.02)
    assert (check.met, check.note) == (None, f"its value is {value}; odd")
    of_no_width = judge_agreement(PYPERF, Tool(PYPERF, 1.03, "ratio", 24, "", value, value), 0.02)
    assert (of_no_width.met, of_no_width.note) == (False, "theirs over ours, in turns")


def test_a_miss_of_few_pairs_tests_nothing_and_says_so():
    few = judge_agreement(PYPERF, Tool(PYPERF, 1.03, "ratio", 4), 0.02)
    assert few.met is None
    assert few.note.startswith("a miss of fewer than 5 tests nothing")
    assert judge_agreement(PYPERF, Tool(PYPERF, 1.01, "ratio", 4), 0.02).met is True


@given(truth=st.floats(0.5, 2), n=st.integers(2, 40), seed=st.integers(0, 10**6))
def test_ratios_of_pairs_and_of_turns_lie_in_their_intervals_and_go_through_their_table(
    tmp_path_factory, truth, n, seed
):
    drawn = np.random.default_rng(seed)
    ours = drawn.uniform(100, 300, n)
    theirs = ours * truth * drawn.lognormal(0, 0.01, n)
    by_pairs = Tool.ratio_of(PYPERF, list(zip(theirs.tolist(), ours.tolist(), strict=True)))
    by_turns = Tool.median_of(TIMEIT, (theirs / ours).tolist())
    for tool in (by_pairs, by_turns):
        assert tool.value == pytest.approx(truth, rel=0.05)
        if tool.low is not None and tool.high is not None and tool.value is not None:
            assert tool.low <= tool.value <= tool.high
    assert by_pairs.low is not None
    assert (by_turns.low is None) == (n < 6)  # 2 of 2^5 samples lie all on one side of their median
    path = tmp_path_factory.mktemp("tools") / "tools.csv"
    write_as(path, Tool, [by_pairs, by_turns])
    assert read_as(path, Tool, INTERVAL) == [by_pairs, by_turns]
    path.write_text("quantity,value,unit,n,note\nclock,0.08,us,30,\n")
    assert read_as(path, Tool, INTERVAL) == [Tool("clock", 0.08, "us", 30)]


def test_tools_that_agree_and_a_cheap_clock_are_met():
    checks = judge_tools(GOOD_TOOLS)
    assert [check.met for check in checks] == [True] * 9
    assert "2.00 us" in checks[1].note
    assert [check.met for check in judge_tools({})] == [None] * 9
