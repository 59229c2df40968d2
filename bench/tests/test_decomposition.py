"""Tests of bench.decomposition: the product is the headline, and no link is invented."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.decomposition import DEVICE, DTYPE, FRAMEWORK, LAUNCH, PAGE_FAULTS, THREADS, decompose
from bench.evidence import gather
from bench.problem import TUTORIAL_SIZE
from bench.tests.planted import SIDES, planted

HERE = [TUTORIAL_SIZE]
ALL = tuple(SIDES)


def without(*gone: tuple[str, str, str, int]):
    return [side for side in ALL if side not in gone]


@settings(max_examples=20)
@given(st.sets(st.sampled_from(ALL), min_size=1), st.integers(1, 3))
def test_the_factors_multiply_to_the_headline_whatever_was_measured(sides, blocks):
    table = planted(sorted(sides), HERE, blocks)
    found = decompose(gather(table))
    if ("numpy_manual", "cpu", "float64", 1) not in sides:
        assert found is None
    elif found is not None:
        assert math.prod(factor for _, factor in found.waterfall()) == pytest.approx(found.headline.value, rel=1e-12)
        measured = {side[:3] for side in sides}
        assert all(one.after[:3] in measured and one.before[:3] in measured for one in found.factors)
        assert all(one.after == other.before for one, other in zip(found.factors, found.factors[1:], strict=False))


def test_the_planted_factors_are_found():
    found = decompose(gather(planted(sizes=HERE, noise=0.0)))
    assert found is not None
    factors = dict(found.waterfall())
    assert factors[PAGE_FAULTS] == pytest.approx(2.5)
    assert factors[DTYPE] == pytest.approx(2.0)
    assert factors[f"{THREADS} + {FRAMEWORK}"] == pytest.approx(0.8)
    assert factors[LAUNCH] == pytest.approx(1.0)
    assert found.unmeasured == (THREADS,)
    assert found.on_gpu


def test_without_a_gpu_it_ends_at_the_best_cpu_and_says_so():
    found = decompose(gather(planted([side for side in ALL if side[1] == "cpu"], HERE)))
    assert found is not None
    assert not found.on_gpu
    assert found.end[:2] == ("numpy_in_place", "cpu")
    assert found.unmeasured == (THREADS, DEVICE, LAUNCH)


def test_a_link_that_was_not_measured_is_merged_into_the_next_under_both_names():
    found = decompose(gather(planted(without(("numpy_in_place", "cpu", "float64", 1)), HERE)))
    assert found is not None
    assert found.waterfall()[0][0] == f"{PAGE_FAULTS} + {DTYPE}"
    assert PAGE_FAULTS in found.unmeasured


def test_a_last_link_that_was_not_measured_is_left_out():
    found = decompose(gather(planted(without(("torch_autograd", "cuda:0", "float32", 1)), HERE)))
    assert found is not None
    assert found.waterfall()[-1][0] == DEVICE
    assert LAUNCH in found.unmeasured


def test_blocks_that_a_case_lacks_are_left_out_of_every_factor():
    table = planted(sizes=HERE)
    table = table[~((table["device"] == "cuda:0") & (table["block"] > 1))]
    found = decompose(gather(table))
    assert found is not None
    assert {one.ratio.blocks for one in found.factors} == {2}


def test_cases_without_a_common_block_still_multiply_but_have_no_interval():
    table = planted(sizes=HERE, blocks=2)
    gpu = table["device"] == "cuda:0"
    found = decompose(gather(table[gpu == (table["block"] == 1)]))
    assert found is not None
    assert math.prod(factor for _, factor in found.waterfall()) == pytest.approx(found.headline.value, rel=1e-12)
    assert math.isnan(found.headline.low)


def test_a_noisy_case_is_told():
    table = planted(sizes=HERE)
    table.loc[table["style"] == "numpy_manual", "noisy"] = True
    found = decompose(gather(table))
    assert found is not None
    assert found.noisy
