"""A start from cold is read from whole programs where they were run, alike on both sides of a pair."""

from __future__ import annotations

import math
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cases.problem import TUTORIAL_SIZE
from bench.tests.planted import planted
from bench.verdict.break_even import between, iterations_to_repay, start_of

CPU, GPU = ("numpy_in_place", "cpu", "float32", 1), ("torch_tensors", "cuda:0", "float32", 1)
seconds = st.floats(1e-3, 10)
latencies = st.floats(1.0, 1e6)


def side(side, imports, latency_us, programs=None):
    """A case in as many blocks as it has imports: its transfer takes 10 ms, its first call 20 ms and an iteration."""
    rows = planted([side], sizes=[TUTORIAL_SIZE], blocks=len(imports))
    return rows.assign(
        import_seconds=imports, transfer_seconds=0.01, first_iteration_seconds=0.02 + latency_us / 1e6,
        latency_median_us=latency_us, program_seconds=math.nan if programs is None else programs,
    )  # fmt: skip


@given(st.lists(st.tuples(seconds, seconds), min_size=1, max_size=5), latencies)
def test_after_500_iterations_a_case_has_taken_what_its_whole_program_took(blocks, latency_us):
    imports, programs = zip(*blocks, strict=True)
    one = start_of(side(CPU, imports, latency_us, programs))
    assert one is not None
    assert one.whole
    assert one.total(500) == pytest.approx(fmean(programs))
    assert one.total(501) - one.total(500) == pytest.approx(latency_us / 1e6, rel=1e-3)


@given(st.lists(seconds, min_size=1, max_size=5), latencies)
def test_without_a_program_a_start_is_the_sum_of_its_parts(imports, latency_us):
    one = start_of(side(CPU, imports, latency_us))
    assert one is not None
    assert not one.whole
    assert one.total(1) == pytest.approx(fmean(imports) + 0.03 + latency_us / 1e6)


@given(
    st.lists(st.tuples(seconds, seconds, seconds, seconds), min_size=1, max_size=5), latencies, latencies,
    st.booleans(),
)  # fmt: skip
def test_at_a_cold_break_even_both_sides_have_taken_as_long(blocks, us_before, us_after, whole):
    imports_before, imports_after, *programs = zip(*blocks, strict=True)
    run = programs if whole else (None, None)
    before, after = side(CPU, imports_before, us_before, run[0]), side(GPU, imports_after, us_after, run[1])
    found = between(before, after)
    assert found is not None
    assert found.whole == whole
    one, other = start_of(before), start_of(after)
    assert one is not None
    assert other is not None
    if 0 < found.cold.value < math.inf:
        assert one.total(found.cold.value) == pytest.approx(other.total(found.cold.value), rel=1e-6)


def test_a_whole_program_on_one_side_alone_is_not_held_against_a_sum_of_parts():
    before, after = side(CPU, [0.1] * 3, 500.0, [9.0] * 3), side(GPU, [1.1] * 3, 100.0)
    found = between(before, after)
    assert found is not None
    assert not found.whole
    assert found.cold.value == pytest.approx(iterations_to_repay(1.0, 400.0))


def test_only_the_blocks_with_both_programs_count_for_the_cold_break_even():
    nan = math.nan
    before, after = side(CPU, [0.1] * 3, 500.0, [0.5, 0.5, nan]), side(GPU, [9.0] * 3, 100.0, [2.1, nan, 0.1])
    found = between(before, after)
    assert found is not None
    assert (found.whole, found.blocks) == (True, 3)
    assert found.cold.value == pytest.approx(iterations_to_repay(2.1 - 0.05 - (0.5 - 0.25), 400.0))


def test_a_case_whose_start_was_not_timed_has_none():
    rows = side(CPU, [math.nan, math.nan], 100.0, [1.0, 1.0])
    assert start_of(rows) is None
    assert between(rows, side(GPU, [1.0, 1.0], 10.0)) is None
