"""Tests of bench.verdict.crossover and bench.verdict.break_even: planted crossovers and starts are found again."""

from __future__ import annotations

import io
import math
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bench.cases.case import CaseKey
from bench.cases.presets import SWEEP_SIZES, scaled
from bench.cases.problem import TUTORIAL_SIZE, Problem
from bench.report.sheet import print_sheet
from bench.report.verdict_tables import break_even_sheet, iterations_cell
from bench.tests.planted import CPU_FLOPS_PER_US, SIDES, planted
from bench.tests.runs import evidence_of
from bench.verdict.break_even import Drift, Iterations, break_even, iterations_to_repay, repaid_after
from bench.verdict.claim import at_least
from bench.verdict.crossover import Crossover, _between, crossover, first_reaching, sizes_at
from bench.verdict.judgement import Question, judgement_of
from bench.verdict.ratios.intervals import Ratio, half_width, of_drift, paired_ratio, t_quantile
from bench.verdict.ratios.joined import averaged
from bench.verdict.ratios.speedup import Speedup

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


def speedup(ratio: Ratio) -> Speedup:
    case = CaseKey("a", "cuda:0", "float32", "ieee", 1, *TUTORIAL_SIZE)
    return Speedup(case, "best-cpu", case, "iteration", ratio, 1.0, 1.0, False, "clean")


def place(target, work, values, wide=1.0) -> Crossover:
    """The crossover of ratios whose intervals reach `wide` times up and down, one factor or one a size."""
    factors = wide if isinstance(wide, list) else [wide] * len(work)
    found = [speedup(Ratio(one, one / by, one * by, 10)) for one, by in zip(values, factors, strict=True)]
    return crossover("a", "best-cpu", target, found, work)


def ends(one: Crossover) -> tuple[float, float]:
    """Its interval, an open end as 0 or infinity; of what is not even perhaps reached both ends are infinity."""
    nowhere = math.inf if one.flops is None else 0.0
    return (nowhere if one.low is None else one.low), (math.inf if one.high is None else one.high)


worlds = st.lists(  # sizes however uneven, ratios that rise and fall
    st.tuples(st.integers(10**5, 10**11), st.floats(1e-2, 1e3), st.floats(1.001, 1.5)), min_size=1, max_size=8
).map(lambda rows: tuple(map(list, zip(*rows, strict=True))))
targets = st.floats(1e-1, 1e2)


@given(st.floats(60, 400), st.floats(1e7, 1e9), st.sampled_from([1.0, 10.0, 50.0]))
def test_the_interval_holds_the_bend_of_launch_and_work_on_the_sweeps_grid(limit, knee, target):
    truth = target * knee / (limit - target)
    if not WORK[0] < truth < WORK[-1]:
        return
    found = place(target, WORK, [limit * work / (work + knee) for work in WORK])
    assert found.flops == pytest.approx(truth, rel=0.15)
    low, high = ends(found)
    assert low <= truth <= high


@given(worlds, targets, st.floats(0.1, 10))
def test_all_speedups_and_the_target_times_a_number_cross_at_the_same_place(world, target, times):
    work, values, wide = world
    one, other = place(target, work, values, wide), place(target * times, work, [times * v for v in values], wide)
    if any(abs(math.log(v * by / target)) < 1e-9 for v in values for by in (1, *wide, *(1 / w for w in wide))):
        return  # at the target to the last digit: either side is right
    assert (one.flops is None) == (other.flops is None)
    assert (one.flops or 0) == pytest.approx(other.flops or 0, rel=1e-6)
    assert ends(one) == pytest.approx(ends(other), rel=1e-3)


@given(worlds, targets)
def test_the_interval_holds_the_estimate_which_is_within_what_was_measured(world, target):
    found = place(target, *world)
    if found.flops is not None:
        low, high = ends(found)
        assert low <= found.flops <= high
        assert min(world[0]) <= found.flops <= max(world[0])


@given(worlds, targets, st.floats(1, 2))
def test_wider_intervals_of_the_speedups_never_make_the_crossovers_narrower(world, target, times):
    work, values, wide = world
    one, other = place(target, work, values, wide), place(target, work, values, [times * by for by in wide])
    assert ends(other)[0] <= ends(one)[0] * (1 + 1e-9)
    assert ends(one)[1] <= ends(other)[1] * (1 + 1e-9)


@given(st.integers(0, 2**32), st.integers(3, 10), st.floats(0, 1))
def test_between_two_sizes_errors_of_their_own_average_out_and_a_shared_drift_stays(seed, blocks, drifts):
    """At the middle: the half-width of the mean of both series, with the drift in both."""
    draw = np.random.default_rng(seed)
    drift = 0.05 * drifts * draw.standard_normal(blocks)
    sizes = [drift + 0.01 * draw.standard_normal(blocks) for _ in range(2)]
    found = [paired_ratio(np.exp(one), np.ones(blocks), drift=drift) for one in sizes]
    x = np.array([0.0, 1.0])
    apart = averaged(x, found, np.array([0.0, 0.5, 1.0]))
    half = [math.log(one.high / one.low) / 2 for one in found]
    (allowed, _), (seen, freedom) = (of_drift(blocks, read=read) for read in (True, False))
    shared = found[0].shared * seen / allowed  # as long a memory as was seen
    ends = [half_width([one.own, shared], [blocks - 1, freedom]) for one in found]
    assert apart[[0, 2]] == pytest.approx([end / each for end, each in zip(ends, half, strict=True)])
    parts = [found[0].own / 4, found[1].own / 4, shared]
    wanted = min(half_width(parts, [blocks - 1, blocks - 1, freedom]), sum(ends) / 2) / np.mean(half)
    assert apart[1] == pytest.approx(wanted)


def test_what_nobody_knows_the_parts_of_is_joined_as_if_it_were_shared():
    ratios = [Ratio(1.0, 0.9, 1.1, 5), Ratio(1.0, 0.8, 1.2, 5)]
    assert (averaged(np.array([0.0, 1.0]), ratios, np.linspace(0, 1, 5)) == 1).all()


@given(worlds, targets, st.randoms())
def test_the_order_in_which_sizes_were_measured_changes_nothing(world, target, random):
    rows = list(zip(*world, strict=True))
    random.shuffle(rows)
    one, other = place(target, *world), place(target, *map(list, zip(*rows, strict=True)))
    assert (one.flops or 0) == pytest.approx(other.flops or 0)
    assert ends(one) == pytest.approx(ends(other), rel=1e-6)


@given(st.integers(0, 2**32))
def test_between_uneven_sizes_the_curve_never_leaves_its_neighbours(seed):
    draw = np.random.default_rng(seed)
    x = np.cumsum(np.exp(draw.uniform(-3, 1.5, 7)))
    y = draw.normal(0, 2, 7)
    places, curve, missed = _between(x, y)
    gap = np.minimum(np.searchsorted(x, places, side="right") - 1, len(x) - 2)
    assert (curve >= np.minimum(y[gap], y[gap + 1]) - 1e-9).all()
    assert (curve <= np.maximum(y[gap], y[gap + 1]) + 1e-9).all()
    assert missed[np.isin(places, x)] == pytest.approx(0, abs=1e-6)


def test_where_the_speedup_falls_again_the_first_place_counts():
    found = place(10.0, WORK, [1, 5, 20, 5, 5, 20], 1.01)
    assert found.flops is not None
    assert WORK[1] < found.flops < WORK[2]
    assert found.high is not None
    assert found.high < WORK[2]


def test_a_first_summit_that_may_not_reach_the_target_leaves_the_interval_open_to_the_second():
    found = place(10.0, WORK, [1, 5, 10.5, 5, 5, 20], 1.1)
    low, high = ends(found)
    assert WORK[1] < low < WORK[2]
    assert WORK[4] < high < WORK[5]


def test_a_summit_that_may_reach_the_target_is_a_perhaps():
    found = place(10.0, WORK, [1, 5, 9.5, 5, 3, 2], 1.1)
    assert (found.flops, found.high) == (None, None)
    assert found.low is not None
    assert WORK[1] < found.low < WORK[2]


@given(st.floats(0.1, 10), st.floats(0.1, 10), targets)
def test_sizes_of_equal_work_are_one_with_the_geometric_mean_of_their_ratios(one, other, target):
    work, between = [1e6, 1e8, 1e8, 1e10], math.sqrt(one * other)
    if abs(math.log(between / target)) < 1e-9:
        return
    found = place(target, work, [0.05, one, other, 500], 1.1)
    alone = place(target, [1e6, 1e8, 1e10], [0.05, between, 500], 1.1)
    assert found.flops == pytest.approx(alone.flops, rel=1e-6)
    assert ends(found)[0] <= ends(alone)[0] * (1 + 1e-9)
    assert first_reaching(work, [0.05, one, other, 500], target) == pytest.approx(alone.flops, rel=1e-6)


@given(st.floats(0.01, 0.9), st.floats(1.1, 100))
def test_between_two_sizes_the_place_lies_on_a_straight_line(below, above):
    found = place(1.0, [1e6, 1e9], [below, above])
    share = math.log(below) / (math.log(below) - math.log(above))
    assert found.flops == pytest.approx(1e6 * 1e3**share, rel=1e-6)
    assert found.flops is not None
    assert ends(found)[0] < found.flops < ends(found)[1]


@pytest.mark.parametrize(("value", "flops", "already"), [(2.0, 1e6, True), (0.5, None, False)])
def test_one_size_says_only_on_which_side_of_it_the_place_is(value, flops, already):
    found = place(1.0, [1e6], [value], 1.01)
    assert (found.flops, found.already, found.low) == (flops, already, None)
    assert found.high == (1e6 if already else None)


def test_an_unknown_interval_opens_both_ends_and_an_unknown_speedup_is_left_out():
    ratios = [Ratio(0.5, 0.4, 0.6, 3), Ratio(2.0, math.nan, math.nan, 1), Ratio(math.nan, math.nan, math.nan, 0)]
    found = crossover("a", "b", 1.0, [speedup(one) for one in ratios], [10**6, 10**8, 10**9])
    assert found.flops == pytest.approx(1e7)
    assert (found.low, found.high, found.largest) == (None, None, 1e8)


@given(worlds, targets)
def test_what_is_measured_next_lies_around_the_estimate_and_within_what_was_measured(world, target):
    found = place(target, *world)
    sizes, place_at = sizes_at(found), found.flops or math.nan
    assert len(sizes) <= 2
    assert not sizes or (found.flops is not None and not found.already)
    for size in sizes:
        work = Problem(*size).flops
        assert found.smallest * 0.9 < work < found.largest * 1.1  # up to the rounding of the sides
        assert 1 / 2.2 < work / place_at < 2.2
        assert size[1] == pytest.approx(10 * size[2], rel=0.1)  # the tutorial's shape


def test_two_sizes_more_at_the_estimate_narrow_its_interval():
    def at(works):
        return [200 * work / (work + 1e9) for work in works]

    first = place(50.0, WORK, at(WORK), 1.01)
    more = [*WORK, *(float(Problem(*size).flops) for size in sizes_at(first))]
    second = place(50.0, more, at(more), 1.01)
    assert len(more) == len(WORK) + 2
    assert ends(second)[1] / ends(second)[0] < (ends(first)[1] / ends(first)[0]) ** 0.5
    assert ends(second)[0] < 1e9 / 3 < ends(second)[1]


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
    assert "iterations until the start is repaid, with Fieller's interval" in title
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


@pytest.mark.parametrize("blocks", [3, 6, 10])
@pytest.mark.parametrize("read", [True, False])
@pytest.mark.parametrize("on_cpu", ["baseline", "contender"])
def test_a_drift_of_the_cpu_alone_is_in_the_interval(blocks, read, on_cpu):
    """sd 4.2% with a lag-1 correlation of 0.67; starts are the CPU's on both sides, of iterations only one side's."""
    random, held, times = np.random.default_rng(blocks), 0, 600
    for _ in range(times):
        steps = random.standard_normal(blocks)
        slow = np.array(list(accumulate(steps, lambda before, step: 0.67 * before + math.sqrt(1 - 0.67**2) * step)))
        slow, noise = 0.042 * slow, 0.01 * random.standard_normal((3, blocks))
        cpu, gpu, extra = np.exp(slow + noise[0]), np.exp(noise[1]), np.exp(slow + noise[2])
        saved = 200 * cpu - 100 * gpu if on_cpu == "baseline" else 200 * gpu - 100 * cpu
        gain = 200.0 if on_cpu == "baseline" else -100.0
        found = repaid_after(extra.tolist(), saved.tolist(), drift=Drift(slow if read else slow * math.nan, gain))
        held += found.low <= 1e4 <= found.high
    assert held / times >= 0.95


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
