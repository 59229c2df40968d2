"""What a run measures last: two sizes more, where its own say that the fastest accelerator style overtakes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from bench.cases.case import Case
from bench.cases.forecast import case_seconds
from bench.cases.plan import Plan
from bench.cases.problem import Problem, Size, stable_learning_rate
from bench.tables.by_case import of_cases
from bench.tables.run import Run
from bench.verdict.claim import at_least
from bench.verdict.crossover import Crossover, sizes_at
from bench.verdict.evidence import Evidence
from bench.verdict.judgement import Question, crossovers_of

LEAST_SIZES = 3  # of fewer, nothing is known of the curve between them
SIZES = 2


def may_cross(plan: Plan) -> bool:
    """Whether a plan can find a crossover: several sizes, on the CPU and on an accelerator, and no minutes to keep."""
    mine = telling(plan.cases)
    sides = [{case.problem.size for case in mine if (case.device == "cpu") == on_cpu} for on_cpu in (True, False)]
    return plan.budget_s is None and len(set.intersection(*sides)) >= LEAST_SIZES


def telling(cases: Iterable[Case]) -> list[Case]:
    """The cases that decide where an accelerator overtakes the best CPU: plain SGD in float32."""
    return [case for case in cases if case.oracle == "sgd" and case.key.arithmetic == "float32" and not case.as_found]


def crossing_seconds(plan: Plan, probe: Mapping[str, Any]) -> float:
    """About how long the further sizes take at most; 0 where there will be none."""
    if not may_cross(plan):
        return 0.0
    by_size: dict[Size, float] = {}
    for case in telling(plan.cases):
        size = case.problem.size
        by_size[size] = by_size.get(size, 0.0) + plan.cases[case] * case_seconds(case, plan, probe)
    return SIZES * max(by_size.values())


def crossing_plan(plan: Plan, measurements: pd.DataFrame) -> Plan | None:
    """The telling cases once more at two sizes around the crossover; None where the measured sizes hold none.

    Of several targets the highest that is reached between two sizes. Judged by the cases of `plan` alone, so that a
    resumed run comes to the same sizes.
    """
    if not may_cross(plan):
        return None
    known = measurements[of_cases(measurements, [case.key for case in plan.cases])]
    place = highest_crossover(Evidence.of(Run(Path(), known, {"plan": {"looks": plan.looks}})), plan.decide)
    there = {case.problem.size for case in plan.cases}
    sizes = [size for size in sizes_at(place) if size not in there] if place is not None else []
    if place is None or not sizes:
        return None
    mine = telling(plan.cases)
    nearest = min((case.problem.size for case in mine), key=lambda size: abs(math.log(size.flops / (place.flops or 1))))
    cases = {at_size(case, size): plan.cases[case] for size in sizes for case in mine if case.problem.size == nearest}
    return replace(plan, cases=cases, skips=(), blocks=max(cases.values()))


def highest_crossover(evidence: Evidence, threshold: float | None) -> Crossover | None:
    """Of the fastest accelerator style over the best CPU, the highest target that two more sizes would sharpen."""
    found = [one for one in crossovers_of(evidence, Question(at_least(threshold))) if sizes_at(one)]
    return max(found, key=lambda one: one.target, default=None)


def at_size(case: Case, size: Size) -> Case:
    """The same case at another size, at its stable rate."""
    rate = stable_learning_rate(size, case.oracle)
    return replace(case, problem=Problem(*size, case.problem.dtype, rate, case.problem.seed), program=False)
