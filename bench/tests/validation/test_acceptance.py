"""The acceptance table: what is met, what is missed, and what was not tested."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.commands.validate import sentence
from bench.tests.validation.pools import TRULY, make_pool
from bench.validation.acceptance import (
    judge,
    judge_bias,
    judge_coverage,
    judge_slow_first,
)
from bench.validation.experiments import identical, run_experiments
from bench.validation.peers.agreement import Tool, judge_agreement
from bench.validation.pool import SlowFirst

PLANTS = (("work-5", 13.25), ("work-2", 5.3), ("work-1", 2.65))


def truths_of(pool, plants=PLANTS):
    return {name: dict.fromkeys(range(pool.blocks), 1 + cost_us / 265) for name, cost_us in plants}


def test_a_real_plant_is_found_with_its_true_size():
    pool = make_pool(sd=0.003, plants=PLANTS)
    for name, ratios in truths_of(pool).items():
        check = judge_bias(name, {name: ratios}, pool)
        assert check.met
        assert "points" in check.got
    assert judge_bias("all", truths_of(pool), pool).met


def test_a_harness_that_sees_half_of_a_plant_is_reported():
    pool = make_pool(sd=0.003, plants=(("work-2", 2.65),))
    assert judge_bias("work-2", {"work-2": dict.fromkeys(range(60), TRULY)}, pool).met is False


def test_a_bias_that_the_noise_hides_is_neither_met_nor_missed():
    pool = make_pool(blocks=12, sd=0.03, plants=(("work-2", 5.3),), seed=2)
    check = judge_bias("work-2", {"work-2": dict.fromkeys(range(12), TRULY)}, pool)
    assert check.met is None
    assert check.note.startswith("too noisy")


def test_every_line_of_the_acceptance_table_is_judged():
    pool = make_pool(blocks=300, copies=(4, 2), sd=0.005, plants=PLANTS, drift=0.03)
    samples = {(0, copy): 265 + shift + np.random.default_rng(0).random(50) for shift, copy in enumerate("AB")}
    truths = truths_of(pool)
    checks = judge(pool, run_experiments(pool, samples, truths, 200, 0), truths)
    names = [check.experiment for check in checks]
    assert len(names) == len(set(names)) == 20
    assert {check.experiment for check in checks if check.met is not True} == set()
    assert sentence(checks) == "20 of 20 met"


def test_a_pool_of_too_few_blocks_is_untested_not_met():
    pool = make_pool(blocks=2)
    checks = judge(pool, run_experiments(pool, {}, {}, 200, 0), {})
    assert all(check.met is None for check in checks if not check.experiment.startswith("copies of a case"))
    assert checks[0].row()["met"] == "untested"
    assert "2 whole blocks, takes 20" in checks[0].note
    assert sentence(checks[:1]) == "0 of 0 met; 1 untested"


def test_coverage_of_too_few_experiments_is_untested():
    found = identical(make_pool(blocks=300), 400, seed=3)
    assert judge_coverage("", 10, found, "").met
    assert judge_coverage("", 10, found[:199], "").met is None


@pytest.mark.parametrize(("pairs", "met"), [(2, None), (4, None), (5, False), (24, False)])
def test_another_tool_that_was_asked_only_a_few_times_misses_nothing(pairs, met):
    assert judge_agreement("pyperf", Tool("pyperf", 1.067, "ratio", pairs), 0.02).met is met
    assert judge_agreement("pyperf", Tool("pyperf", 1.013, "ratio", pairs), 0.02).met is True


@pytest.mark.parametrize(
    "change",
    [{"slow_iterations": [5] * 3}, {"slow_us": [300.0, 301.0, 302.0]}, {"first_s": [0.3, 2.0, 2.0]}, {"slow_us": []}],
)
def test_a_first_call_that_changes_something_or_was_not_slow_is_not_met(change):
    slow = SlowFirst([265.0, 266.0, 267.0], [265.1, 266.1, 267.0], [500] * 6, [500] * 3, [2.0, 2.1, 2.0])
    assert judge_slow_first(slow).met
    assert judge_slow_first(replace(slow, **change)).met is not True


@pytest.mark.parametrize(
    ("slow_us", "met"),
    [([265.1, 266.1, 267.0, 266.0], True), ([276.0, 276.5, 278.0, 277.0], False), ([268.0, 280.0, 266.0, 275.0], None)],
)
def test_a_first_call_is_missed_only_by_an_interval_that_excludes_the_limit(slow_us, met):
    slow = SlowFirst(slow_us, [265.0, 266.0, 267.0, 266.0], [500] * 8, [500] * 4, [2.0, 2.1, 2.0, 2.0])
    assert judge_slow_first(slow).met is met
