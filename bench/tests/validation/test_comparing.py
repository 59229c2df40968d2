"""Comparisons drawn from the pool: equal code is rarely called, a plant is found, and all as `compare` itself says."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from bench.simulation.drift import BLOCKS
from bench.tests.runs import NUMPY, TORCH, write_run
from bench.tests.validation.pools import make_pool
from bench.validation.comparing import CASES, called, compared, drawn, judge_comparisons
from bench.verdict.comparison import compare

FEW = 60


@pytest.mark.parametrize("heavy", [False, True])
def test_equal_code_is_called_in_few_comparisons_and_five_percent_is_found(heavy):
    pool = make_pool(blocks=24, copies=(3, 2, 2, 2), heavy=heavy, referenced=True, seed=heavy)
    false, found = judge_comparisons(pool, 0, FEW)
    assert float(false.got.rstrip("%")) <= 5 + 300 * math.sqrt(0.05 * 0.95 / FEW)
    assert float(found.got.rstrip("%")) >= 90
    assert (false.n, found.n) == (FEW, FEW)


def test_what_noise_hides_is_found_in_quiet_processes_and_the_note_says_how_often_in_all():
    pool = make_pool(blocks=24, copies=(3, 2), outliers=0.1, referenced=True)
    false, found = judge_comparisons(pool, 0, FEW)
    assert float(false.got.rstrip("%")) <= 5 + 300 * math.sqrt(0.05 * 0.95 / FEW)
    in_all = float(found.note.rpartition(": ")[2].rstrip("%"))
    assert in_all < 80 < 90 < float(found.got.rstrip("%"))
    assert f"from all ({pool.noisy.mean():.1%} did not)" in found.note


def test_a_change_between_the_halves_of_the_pool_is_said():
    pool = make_pool(blocks=24, copies=(3, 2), referenced=True)
    later = np.where(np.arange(24) < 12, 1.0, 1.1)[:, None]
    for name, words in (("wall_us", "0 called, as timed 5"), ("per_reference", "5 called")):
        changed = replace(pool, **{"wall_us": pool.medians_us, name: pool.medians_us * later})
        assert (
            f"of 5 copies in the pool's first half against its second {words}"
            in judge_comparisons(changed, 0, 1)[0].note
        )


def test_a_pool_of_few_blocks_compares_nothing():
    assert [one.met for one in judge_comparisons(make_pool(blocks=4), 0)] == [None, None]


def test_where_every_process_is_noisy_a_false_call_is_judged_and_how_often_a_plant_is_found_is_only_said():
    pool = make_pool(blocks=24, copies=(3, 2), outliers=1.0, referenced=True)
    assert pool.noisy.all()
    false, found = judge_comparisons(pool, 0, FEW)
    assert float(false.got.rstrip("%")) <= 5 + 300 * math.sqrt(0.05 * 0.95 / FEW)
    assert (found.met, found.got, found.n) == (None, "", 0)
    assert re.fullmatch(r"of a style 0 processes .*, takes 5; from all \(100.0% did not\): [\d.]+%", found.note)


@pytest.mark.parametrize("seed", range(4))
def test_what_is_said_of_times_is_what_compare_says_of_runs_that_have_them(tmp_path, seed):
    random = np.random.default_rng(seed)
    sides = [np.exp(0.01 * random.standard_normal((2, BLOCKS))) * [[100], [100 * (1 + shift)]] for shift in (0, 0.03)]
    cases = NUMPY, TORCH
    runs = [
        write_run(tmp_path / name, {case: side[at] for case, side in zip(cases, sides, strict=True)}, run_id=name)
        for at, name in enumerate("ab")
    ]
    said = compare(*runs).cases
    found = compared([tuple(side) for side in sides])
    assert [one.outcome for one in found] == [one.outcome for one in said]
    assert [one.ratio.value for one in found] == pytest.approx([one.ratio.value for one in said], rel=1e-4)
    assert [one.p for one in found] == pytest.approx([one.p for one in said], rel=1e-2)


def test_every_comparison_has_as_many_cases_and_the_first_alone_is_slower():
    pool = make_pool(blocks=24, copies=(3, 2), sd=1e-4)
    found = drawn(pool, np.random.default_rng(0), 1.05)
    assert len(found) == CASES
    assert [one.outcome == "slower" for one in found] == [True] + [False] * (CASES - 1)
    assert called(found) == 1
