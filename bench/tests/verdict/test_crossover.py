"""Tests of bench.verdict.crossover and bench.verdict.break_even: planted crossovers and starts are found again."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bench.cases.presets import SWEEP_SIZES, scaled
from bench.cases.problem import Problem
from bench.report.sheet import print_sheet
from bench.report.verdict_tables import break_even_sheet, iterations_cell
from bench.tests.planted import CPU_FLOPS_PER_US, SIDES, planted
from bench.tests.runs import evidence_of
from bench.verdict.break_even import Iterations, break_even, iterations_to_repay, repaid_after
from bench.verdict.claim import at_least
from bench.verdict.crossover import Crossover, first_reaching
from bench.verdict.intervals import t_quantile
from bench.verdict.judgement import Question, judgement_of

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
    found = judgement_of(evidence_of(table, machine={}), Question(at_least(50)))
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
    evidence = evidence_of(planted(FEW, noise=0.0, sizes=scaled(2)))
    speedup = next(one for one in evidence.speedups if one.baseline == "best-cpu" and one.contender[0:2] == GPU)
    found = break_even(evidence, speedup)
    assert found is not None
    saved_us = WORK[3] / CPU_FLOPS_PER_US - (100 + WORK[3] / SIDES[(*GPU, "float32", 1)][1])
    assert found.saved_us == pytest.approx(saved_us)
    assert (found.warm.low, found.warm.value, found.warm.high) == pytest.approx([0.19e6 / saved_us] * 3)
    assert found.cold.value == pytest.approx((0.19 + 1.9) * 1e6 / saved_us)


def test_the_table_says_whose_interval_it_is():
    evidence = evidence_of(planted(FEW, sizes=scaled(2)))
    found = [break_even(evidence, one) for one in evidence.speedups if one.baseline == "best-cpu"]
    table = break_even_sheet([one for one in found if one is not None])
    console = Console(width=150, file=io.StringIO())
    assert table is not None
    print_sheet(console, table)
    assert isinstance(console.file, io.StringIO)
    title, _headers, row, *_ = console.file.getvalue().splitlines()
    assert title.rstrip().endswith("iterations until the start is repaid, with Fieller's interval")
    assert row.count("[") == row.count("]") == 2


def test_what_saves_nothing_never_repays_and_what_costs_nothing_has_repaid():
    assert iterations_to_repay(1.0, -1.0) == math.inf
    assert iterations_to_repay(1.0, 0.0) == math.inf
    assert iterations_to_repay(-1.0, 5.0) == iterations_to_repay(-1.0, -5.0) == iterations_to_repay(0.0, 0.0) == 0
    assert math.isnan(iterations_to_repay(math.nan, 5.0))
    assert math.isnan(iterations_to_repay(-1.0, math.nan))
    assert iterations_to_repay(1.0, 1000.0) == 1000


def paired(extra, saved, blocks, seed, together=0.5):
    """Extra seconds and saved us of each block: means in standard deviations of a block, each of sd 1e-6 s and 1 us."""
    one, other = np.random.default_rng(seed).standard_normal((2, blocks))
    other = together * one + math.sqrt(1 - together**2) * other
    return ((extra + one) * 1e-6).tolist(), (saved + other).tolist()


samples = st.builds(
    paired, st.floats(-9, 9), st.floats(-9, 9), st.integers(2, 30), st.integers(0, 2**32), st.floats(-0.9, 0.9)
)
HIGH = 1e3  # as good as certain, in standard deviations of a block


@given(samples)
def test_the_interval_holds_the_estimate(sample):
    found = repaid_after(*sample)
    assert 0 <= found.low <= found.value <= found.high


@given(samples, st.integers(-20, 20))
def test_in_other_units_the_iterations_are_the_same(sample, power):
    extra, saved = ([2.0**power * one for one in side] for side in sample)
    assert repaid_after(extra, saved) == repaid_after(*sample)


@given(samples)
def test_at_an_end_of_the_interval_what_is_still_owed_is_at_the_edge_of_significance(sample):
    """Fieller's theorem backwards: a paired t-interval of extra - n * saved just touches 0 there."""
    extra, saved = np.array(sample[0]) * 1e6, np.array(sample[1])
    found = repaid_after(*sample)
    for end in (found.low, found.high):
        if 0 < end < math.inf:
            owed = extra - end * saved
            half = t_quantile(len(owed) - 1) * owed.std(ddof=1) / math.sqrt(len(owed))
            assert abs(owed.mean()) == pytest.approx(half, rel=1e-4, abs=1e-6 * (1 + end))


@given(samples)
def test_more_confidence_never_makes_the_interval_narrower(sample):
    extra, saved = sample
    usual, sure = (repaid_after(extra, saved, confidence) for confidence in (0.95, 0.99))
    assert sure.low <= usual.low * (1 + 1e-9)
    assert usual.high <= sure.high * (1 + 1e-9)


@pytest.mark.parametrize(
    ("extra", "saved", "low", "high"),
    [
        (0.0, HIGH, 0, "finite"),  # whether the start is dearer is open
        (HIGH, 0.0, "finite", math.inf),  # whether anything is saved is open
        (0.0, 0.0, 0, math.inf),
        (HIGH, -HIGH, math.inf, math.inf),
        (0.0, -HIGH, 0, math.inf),
        (-HIGH, HIGH, 0, 0),
        (-HIGH, 0.0, 0, 0),
        (-HIGH, -HIGH, 0, 0),
        (HIGH, HIGH, "finite", "finite"),
    ],
)
def test_what_is_not_significant_leaves_its_end_of_the_interval_open(extra, saved, low, high):
    found = repaid_after(*paired(extra, saved, blocks=10, seed=1))
    for end, expected in ((found.low, low), (found.high, high)):
        assert 0 < end < math.inf if expected == "finite" else end == expected


def test_blocks_without_any_spread_give_an_interval_of_no_width():
    for saved, expected in ((5.0, 2e5), (0.0, math.inf), (-5.0, math.inf), (0.1, 1e7)):
        found = repaid_after([1.0] * 3, [saved] * 3)
        assert (found.low, found.high) == pytest.approx((expected, expected))


def test_one_block_has_an_estimate_without_an_interval_and_an_unknown_time_no_estimate():
    for extra, saved, value in (([1.0], [1000.0], 1000), ([1.0], [-1.0], math.inf), ([], [], math.nan)):
        found = repaid_after(extra, saved)
        assert found.value == pytest.approx(value, nan_ok=True)
        assert math.isnan(found.low)
        assert math.isnan(found.high)
    unknown = repaid_after([1.0, math.nan], [5.0, 5.0])
    assert all(map(math.isnan, (unknown.value, unknown.low, unknown.high)))


@pytest.mark.parametrize(
    ("extra", "saved", "together"), [(6.0, 3.0, 0.5), (6.0, 3.0, -0.5), (3.0, 0.3, 0.0), (0.2, 3.0, 0.5)]
)
def test_the_interval_covers_the_truth_as_often_as_it_says(extra, saved, together):
    truth, times = extra / saved, 4000
    found = [repaid_after(*paired(extra, saved, 10, seed, together)) for seed in range(times)]
    assert sum(one.low <= truth <= one.high for one in found) / times == pytest.approx(0.95, abs=0.01)


def test_a_contender_that_never_repays_is_seldom_said_to_repay():
    found = [repaid_after(*paired(6.0, -0.2, 10, seed)) for seed in range(2000)]
    assert sum(math.isinf(one.high) for one in found) / len(found) >= 0.97


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Iterations(10.2, 9.0, 11.5), "11 [9, 12]"),
        (Iterations(10.0, 9.0, math.inf), "10 [9, never]"),
        (Iterations(math.inf, 9.0, math.inf), "never [9, never]"),
        (Iterations(math.inf, math.inf, math.inf), "never"),
        (Iterations(0.0, 0.0, 0.0), "0 [0, 0]"),
        (Iterations(10.0, math.nan, math.nan), "10 [?]"),
        (Iterations(math.nan, math.nan, math.nan), "unknown"),
    ],
)
def test_an_end_that_is_never_reached_is_a_word(found, words):
    cell = iterations_cell(found)
    assert f"{cell.text} {cell.small}".rstrip() == words


def test_a_start_that_was_not_measured_gives_no_break_even():
    table = planted(FEW, sizes=scaled(2))
    table.loc[table["device"] == "cuda:0", "transfer_seconds"] = math.nan
    evidence = evidence_of(table)
    speedup = next(one for one in evidence.speedups if one.contender[0:2] == GPU)
    assert break_even(evidence, speedup) is None
