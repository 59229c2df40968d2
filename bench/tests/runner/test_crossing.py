"""Two sizes more where a GPU overtakes between the planned ones: which, when, and after a kill."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bench.cases.case import CaseKey
from bench.cases.measurement import Found, Job
from bench.cases.presets import scaled
from bench.runner.crossing import crossing_plan, crossing_seconds, may_cross
from bench.runner.session import Session, measure
from bench.tables.run import read_run
from bench.tests.fakes import PROBE, a_case, a_plan, an_answer
from bench.tests.runner.test_decide import rows
from bench.tests.runs import MACHINE

SIZES = scaled(0.5, 1, 2, 4, 8)
SIDES = (("numpy_in_place", "cpu", "numpy"), ("torch_tensors", "cuda:0", "torch"))


class KilledError(Exception):
    """Stands for a signal that ends the process."""


def cases_at(sizes=SIZES, dtype="float32"):
    return [
        a_case(style, device=device, framework=framework, size=size, dtype=dtype)
        for size in sizes
        for style, device, framework in SIDES
    ]


def latency_us(case, crossing: float) -> float:
    """The CPU takes time by its work, the GPU half of that at `crossing`: it reaches 2x there, and more beyond."""
    work = case.problem.size.flops
    return work / 1e5 if case.device == "cpu" else crossing / 1e5 / 2


def answering(crossing: float, dies_after: int = 10**6):
    asked: list[CaseKey] = []

    def launch(job: Job) -> Found:
        if len(asked) == dies_after:
            raise KilledError
        asked.append(job.case.key)
        return an_answer(latency_us(job.case, crossing) * (1.001 if job.case.problem.n % 3 else 1.0))

    return launch, asked


def session_of(folder, plan, *, resumed=False):
    machine = {**MACHINE, "run_id": "run1", "devices": {name: {"model": "fake"} for name in ("cpu", "cuda:0")}}
    return Session(plan, folder, "run1", json.loads(json.dumps(machine)), PROBE, resumed)


def measured(plan, crossing):
    random = np.random.default_rng(1)
    return rows(
        {
            case: [latency_us(case, crossing) * math.exp(0.002 * random.standard_normal()) for _ in range(count)]
            for case, count in plan.cases.items()
        }
    )


@settings(max_examples=20, deadline=None)
@given(st.floats(1.2, 200), st.floats(1, 9), st.integers(2, 5))
def test_the_further_sizes_lie_around_the_highest_place_and_hold_every_telling_case(threshold, log_crossing, blocks):
    crossing = SIZES[0].flops * math.exp(log_crossing)
    places = [crossing * target / 2 for target in (1, 10, 50, threshold)]
    assume(all(abs(math.log(place / size.flops)) > 0.1 for place in places for size in (SIZES[0], SIZES[-1])))
    inside = [place for place in places if SIZES[0].flops < place < SIZES[-1].flops]
    plan = a_plan([*cases_at(), *cases_at(dtype="float64")], blocks=blocks, decide=threshold)
    found = crossing_plan(plan, measured(plan, crossing))
    assert (found is not None) == bool(inside)
    if found is None:
        return
    where = max(inside)
    sizes = {case.problem.size for case in found.cases}
    assert 1 <= len(sizes) <= 2
    assert not sizes & set(SIZES)
    assert all(where / 2.5 < size.flops < where * 2.5 for size in sizes)
    assert {(case.style, case.device, case.problem.dtype) for case in found.cases} == {
        (style, device, "float32") for style, device, _ in SIDES
    }
    assert set(found.cases.values()) == {blocks}
    assert not found.skips


@pytest.mark.parametrize(
    "plan",
    [
        a_plan(cases_at(SIZES[:2])),
        a_plan([case for case in cases_at() if case.device == "cpu"]),
        a_plan(cases_at(), budget_s=100.0),
        a_plan(cases_at(dtype="float64")),
    ],
    ids=["two sizes", "no accelerator", "minutes to keep", "no float32"],
)
def test_a_plan_that_can_hold_no_crossover_has_no_further_sizes_and_its_forecast_none(plan):
    assert not may_cross(plan)
    assert crossing_seconds(plan, PROBE) == 0
    assert crossing_plan(plan, measured(plan, SIZES[1].flops)) is None


@pytest.mark.parametrize("crossing", [SIZES[0].flops / 1e4, SIZES[-1].flops * 1e4], ids=["already", "never"])
def test_a_place_outside_what_was_measured_is_no_place(crossing):
    plan = a_plan(cases_at())
    assert crossing_plan(plan, measured(plan, crossing)) is None


def test_the_forecast_of_the_further_sizes_covers_the_dearest_of_the_plan_twice():
    plan = a_plan(cases_at())
    assert crossing_seconds(plan, PROBE) > 0
    assert crossing_seconds(a_plan(cases_at(), blocks=6), PROBE) == pytest.approx(2 * crossing_seconds(plan, PROBE))


@pytest.mark.parametrize("dies_after", [0, 7, 30, 31, 33, 36, 41])
def test_a_killed_run_comes_to_the_same_further_sizes_and_measures_each_turn_once(tmp_path, dies_after):
    plan, crossing = a_plan(cases_at(), blocks=3), 4 * SIZES[0].flops
    whole, asked = answering(crossing)
    list(measure(session_of(tmp_path / "whole", plan), whole))
    assert len(asked) == 3 * (len(SIZES) + 2) * 2
    first, before = answering(crossing, dies_after)
    with pytest.raises(KilledError):
        list(measure(session_of(tmp_path / "killed", plan), first))
    second, after = answering(crossing)
    list(measure(session_of(tmp_path / "killed", plan, resumed=True), second))
    assert len(before) + len(after) == len(asked)
    table = read_run(tmp_path / "killed").measurements
    assert table["order"].is_unique
    assert not table.duplicated(["block", "style", "n", "d_in"]).any()
    assert Counter(before) + Counter(after) == Counter(asked)


def test_further_sizes_do_not_move_the_place_that_a_resumed_run_finds():
    plan = a_plan(cases_at())
    table = measured(plan, 4 * SIZES[0].flops)
    found = crossing_plan(plan, table)
    assert found is not None
    further = replace(plan, cases=found.cases)
    both = measured(replace(plan, cases={**plan.cases, **further.cases}), 4 * SIZES[0].flops)
    kept = both[both.set_index(["n", "d_in"]).index.isin(table.set_index(["n", "d_in"]).index)]
    assert len(both) > len(kept)
    assert crossing_plan(plan, both) == crossing_plan(plan, kept)
