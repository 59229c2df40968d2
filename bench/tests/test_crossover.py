"""Tests of bench.crossover and bench.breakeven: planted crossovers and starts are found again."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.breakeven import break_even, iterations_to_repay
from bench.claim import at_least
from bench.crossover import Crossover, first_reaching
from bench.evidence import gather
from bench.judgement import Question, judge_run
from bench.plan import SWEEP_SIZES, scaled
from bench.problem import Problem
from bench.tests.planted import CPU_FLOPS_PER_US, SIDES, planted

WORK = [float(Problem(*size).flops) for size in SWEEP_SIZES]
CPU = ("numpy_in_place", "cpu", "float32", 1)
GPU, SLOWER = ("torch_tensors", "cuda:0"), ("torch_autograd", "cuda:0")
FEW = (CPU, (*GPU, "float32", 1))
RATIO_AT_INFINITY = 200.0  # of the planted GPU over the planted CPU
ratios = st.lists(st.floats(1e-3, 1e3), min_size=6, max_size=6)


def planted_crossover(target: float, launch_us: float) -> float:
    """F with F / c = target * (launch + F / g), from the planted rates."""
    return target * launch_us / (1 / CPU_FLOPS_PER_US * (1 - target / RATIO_AT_INFINITY))


def crossovers(table, contender: str) -> dict[float, Crossover]:
    found = judge_run(table, {}, Question(at_least(50)))
    return {one.target: one for one in found.crossovers if one.contender == contender}


@pytest.mark.parametrize("seed", range(2))
def test_a_planted_crossover_is_recovered_within_five_percent_at_1x_10x_and_50x(seed):
    found = crossovers(planted(FEW, noise=0.01, blocks=10, seed=seed), "best-gpu")
    for target in (1.0, 10.0, 50.0):
        one = found[target]
        assert one.flops == pytest.approx(planted_crossover(target, 100.0), rel=0.05)
        assert one.flops is not None
        assert one.low is not None
        assert one.high is not None
        assert one.low <= one.flops <= one.high


def test_a_slower_launch_moves_the_crossover_of_its_own_contender():
    found = crossovers(planted([CPU, (*SLOWER, "float32", 1)]), " ".join([*SLOWER, "float32"]))
    assert found[50.0].flops == pytest.approx(planted_crossover(50.0, 200.0), rel=0.05)


@given(st.floats(60, 400), st.floats(1e7, 1e9), st.sampled_from([1.0, 10.0, 50.0]))
def test_the_spline_follows_the_bend_of_launch_and_work_on_the_sweeps_grid(limit, knee, target):
    truth = target * knee / (limit - target)
    if not WORK[0] < truth < WORK[-1]:
        return
    curve = [limit * work / (work + knee) for work in WORK]
    assert first_reaching(WORK, curve, target) == pytest.approx(truth, rel=0.06)


@given(ratios, st.floats(1e-2, 1e2))
def test_the_place_lies_between_the_last_size_below_and_the_first_that_reaches(values, target):
    at = first_reaching(WORK, values, target)
    index = next((index for index, value in enumerate(values) if value >= target), None)
    if index is None:
        assert at is None
    else:
        assert at is not None
        assert WORK[max(0, index - 1)] * (1 - 1e-9) <= at <= WORK[index] * (1 + 1e-9)


def test_what_is_never_reached_has_no_place():
    found = crossovers(planted(FEW, sizes=scaled(0.25, 0.5)), "best-gpu")[50.0]
    assert (found.flops, found.low, found.high) == (None, None, None)


def test_what_the_smallest_size_reaches_already_is_no_crossover():
    found = crossovers(planted(FEW, sizes=scaled(4, 8)), "best-gpu")[1.0]
    assert found.already
    assert found.flops == found.smallest


def test_one_block_gives_a_place_without_an_interval():
    found = crossovers(planted(FEW, blocks=1), "best-gpu")[50.0]
    assert found.flops is not None
    assert (found.low, found.high) == (None, None)


def test_the_planted_start_is_repaid_after_the_planted_iterations():
    evidence = gather(planted(FEW, noise=0.0, sizes=scaled(2)))
    speedup = next(one for one in evidence.speedups if one.baseline == "best-cpu" and one.contender[0:2] == GPU)
    found = break_even(evidence, speedup)
    assert found is not None
    saved_us = WORK[3] / CPU_FLOPS_PER_US - (100 + WORK[3] / SIDES[(*GPU, "float32", 1)][1])
    assert found.saved_us == pytest.approx(saved_us)
    assert found.warm.value == pytest.approx(0.19e6 / saved_us)
    assert found.cold.value == pytest.approx((0.19 + 1.9) * 1e6 / saved_us)


def test_a_slower_contender_never_repays_its_start():
    assert iterations_to_repay(1.0, -1.0) == math.inf
    assert iterations_to_repay(1.0, 0.0) == math.inf
    assert iterations_to_repay(-1.0, 5.0) == 0
    assert math.isnan(iterations_to_repay(math.nan, 5.0))
    assert iterations_to_repay(1.0, 1000.0) == 1000


def test_a_start_that_was_not_measured_gives_no_break_even():
    table = planted(FEW, sizes=scaled(2))
    table.loc[table["device"] == "cuda:0", "transfer_seconds"] = math.nan
    evidence = gather(table)
    speedup = next(one for one in evidence.speedups if one.contender[0:2] == GPU)
    assert break_even(evidence, speedup) is None
