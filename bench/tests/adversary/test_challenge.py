"""What the challenge costs: measured in one process on tiny loops, judged by figures that are given."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.adversary import challenge
from bench.adversary.challenge import MOST, TABLE, Cost, judge_costs, measure_costs
from bench.cases.phases import Rule
from bench.machine.witness import Record
from bench.tables.csv_files import read_as

COST = Cost("numpy_manual", "16x250x25x5", 20.0, 0.001, 0.004, 0.002, 0.03, 500, 60)


@pytest.mark.parametrize(
    ("name", "reported"), [("samples", True), ("batch", True), ("untimed", False), ("mean", False)]
)
@pytest.mark.parametrize("share", [0.019, 0.021])
def test_what_is_reported_as_a_time_may_not_be_longer_by_two_percent(name, reported, share):
    check = judge_costs([COST, replace(COST, style="torch_nn", **{name: share})])
    assert check.met is (not reported or share <= MOST)
    assert check.n == 120
    assert not reported or "torch_nn at 16x250x25x5" in check.note


def test_nothing_measured_is_nothing_shown():
    assert judge_costs([]).met is None


def test_the_cost_is_measured_on_a_loop_that_is_watched_and_one_that_is_not(monkeypatch):
    brief = Rule(segment_s=0.0, segment_iterations=5)
    monkeypatch.setattr(challenge, "Rule", lambda: brief)
    monkeypatch.setattr(challenge, "WARM", 5)
    record = Record(3)
    found = challenge.cost("numpy_in_place", (8, 5, 4, 3), 1, 3, record)
    assert len(record.seen) == 2 * 3
    assert all(len(one.losses or ()) == one.count for one in record.seen[::2])
    assert found["iterations"] == 5
    assert all(found[name] > -1 for name in ("samples", "mean", "batch", "untimed"))


def test_rows_that_are_there_are_not_measured_again(tmp_path, monkeypatch):
    asked = []

    def measured(style, size, threads, rounds):
        asked.append((style, str(size), threads))
        return replace(COST, style=style, size=str(size), threads=threads, rounds=rounds)

    monkeypatch.setattr(challenge, "measure_cost", measured)
    for threads in (1, 2, 1, 2):
        measure_costs(tmp_path, lambda _text: None, ("numpy_manual", "numpy_in_place"), threads, 7)
    assert len(asked) == len(set(asked)) == 8
    assert {one.rounds for one in read_as(tmp_path / TABLE, Cost)} == {7}
