"""Experiments drawn from pools whose truth is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.simulation.drift import BLOCKS, COUNTS
from bench.tests.validation.pools import TRULY, make_pool
from bench.validation.acceptance import COVERAGE
from bench.validation.experiments import (
    block_groups,
    bootstrapped,
    calculated,
    identical,
    narrowed,
    planted,
    sequential,
    sequential_in_drift,
    share,
    twins,
    unlike,
)
from bench.verdict.ratios.intervals import Ratio


@pytest.mark.parametrize("changes", [{}, {"drift": 0.05}, {"heavy": True}, {"outliers": 0.03}, {"referenced": True}])
@pytest.mark.parametrize("blocks", COUNTS)
def test_paired_intervals_cover_the_truth_as_often_as_they_say(changes, blocks):
    found = identical(make_pool(blocks=300, **changes), 2000, seed=3, blocks=blocks)
    assert len(found) >= 2000
    assert COVERAGE[0] - 0.01 <= share([one.holds for one in found]) <= COVERAGE[1] + 0.01


def test_the_coverage_of_a_small_pool_is_as_good_as_that_of_a_large_one():
    for seed in range(6):
        found = identical(make_pool(blocks=25, copies=(4, 2, 2, 2), seed=seed), 2000, seed=0)
        assert COVERAGE[0] <= share([one.holds for one in found]) <= COVERAGE[1]
        assert {one.baseline for one in found} == {f"style_{index}-1" for index in range(4)}


@pytest.mark.parametrize("blocks", COUNTS)
def test_two_unlike_styles_keep_their_ratio_of_the_whole_pool(blocks):
    found = unlike(make_pool(blocks=24, copies=(4, 2, 2)), 2000, seed=1, blocks=blocks)
    assert 0.92 <= share([one.holds for one in found]) <= 0.98
    assert {round(one.truth, 1) for one in found} == {0.6, 0.7, 0.8}


@pytest.mark.parametrize("seed", range(3))
def test_noisy_processes_are_no_part_of_what_two_styles_truly_differ_by(seed):
    """Of 18 blocks with one process in 25 disturbed: held as often as undisturbed ones, but not against their mean."""
    pool = make_pool(blocks=18, copies=(4, 2, 2, 2), outliers=0.04, seed=seed)
    held, against_all = (
        share([one.holds for one in unlike(which, 2000, seed)])
        for which in (pool, replace(pool, noisy=pool.noisy & False))
    )
    assert held > 0.92
    assert against_all < held - 0.03


def test_a_ratio_against_a_pool_of_its_own_blocks_alone_says_nothing():
    assert unlike(make_pool(blocks=BLOCKS, copies=(2, 2)), 200, seed=0) == []


@given(st.floats(0.1, 10), st.floats(0, 0.5), st.floats(0, 1))
def test_an_interval_is_narrowed_in_logarithms(value, half, factor):
    found = narrowed(Ratio(value, value * math.exp(-half), value * math.exp(half), 9), factor)
    assert math.log(found.high / found.low) == pytest.approx(2 * half * factor, abs=1e-9)
    assert found.low * found.high == pytest.approx(value**2)


def test_a_copy_that_is_slower_for_good_is_found_out_and_copies_that_are_alike_are_not():
    assert all(one.holds for one in twins(make_pool(copies=(3, 2))))
    pool = make_pool(copies=(3, 2))
    uneven = replace(pool, medians_us=pool.medians_us * [1, 1.01, 1, 1, 1])
    assert {one.holds for one in twins(uneven)} == {True, False}


def test_sequential_runs_fail_under_drift_and_hold_without():
    assert share([one.holds for one in sequential(make_pool(drift=0.03))]) < 0.6
    steady = make_pool(blocks=300)
    assert share([one.holds for one in sequential(steady)]) > 0.9
    assert share([one.holds for one in sequential_in_drift(steady, seed=0)]) < 0.6


@pytest.mark.parametrize(("process_sd", "low", "high"), [(0.01, 0.0, 0.3), (0.0, 0.9, 1.0)])
def test_a_bootstrap_over_iterations_fails_because_of_the_spread_between_processes(process_sd, low, high):
    random = np.random.default_rng(0)
    samples = {
        (block, copy): 265 * np.exp(process_sd * random.standard_normal() + 0.01 * random.standard_normal(200))
        for block in range(20)
        for copy in ("A1", "A2", "A3")
    }
    found = bootstrapped(samples, seed=0)
    assert len(found) == 60
    assert low <= share([one.holds for one in found]) <= high


def test_calculated_slowdowns_are_found_and_none_is_found_where_there_is_none():
    pool = make_pool(blocks=100, sd=0.005)
    assert share([one.found_slower for one in calculated(pool, 5, 200, 0)]) == 1
    assert share([one.found_slower for one in calculated(pool, 0, 200, 0)]) < 0.06


def test_a_plant_is_held_against_the_truth_of_the_very_processes_in_its_blocks():
    pool = make_pool(blocks=40, sd=0.0, plants=(("work-2", 5.3),))
    truths = {block: TRULY * (1 + block / 1e6) for block in range(5, 35)}
    found = planted(pool, "work-2", truths, 200, 0)
    assert len(found) >= 200
    assert all(one.ratio.value == pytest.approx(1 / TRULY) for one in found)
    assert len({one.truth for one in found}) > 20
    assert planted(pool, "work-2", dict(list(truths.items())[:9]), 200, 0) == []


@given(st.integers(10, 45), st.integers(1, 12), st.integers(0, 5))
def test_groups_of_a_round_share_no_block(of, groups, seed):
    first = list(block_groups(of, BLOCKS, np.random.default_rng(seed), of // BLOCKS))
    together = [int(block) for _number, group in first for block in group]
    assert len(together) == len(set(together)) == BLOCKS * (of // BLOCKS)
    assert [number for number, _group in first] == list(range(of // BLOCKS))
