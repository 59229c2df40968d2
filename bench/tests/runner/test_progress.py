"""How long the rest of a run takes, as far as its turns so far tell."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bench.machine.process import Answer
from bench.runner import floor
from bench.runner import progress as module
from bench.runner.progress import Pace
from bench.runner.turns import Progress, schedule
from bench.tests.fakes import a_case, a_plan


def session(plan) -> Any:
    return SimpleNamespace(plan=plan, probe={})


@pytest.mark.parametrize("slower", [0.5, 1.0, 3.0])
def test_the_rest_takes_as_much_longer_as_the_turns_so_far_did(monkeypatch, slower):
    plan = a_plan([a_case("a"), a_case("b")], blocks=5)
    monkeypatch.setattr(module, "case_seconds", lambda case, _rule, _probe: {"a": 1.0, "b": 2.0}[case.style])
    turns, now = schedule(plan), 0.0
    pace = Pace(session(plan), started=0.0)
    assert pace.left(Progress(0, len(turns), turns[0], plan), now) == pytest.approx(15.0)
    for done, slot in enumerate(turns[:-1]):
        now += slower * {"a": 1.0, "b": 2.0}[slot.case.style]
        rest = sum({"a": 1.0, "b": 2.0}[one.case.style] for one in turns[done + 1 :])
        assert pace.left(Progress(done + 1, len(turns), turns[done + 1], plan), now) == pytest.approx(slower * rest)


def test_what_takes_long_before_the_first_turn_has_its_line(monkeypatch):
    monkeypatch.setattr(floor, "ask", lambda *_arguments, **_options: Answer([], 1.0))
    said: list[str] = []
    plan = a_plan([a_case("a"), a_case("b", framework="torch")])
    floor.measure_ceilings(plan, floor.ceiling_jobs(plan), said.append, said.append)
    assert [words.partition(":")[0] for words in said] == ["ceilings 1/2", "ceilings 2/2"]


def test_a_long_plan_is_laid_out_once(monkeypatch):
    plan = a_plan([a_case(f"s{number}") for number in range(20)], blocks=10)
    laid_out = []

    def counted(plan):
        laid_out.append(plan)
        return schedule(plan)

    monkeypatch.setattr(module, "schedule", counted)
    monkeypatch.setattr(module, "case_seconds", lambda *_arguments: 1.0)
    pace, turns = Pace(session(plan)), schedule(plan)
    for done, slot in enumerate(turns):
        pace.left(Progress(done, len(turns), slot, plan), float(done))
    assert len(laid_out) == 1
