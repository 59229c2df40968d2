"""What the announced time is made of."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cases.case import Case
from bench.cases.forecast import case_seconds, ceiling_seconds
from bench.cases.phases import Rule
from bench.cases.plan import Plan
from bench.cases.problem import Problem
from bench.tests.fakes import PROBE
from implementations import find_implementations

STYLES = find_implementations()


def seconds(style: str, **probe: float) -> float:
    one = STYLES[style]
    case = Case(style, "cpu", Problem(), framework=one.framework, oracle=one.oracle)
    return case_seconds(case, Plan("quick", {case: 3}, 3, {style: one}, rule=Rule(parts_s=None)), {**PROBE, **probe})


@given(st.floats(0.2, 5))
def test_a_style_that_imports_more_in_its_first_step_takes_that_much_longer(torch_seconds):
    more = seconds("torch_optim_sgd", torch_seconds=torch_seconds) - seconds("torch_nn", torch_seconds=torch_seconds)
    assert more == pytest.approx(0.8 * torch_seconds)


@given(st.floats(5, 100), st.floats(2, 4))  # by less, it may take less: there are whole iterations, and fewer of them
def test_a_much_slower_core_takes_longer_and_never_less_than_the_start(gflops, slower):
    assert seconds("numpy_manual", gflops=gflops / slower) > seconds("numpy_manual", gflops=gflops) > 0.2


def test_each_dtype_and_each_library_adds_to_the_ceilings():
    job = {
        "framework": "numpy", "device": "cpu", "precision": "ieee", "threads": 1, "dtypes": ["float32"],
        "small": [[64, 1000, 100, 10]], "largest": 2**24,
    }  # fmt: skip
    one = ceiling_seconds([job], PROBE)
    assert ceiling_seconds([{**job, "dtypes": ["float32", "float64"]}], PROBE) > one
    assert ceiling_seconds([job, {**job, "framework": "torch"}], PROBE) > 2 * one
    assert ceiling_seconds([{**job, "largest": 2**29}], PROBE) > one + 2


def test_a_style_whose_file_is_gone_can_still_be_forecast(tmp_path):
    gone = replace(STYLES["torch_nn"], source=tmp_path / "gone.py")
    case = Case("torch_nn", "cpu", Problem(), framework="torch")
    assert case_seconds(case, Plan("quick", {case: 3}, 3, {"torch_nn": gone}), PROBE) > 0
