"""Tests of bench.verdict.claim and bench.verdict.evidence: what may support a claim, and what never does."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cases.presets import SWEEP_SIZES
from bench.cases.problem import TUTORIAL_SIZE, Problem, Size
from bench.errors import UsageError
from bench.machine.ceilings import Ceiling
from bench.tests.planted import SIDES, planted
from bench.tests.runs import evidence_of
from bench.verdict.claim import (
    REFUTED,
    SUPPORTED,
    UNDECIDED,
    UNTESTED,
    Finding,
    Verdict,
    at_least,
    fastest,
    find_one,
    often,
    verdict_on,
)
from bench.verdict.contenders import BEST_GPU, known_contender
from bench.verdict.ratios.intervals import Ratio, paired_ratio
from bench.verdict.ratios.speedup import PRIMARY

CLAIM = at_least(None)
LARGEST = SWEEP_SIZES[-1]
GPU = ("torch_tensors", "cuda:0", "float32", 1)
AUTOGRAD = ("torch_autograd", "cuda:0", "float32", 1)
times = st.lists(st.floats(1e-2, 1e8), min_size=2, max_size=8)
pairs = times.flatmap(
    lambda one: st.tuples(st.just(one), st.lists(st.floats(1e-2, 1e8), min_size=len(one), max_size=len(one)))
)
anything = st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=6)


def two_sizes() -> pd.DataFrame:
    return planted(sizes=[TUTORIAL_SIZE, LARGEST])


def one_size() -> pd.DataFrame:
    return planted(sizes=[LARGEST])


def of_side(table: pd.DataFrame, side: tuple[str, str, str, int], size: tuple[int, ...] = LARGEST) -> pd.Series:
    style, device, dtype, threads = side
    same = (table["style"] == style) & (table["device"] == device) & (table["dtype"] == dtype)
    return same & (table["threads"] == threads) & (table["n"] == size[0])


def verdict(table: pd.DataFrame, size: Size = LARGEST, baseline: str = PRIMARY) -> Verdict:
    return find_one(evidence_of(table), CLAIM, size, baseline, BEST_GPU, "iteration").verdict


@given(pairs)
def test_swapping_baseline_and_contender_inverts_ratio_and_interval(pair):
    one, other = pair
    there, back = paired_ratio(one, other), paired_ratio(other, one)
    assert there.value * back.value == pytest.approx(1)
    assert there.blocks == back.blocks
    if there.low > 0 and there.high < math.inf:
        assert (there.low, there.high) == pytest.approx((1 / back.high, 1 / back.low))


@given(pairs, st.floats(1e-3, 1e3))
def test_scaling_both_sides_leaves_ratio_and_interval(pair, factor):
    one, other = pair
    before = paired_ratio(one, other)
    after = paired_ratio([factor * us for us in one], [factor * us for us in other])
    assert math.log(after.value) == pytest.approx(math.log(before.value), abs=1e-9)
    if before.low > 0 and before.high < math.inf:
        assert (math.log(after.low), math.log(after.high)) == pytest.approx(
            (math.log(before.low), math.log(before.high)), abs=1e-6
        )


@given(anything, anything, st.sampled_from([0.5, 1.0, 50.0]), st.sampled_from([math.nan, 0.0, -1.0, math.inf]))
def test_a_time_that_is_no_time_never_supports(one, other, threshold, bad):
    blocks = min(len(one), len(other))
    with np.errstate(all="ignore"):
        ratio = paired_ratio([bad, *one[:blocks]], [*other[:blocks], 1.0])
    assert verdict_on(ratio, threshold).outcome == UNDECIDED


@given(st.floats(1e-2, 1e8), st.floats(1e-2, 1e8), st.floats(1e-3, 1e3))
def test_one_block_never_supports(before, after, threshold):
    assert verdict_on(paired_ratio([before], [after]), threshold) == Verdict(UNDECIDED, "one block has no interval")


@given(st.floats(1e-2, 1e8), st.floats(1e-2, 1e8), st.integers(2, 12), st.floats(1e-3, 1e3))
def test_times_that_are_all_equal_never_support(before, after, blocks, threshold):
    assert verdict_on(paired_ratio([before] * blocks, [after] * blocks), threshold).outcome != SUPPORTED


@given(times, st.floats(1e-3, 1.0))
def test_equal_times_on_both_sides_never_support(series, threshold):
    assert verdict_on(paired_ratio(series, series), threshold).outcome != SUPPORTED


@given(st.floats(), st.floats(), st.floats(), st.integers(0, 10), st.floats(1e-3, 1e3))
def test_supported_means_that_the_whole_interval_is_there(value, low, high, blocks, threshold):
    outcome = verdict_on(Ratio(value, low, high, blocks), threshold).outcome
    assert outcome in (SUPPORTED, REFUTED, UNDECIDED)
    if outcome == SUPPORTED:
        assert threshold <= low <= value <= high < math.inf
    if outcome == REFUTED:
        assert high < threshold


def test_the_bounds_decide_and_the_threshold_itself_supports():
    assert verdict_on(Ratio(60, 50, 70, 5), 50).outcome == SUPPORTED
    assert verdict_on(Ratio(49, 48, 49.9, 5), 50).outcome == REFUTED
    assert verdict_on(Ratio(50, 49, 51, 5), 50) == Verdict(UNDECIDED, "the interval holds 50x")
    assert verdict_on(Ratio(60, 55, 65, 5), 50, "noisy") == Verdict(UNDECIDED, "noisy")
    assert verdict_on(Ratio(10, 9, 11, 5), 50, "noisy").outcome == REFUTED


def test_a_planted_fast_gpu_is_supported_where_it_is_fast_and_refuted_where_not():
    table = two_sizes()
    assert verdict(table).outcome == SUPPORTED
    assert verdict(table, TUTORIAL_SIZE).outcome == REFUTED


def test_without_a_gpu_a_size_is_untested_and_says_why():
    table = planted([side for side in SIDES if side[1] == "cpu"], [LARGEST])
    found = verdict(table)
    assert found.outcome == UNTESTED
    assert found.reason.startswith("no best-gpu was measured; at most ")
    table = one_size()
    gpu = table["device"] == "cuda:0"
    table.loc[gpu, ["status", "reason"]] = ["skipped", "no CUDA device"]
    assert verdict(table).outcome == UNTESTED
    assert "torch_tensors cuda:0 float32 skipped in 5 of 5 blocks: no CUDA device" in verdict(table).reason


def test_a_case_that_was_wrong_in_one_block_has_no_part_in_any_finding():
    table = one_size()
    bad = of_side(table, GPU) & (table["block"] == 0)
    table.loc[bad, ["status", "reason"]] = ["wrong", "the weights differ"]
    found = find_one(evidence_of(table), CLAIM, LARGEST, PRIMARY, BEST_GPU, "iteration")
    assert found.speedup is not None
    assert found.speedup.contender[0] == "torch_autograd"
    table = table[~of_side(table, AUTOGRAD)]
    assert verdict(table).outcome == UNTESTED
    assert "wrong in 1 of 5 blocks: the weights differ" in verdict(table).reason


def test_a_wrong_cpu_case_is_no_baseline():
    table = one_size()
    table.loc[of_side(table, ("numpy_in_place", "cpu", "float32", 1)), "status"] = "wrong"
    found = find_one(evidence_of(table), CLAIM, LARGEST, PRIMARY, BEST_GPU, "iteration")
    assert found.baseline_case is not None
    assert found.baseline_case[0] == "torch_tensors"


@pytest.mark.parametrize("side", [GPU, ("numpy_in_place", "cpu", "float32", 1)])
def test_noise_is_no_veto_but_is_said(side):
    table = one_size()
    quiet = verdict(table)
    table.loc[of_side(table, side), "noisy"] = True
    assert verdict(table) == Verdict(SUPPORTED, f"{quiet.reason}, though most blocks are noisy")


@pytest.mark.parametrize("status", ["crashed", "timeout", "oom", "failed"])
def test_a_contender_that_broke_in_one_block_never_supports(status):
    table = one_size()
    table.loc[of_side(table, GPU) & (table["block"] == 1), ["status", "reason"]] = [status, "it broke"]
    assert verdict(table) == Verdict(UNDECIDED, f"torch_tensors cuda:0 float32 {status} in 1 of 5 blocks: it broke")


def test_a_missing_cpu_case_that_may_be_the_faster_baseline_leaves_it_undecided():
    table = one_size()
    table.loc[of_side(table, ("numpy_in_place", "cpu", "float32", 1)), ["status", "reason"]] = ["crashed", "signal 11"]
    found = verdict(table)
    assert found.outcome == UNDECIDED
    assert "numpy_in_place cpu float32 1 thread crashed" in found.reason
    assert "may be the faster baseline" in found.reason


TORCH = ("torch_tensors", "cpu", "float32", 1)
BROKEN = ["crashed", "signal 11"]


@pytest.mark.parametrize("baseline", ["numpy-1", "tutorial-1"])
def test_a_failed_cpu_case_that_could_not_be_the_baseline_stands_against_nothing(baseline):
    table = one_size()
    quiet = verdict(table, baseline=baseline)
    assert quiet.outcome == SUPPORTED
    table.loc[of_side(table, TORCH), ["status", "reason"]] = BROKEN
    assert verdict(table, baseline=baseline) == quiet


def test_a_cpu_case_that_failed_in_some_blocks_is_a_candidate_in_the_others_and_no_veto():
    table = one_size()
    quiet = verdict(table)
    table.loc[of_side(table, TORCH) & (table["block"] < 2), ["status", "reason"]] = BROKEN
    assert verdict(table).outcome == quiet.outcome == SUPPORTED


@pytest.mark.parametrize(("gflops_over_enough", "outcome"), [(0.99, SUPPORTED), (1.01, UNDECIDED)])
def test_a_failed_cpu_case_vetoes_only_where_its_products_alone_could_be_so_fast(gflops_over_enough, outcome):
    table = one_size()
    found = find_one(evidence_of(table), CLAIM, LARGEST, PRIMARY, BEST_GPU, "iteration")
    assert found.speedup is not None
    table.loc[of_side(table, TORCH), ["status", "reason"]] = BROKEN
    deciding_us = CLAIM.threshold * found.speedup.baseline_us / found.speedup.ratio.low
    gflops = gflops_over_enough * Problem(*LARGEST).product_flops / deciding_us / 1e3
    ceiling = Ceiling("gemm", "torch", "cpu", "float32", "ieee", 1, gflops=gflops)
    evidence = evidence_of(table, machine={"ceilings": [ceiling.row()]})
    assert find_one(evidence, CLAIM, LARGEST, PRIMARY, BEST_GPU, "iteration").verdict.outcome == outcome


def test_adam_is_no_contender():
    table = one_size()
    table.loc[table["device"] == "cuda:0", "oracle"] = "adam"
    assert verdict(table, baseline="own").outcome == UNTESTED
    assert evidence_of(table).contenders == ()


def test_a_baseline_or_scope_that_was_not_measured_is_named():
    table = one_size()
    assert verdict(table, baseline="tutorial").reason == "the baseline tutorial was not measured at this size"
    table["program_seconds"] = math.nan
    found = find_one(evidence_of(table), CLAIM, LARGEST, PRIMARY, BEST_GPU, "program")
    assert found.verdict.reason == "the baseline best-cpu was not measured in the scope program"


def finding(size: Size, outcome: str) -> Finding:
    return Finding(size, PRIMARY, "iteration", None, None, math.nan, Verdict(outcome))


@pytest.mark.parametrize(
    ("outcomes", "often_true"),
    [
        ([SUPPORTED] * 3 + [REFUTED] * 3, SUPPORTED),
        ([SUPPORTED] * 2 + [REFUTED] * 4, REFUTED),
        ([SUPPORTED] * 2 + [REFUTED] * 3 + [UNDECIDED], UNDECIDED),
        ([UNDECIDED] * 2 + [REFUTED] * 4, REFUTED),
        ([REFUTED], UNDECIDED),
        ([UNTESTED] * 6, UNTESTED),
        ([], UNTESTED),
    ],
)
def test_often_means_half_of_a_fixed_grid_and_unmeasured_sizes_decide_nothing(outcomes, often_true):
    found = [finding(size, outcome) for size, outcome in zip(SWEEP_SIZES, outcomes, strict=False)]
    assert often(found).outcome == often_true


@pytest.mark.parametrize("outcome", [SUPPORTED, REFUTED, UNDECIDED])
def test_sizes_outside_the_grid_decide_nothing_and_are_named_where_they_are_all_there_is(outcome):
    beyond = [finding(Size(1, 2, 3, size), outcome) for size in range(1, 20)]
    assert often(beyond).outcome == UNDECIDED
    assert f"of others 19 {outcome}" in often(beyond).reason
    grid = [finding(size, REFUTED) for size in SWEEP_SIZES]
    assert often([*beyond, *grid]) == often(grid)
    assert often([finding(Size(1, 2, 3, 4), UNTESTED)]).outcome == UNTESTED


@pytest.mark.parametrize("threshold", [0.0, -1.0, math.nan, math.inf])
def test_a_threshold_that_is_none_is_refused(threshold):
    with pytest.raises(UsageError, match="--at-least"):
        at_least(threshold)


def test_an_unknown_contender_is_refused_with_those_that_there_are():
    with pytest.raises(UsageError, match="numpy_manual, torch_autograd, torch_tensors, or one"):
        known_contender(planted(sizes=[TUTORIAL_SIZE]), "torch_optm")


@given(st.integers(1, 4), st.integers(1, 4), st.integers(3, 8), st.integers(0, 10**6))
def test_the_best_of_several_has_room_for_the_choice_and_of_one_needs_none(gpus, cpus, blocks, seed):
    """Tied cases, so that which one is the fastest is luck."""
    draw = np.random.default_rng(seed)
    sides = [("numpy_in_place", "cpu", "float32", 1), ("torch_tensors", "cuda:0", "float32", 1)]
    tables = []
    for side, count in zip(sides, (cpus, gpus), strict=True):
        for number in range(count):
            table = planted([side], sizes=(LARGEST,), blocks=blocks, noise=0.01, seed=int(draw.integers(2**31)))
            tables.append(table.assign(style=f"{side[0]}_{number}"))
    evidence = evidence_of(pd.concat(tables, ignore_index=True))
    found = evidence.against(LARGEST, PRIMARY, BEST_GPU, "iteration")
    shown = min(found, key=lambda one: one.contender_us)
    ratio = evidence.best_ratio(LARGEST, PRIMARY, found, "iteration", shown)
    assert ratio.low <= shown.ratio.low <= shown.ratio.value <= shown.ratio.high <= ratio.high
    assert (ratio == shown.ratio) or gpus * cpus > 1


def test_a_case_that_was_measured_in_one_block_alone_leaves_the_best_its_interval():
    slow, fast = ("numpy_in_place", "cpu", "float32", 1), ("torch_tensors", "cuda:0", "float32", 1)
    whole = planted([slow, fast], sizes=(LARGEST,), blocks=6)
    once = planted([slow, fast], sizes=(LARGEST,), blocks=1, seed=9)
    evidence = evidence_of(pd.concat([whole, once.assign(style=once["style"] + "_once")], ignore_index=True))
    found = evidence.against(LARGEST, PRIMARY, BEST_GPU, "iteration")
    shown = next(one for one in found if one.contender.style == "torch_tensors")
    assert len(found) == 2
    assert evidence.best_ratio(LARGEST, PRIMARY, found, "iteration", shown).low > 0


@pytest.mark.parametrize(("lucky", "most", "first_look", "wins"), [
    (1, 10, math.inf, False), (4, 10, math.inf, False), (5, 10, math.inf, True), (5, 20, 5, True), (2, 20, 5, False),
    (1, 1, math.inf, True),
])  # fmt: skip
def test_a_contender_has_at_least_half_the_blocks_that_the_best_measured_has(lucky, most, first_look, wins):
    (sound, *_) = evidence_of(two_sizes()).against(LARGEST, PRIMARY, BEST_GPU, "iteration")
    sound = replace(sound, ratio=replace(sound.ratio, blocks=most))
    fast = replace(sound, contender_us=sound.contender_us / 3, ratio=replace(sound.ratio, blocks=lucky))
    assert fastest([sound, fast], first_look) is (fast if wins else sound)
