"""The challenge: the same for who knows the seed, different for every seed, and within the data."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.cases.challenge import (
    AGAIN,
    BATCH_EVERY,
    EVERY,
    IMMUTABLE,
    OFTEN,
    changes,
    data_seed,
    flips,
    piece_lengths,
    pieces,
    program_flips,
    timed_flips,
)  # fmt: skip
from bench.cases.phases import Counts, Rule, Stretch, plan_counts
from bench.tests.fakes import a_case
from bench.verification.memory import FEW_FLIPS

SIDES = st.tuples(*[st.integers(1, 300)] * 4)
SEEDS = st.integers(0, 2**48)


@given(SIDES, SEEDS, st.integers(0, 10**6), st.integers(1, 200), st.booleans(), st.integers(0, 10))
def test_every_stretch_and_its_samples_begin_with_a_flip_and_every_flip_is_a_part_of_x(
    size, seed, first, count, batch, untimed
):
    case = a_case(size=size)
    untimed = min(untimed, count - 1)
    stretch = Stretch(first, untimed, count - untimed, batch)
    drawn = flips(case, stretch, seed)
    assert drawn == flips(case, stretch, seed)
    assert drawn[0].step == first
    assert first + untimed in {one.step for one in drawn}
    assert [one.step for one in drawn] == sorted({one.step for one in drawn})
    for one in drawn:
        assert first <= one.step < first + count
        assert 0 <= one.top < one.bottom <= size[0]
        assert 0 <= one.left < one.right <= size[1]


def test_two_seeds_flip_other_iterations_and_other_entries():
    stretch = Stretch(0, 0, 5000)
    one, other = (flips(a_case(size=(64, 1000, 100, 10)), stretch, seed) for seed in (1, 2))
    assert {flip.step for flip in one} != {flip.step for flip in other}
    assert one[0].place != other[0].place
    assert 5000 / EVERY / 1.6 < len(one) < 5000 / EVERY * 1.6


@given(st.integers(0, 2**40), st.integers(0, 50), st.integers(1, 400), st.integers(0, 20), st.integers(1, 5))
def test_a_stretch_is_cut_at_its_flips_into_pieces_that_are_all_of_it(seed, first, timed, untimed, ahead):
    stretch = Stretch(first, untimed * ahead, timed * ahead, batch=True)
    case = a_case(ahead=ahead)
    drawn, begin, end = flips(case, stretch, seed), first + stretch.untimed, first + stretch.count
    found = list(pieces(drawn, begin, end))
    assert [flip for flip, _ in found if flip] == [flip for flip in drawn if begin <= flip.step < end]
    starts = list(accumulate((length for _, length in found), initial=begin))
    assert starts[-1] == end
    assert all(flip is None or flip.step == start for (flip, _), start in zip(found, starts, strict=False))
    assert piece_lengths(case, stretch, seed) == [length for _, length in found]
    assert all(length % ahead == 0 and length > 0 for _, length in found)


@pytest.mark.parametrize("ahead", [1, 4])
def test_of_a_batchs_flips_a_third_are_followed_by_another_at_once(ahead):
    stretch = Stretch(0, 0, 50_000 * ahead, batch=True)
    lengths = piece_lengths(a_case(ahead=ahead), stretch, 5)
    assert len(lengths) == pytest.approx(50_000 / BATCH_EVERY * 1.5 * ahead, rel=0.15)
    assert lengths.count(ahead) / len(lengths) == pytest.approx(AGAIN, rel=0.15 if ahead == 1 else 0.5)


def test_a_batch_on_an_accelerator_is_not_interrupted_and_arrays_that_cannot_change_are_left_alone():
    stretch = Stretch(40, 0, 400, batch=True)
    assert [flip.step for flip in flips(a_case("torch_nn", "cuda:0", framework="torch"), stretch, 7)] == [40]
    assert len(flips(a_case(), stretch, 7)) > 1
    late = Stretch(40, 3, 400, batch=True)
    assert [flip.step for flip in flips(a_case("torch_nn", "cuda:0", framework="torch"), late, 7)] == [40, 43]
    for framework in IMMUTABLE:
        assert flips(a_case(framework=framework), stretch, 7) == []


@given(st.integers(1, 20), st.integers(1, 60), st.integers(1, 60), st.integers(1, 3), st.integers(0, 9))
def test_the_stretches_are_the_whole_timed_loop_in_order(settle, latency, batch, batches, segment):
    counts = Counts(settle, latency, batch, batches, segment, 2 if segment else 0)
    at = 0
    for one in counts.stretches:
        assert one.first == at
        at += one.count
    assert at == counts.steps
    samples = [t for one in counts.stretches if not one.batch for t in one.read]
    assert samples == list(range(settle + counts.sampling))
    assert counts.steps - 1 in counts.stretches[-1].read


def test_a_timed_loop_is_flipped_as_its_stretches_are():
    counts = Counts(2, 10, 7, 2, 5, 1)
    seeds = list(range(len(counts.stretches)))
    whole = timed_flips(a_case(), counts, seeds)
    each = [flips(a_case(), *one) for one in zip(counts.stretches, seeds, strict=True)]
    assert whole == [flip for one in each for flip in one]


def test_a_program_has_few_flips():
    assert 1 <= len(program_flips(a_case(), 500, 3)) < 25


@given(SEEDS, st.integers(1, 100))
def test_a_program_that_starts_several_iterations_at_once_is_flipped_before_it_starts_them(seed, ahead):
    steps = [flip.step for flip in program_flips(a_case(ahead=ahead), 500, seed)]
    assert steps[0] == 0
    assert {step % ahead for step in steps} == {0}


@pytest.mark.parametrize("changes_of", [{"threads": 2}, {"device": "cuda:0", "framework": "torch"}])
def test_of_several_threads_and_accelerators_every_other_pause_changes_nothing(changes_of):
    stretch, case = Stretch(0, 100, 40_000), a_case(**changes_of)
    drawn = flips(case, stretch, 11)
    assert len(changes(drawn)) == pytest.approx(40_000 / EVERY, rel=0.1)
    assert len(drawn) == pytest.approx(2 * len(changes(drawn)), rel=0.1)
    assert not {flip.step for flip in drawn if flip.twice} & {0, 100}
    whole = program_flips(case, 40_000, 12)
    assert len(whole) == pytest.approx(2 * len(changes(whole)), rel=0.15)
    assert not any(flip.twice for flip in flips(case, replace(stretch, batch=True), 11))
    assert not any(flip.twice for flip in flips(a_case(), stretch, 11))


@given(st.integers(8 * OFTEN, 500), st.sampled_from([{"threads": 3}, {"device": "cuda:0", "framework": "torch"}]))
@settings(max_examples=100)
def test_few_samples_too_come_after_enough_pauses_of_both_kinds(samples, changes_of):
    """Else nothing would be known of iterations that take some milliseconds."""
    stretch = Stretch(20, 0, samples)
    drawn = [flip for flip in flips(a_case(**changes_of), stretch, samples) if flip.step > stretch.first]
    assert len(drawn) == 2 * len(changes(drawn)) >= 2 * FEW_FLIPS
    assert len(drawn) <= samples / 2


@given(st.floats(1e3, 1e6), st.integers(2, 100))
def test_a_style_that_starts_several_iterations_at_once_does_so_often_enough_for_both_kinds(iteration_ns, ahead):
    counts = plan_counts(Rule(), iteration_ns, ahead=ahead)
    assert counts.latency % ahead == 0
    assert counts.latency >= 26 * ahead or counts.latency * iteration_ns >= 1e9 * Rule().limit_s - ahead * iteration_ns


def test_each_block_of_each_run_has_data_of_its_own():
    seeds = [data_seed(run, block) for run in ("1a2b3c4d", "5e6f7a8b") for block in range(50)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert data_seed("1a2b3c4d", 3) == seeds[3]
