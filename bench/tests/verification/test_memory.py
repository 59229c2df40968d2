"""What a judgement takes in memory, against what is asked of the machine before."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cases.case import Case
from bench.cases.problem import Problem, judge_bytes, stable_learning_rate
from bench.timing.given import Trained
from bench.verification import gate

OTHERWISE = 2**20  # bytes of what a library loads the first time, and of lists


@pytest.mark.parametrize("oracle", ["sgd", "adam", "dynamic"])
@given(st.sampled_from(["float32", "float64", "bfloat16"]), *(st.integers(1, 400) for _ in range(4)))
def test_a_judgement_takes_no_more_memory_than_was_asked_for_and_not_much_less(oracle, dtype, n, d_in, hidden, d_out):
    size = (n, d_in, hidden, d_out)
    problem = Problem(*size, dtype, stable_learning_rate(size, oracle))
    case = Case("", "cpu", problem, framework="numpy", oracle=oracle)
    arrays = problem.arrays()
    tracemalloc.start()
    try:
        expected = gate.opening(case, arrays)
        right = expected.reference
        losses = {step: 1.5 * float(loss) for step, loss in enumerate(right.losses)}
        gate.timed_deviations(expected, Trained(losses, right.weights), expected.steps)
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert taken <= judge_bytes(problem, oracle) + OTHERWISE
    assert judge_bytes(problem, oracle) <= 4 * taken + OTHERWISE
