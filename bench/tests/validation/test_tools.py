"""Other tools, asked in processes of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cases.problem import TUTORIAL_SIZE
from bench.tests.validation.pools import GOOD_TOOLS
from bench.validation import tools
from bench.validation.tools import (
    CLOCK,
    PEDANTIC,
    PYPERF,
    SUITE,
    TIMEIT,
    TORCH,
    UNTIMED,
    Tool,
    ToolError,
    in_turns,
    judge_agreement,
    judge_tools,
    measure_tools,
    ratio_of,
    start,
)


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

    assert ratio_of(in_turns(theirs, ours, 2)) == pytest.approx(1.5)
    assert called == ["ours", "theirs", "theirs", "ours"]


def test_a_tool_that_fails_is_a_quantity_without_a_value_and_the_others_go_on(monkeypatch):
    def broken(*given):
        raise ToolError("out of order")

    monkeypatch.setattr(tools, "ask", broken)
    monkeypatch.setattr(tools, "start", broken)
    found = {tool.quantity: tool for tool in measure_tools(TUTORIAL_SIZE, lambda column: 1.0, 1)}
    assert list(found) == [CLOCK, UNTIMED, PEDANTIC, TIMEIT, TORCH, PYPERF, SUITE]
    assert {(tool.value, tool.note) for tool in found.values()} == {(None, "out of order")}


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


def test_tools_that_agree_and_a_cheap_clock_are_met():
    checks = judge_tools(GOOD_TOOLS)
    assert [check.met for check in checks] == [True] * 9
    assert "2.00 us" in checks[1].note
    assert [check.met for check in judge_tools({})] == [None] * 9
