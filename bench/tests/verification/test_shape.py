"""What samples say against each other: fake times, no style, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, pairwise, repeat
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from bench.cases.challenge import Flip, piece_lengths, timed_flips
from bench.cases.measurement import Job
from bench.cases.phases import Counts
from bench.machine.core_speed import Reading
from bench.machine.witness import Record, Seen
from bench.tests.fakes import BRIEF, a_batch, a_case, a_style
from bench.timing.clock import Batch
from bench.timing.counters import Counters
from bench.timing.loops import Timed
from bench.verification.memory import FEW_FLIPS, SLACK_NS, Places, by_chance, over_pause
from bench.verification.shape import DOUBTFUL, IMPOSSIBLE, LIGHTEST, LUMPY_BATCH, STARVED, STRETCH_S, Shape

READING = Reading(30.0, 30.0)
COUNTS = Counts(settle=5, latency=200, batch=1200, batches=3, segment=20, resettle=4)
READINGS = (READING,) * len(COUNTS.stretches)
NOTHING = (0,) * len(COUNTS.stretches)  # between samples
FACTORS = st.floats(0.4, 3.0)


def seen(counts: Counts, seed: int, each_ns: int) -> tuple[Record, list[int]]:
    """A witness of stretches in which every iteration takes `each_ns`, and the iterations right after a flip."""
    record = Record(seed, helpers_s=lambda: 0.0)
    for number, one in enumerate(counts.stretches):
        seconds = one.count * each_ns / 1e9 + STRETCH_S
        counted_s = one.timed * each_ns / 1e9 + STRETCH_S
        record.seen.append(Seen(one.first, one.count, seed + number, seconds, seconds, [], (counted_s, counted_s)))
    flips = timed_flips(a_case(), counts, [one.seed for one in record.seen])
    return record, [flip.step for flip in flips]


def steps_of(counts: Counts) -> list[int]:
    """The iterations that are samples."""
    return [
        step
        for one in counts.stretches
        if not one.batch
        for step in range(one.first + one.untimed, one.first + one.count)
    ]


def batches(record: Record, each_ns: float, probe: float = 1.0) -> tuple[Batch, ...]:
    """The batches of COUNTS, those iterations that are timed alone in them so many times as long."""
    pairs = zip(COUNTS.stretches, record.seen, strict=True)
    return tuple(a_batch(a_case(), one, watched.seed, each_ns, probe) for one, watched in pairs if one.batch)


def shape(
    each_ns: int, seed: int, *, after: float = 1.0, batch: float = 1.0, batch_work: float | None = None, cycle: int = 1,
    lumps: float = 1.0, cpu: float | None = None, slow: float = 1.0, slow_from: float = 1.0, probe: float = 1.0,
    **changes: Any,
) -> Shape:  # fmt: skip
    """Of a loop whose iterations take `each_ns`, but for those in question so many times that.

    `slow`: samples from that part of them on take so many times as long. `lumps`: a sample of each stretch, and none
    right after a flip, does so much that the mean is as many times the middle. `probe`: those timed alone in a batch.
    """
    record, flipped = seen(COUNTS, seed, each_ns)
    heavy = {
        next(step for step in range(one.first + one.untimed, one.first + one.count) if step not in flipped)
        for one in COUNTS.stretches
        if one.timed and not one.batch
    }
    ns = [
        each_ns * (after if step in flipped else 1.0) + (each_ns * (lumps - 1) * COUNTS.segment) * (step in heavy)
        for step in steps_of(COUNTS)
    ]
    ns = [one * (slow if at >= slow_from * len(ns) else 1.0) for at, one in enumerate(ns)]
    for stretch, watched in zip(COUNTS.stretches, record.seen, strict=True):
        if stretch.batch:
            worked_s = stretch.timed * each_ns / 1e9 * (batch if batch_work is None else batch_work) + STRETCH_S
            watched.counted_s = worked_s, worked_s
    if cpu is not None:
        for one in record.seen:
            wall_s, cpu_s = one.counted_s or (0.0, 0.0)
            one.counted_s = wall_s, cpu_s * cpu
    timed = Timed(
        COUNTS,
        tuple(map(int, ns)),
        tuple(int(one.untimed * each_ns) for one in COUNTS.stretches),
        NOTHING,
        batches(record, each_ns * batch, probe),
        READINGS,
        Counters(1.0, 1.0, 0, 0, 10**6),
    )
    return Shape.of(Job(a_case(**changes), replace(a_style(), cycle=cycle), BRIEF), timed, record)


@settings(max_examples=25)
@given(st.integers(10_000, 10**9), st.integers(0, 2**40))
def test_a_loop_whose_iterations_are_alike_has_no_fault(each_ns, seed):
    found = shape(each_ns, seed)
    assert list(found.faults()) == []
    assert found.lump == pytest.approx(1.0, abs=0.15)  # by CPU time, of which flips have their allowance
    assert found.batch == pytest.approx(1.0, abs=0.03)  # the same


@settings(max_examples=25)
@given(st.integers(10_000, 10**9), st.integers(0, 2**40), FACTORS)
def test_an_iteration_that_is_dear_right_after_x_changed_remembers_x(each_ns, seed, factor):
    found = shape(each_ns, seed, after=factor)
    share = factor - SLACK_NS / each_ns
    if abs(share - IMPOSSIBLE.remembers) > 0.01:
        assert any("right after x changed" in fault for fault in found.faults()) == (share > IMPOSSIBLE.remembers)


@settings(max_examples=25)
@given(st.integers(10_000, 10**9), st.integers(0, 2**40), FACTORS, st.floats(0.4, 1.0))
def test_an_iteration_that_is_dear_right_after_x_changed_in_batches_alone_remembers_x_there(each_ns, seed, dear, batch):
    found = shape(each_ns, seed, batch=batch, probe=dear)
    share = dear - SLACK_NS / each_ns / batch
    assert found.after_flip == pytest.approx(1.0 - SLACK_NS / each_ns)
    assert found.after_flip_in_batch == pytest.approx(share, rel=0.01, abs=0.01)
    if abs(share - IMPOSSIBLE.remembers) > 0.02:
        assert any("in a batch an iteration" in why for why in found.faults()) == (share > IMPOSSIBLE.remembers)


@settings(max_examples=25)
@given(st.integers(10_000, 10**9), st.integers(0, 2**40), st.floats(0.1, 1.0), st.floats(1.0, 30.0))
def test_work_that_is_another_in_a_batch_shows_in_the_part_that_had_the_core_for_itself(each_ns, seed, light, waited):
    record, _flipped = seen(COUNTS, seed, each_ns)
    found = []
    for one in batches(record, each_ns * light):
        longest = max(one.pieces_ns)
        ns = tuple(piece if piece == longest else int(piece * waited) for piece in one.pieces_ns)
        found.append(replace(one, elapsed_ns=sum(ns), pieces_ns=ns))
    timed = Timed(COUNTS, (each_ns,) * COUNTS.latency, tuple(one.untimed * each_ns for one in COUNTS.stretches),
                  NOTHING, tuple(found), READINGS, Counters(1.0, 1.0, 0, 0, 10**6))  # fmt: skip
    told = Shape.of(Job(a_case(), a_style(), BRIEF), timed, record)
    assert told.lightest == pytest.approx(light, rel=0.01)
    if abs(light - LIGHTEST) > 0.01:
        assert any("in a part of a batch" in why for why in told.faults()) == (light < LIGHTEST)


@settings(max_examples=25)
@given(st.integers(10_000, 10**9), st.integers(0, 2**40), FACTORS)
def test_a_batch_that_waited_for_its_core_is_as_light_as_its_work(each_ns, seed, factor):
    found = shape(each_ns, seed, batch=3.0, batch_work=factor)
    if each_ns > 10**6 and abs(factor - IMPOSSIBLE.light) > 0.02:
        assert any("where nobody reads its loss" in fault for fault in found.faults()) == (factor < IMPOSSIBLE.light)


@settings(max_examples=25)
@given(st.integers(10_000, 10**9), st.integers(0, 2**40), FACTORS)
def test_a_batch_may_not_be_lighter_than_its_iterations_alone(each_ns, seed, factor):
    found = shape(each_ns, seed, batch=factor)
    if abs(factor - IMPOSSIBLE.light) > 0.01:
        assert any("where nobody reads its loss" in fault for fault in found.faults()) == (factor < IMPOSSIBLE.light)


@settings(max_examples=25)
@given(
    st.integers(10_000, 10**9), st.integers(0, 2**40), st.floats(0.1, 1.0), st.floats(1.0, 2.5), st.floats(0.15, 0.45)
)
def test_a_core_that_was_slow_in_most_samples_and_not_in_the_batch_accuses_nobody(each_ns, seed, batch, slow, part):
    """A neighbour on the same core: an honest batch is as fast as the fastest samples in a row, a light one lighter."""
    found = shape(each_ns, seed, batch=batch, slow=slow, slow_from=part)
    share = batch * each_ns
    if abs(share - IMPOSSIBLE.light * each_ns) > 0.01 * each_ns:
        assert any("where nobody reads its loss" in fault for fault in found.faults()) == (batch < IMPOSSIBLE.light)
    assert any("where nobody reads its loss" in fault for fault in found.faults(DOUBTFUL)) or (
        batch / slow >= DOUBTFUL.light * 0.99
    )


@settings(max_examples=25)
@given(st.integers(100_000, 10**9), st.integers(0, 2**40), st.floats(1.0, 5.0))
def test_work_at_once_for_many_iterations_is_a_lump_in_every_stretch(each_ns, seed, lumps):
    found = shape(each_ns, seed, lumps=lumps, cpu=6.0)
    if not 1.6 < lumps < 2.3:  # a chunk holds one or two of them
        assert any("in the mean:" in fault for fault in found.faults()) == (lumps > IMPOSSIBLE.lumpy)


@settings(max_examples=25)
@given(st.integers(100_000, 10**9), st.integers(0, 2**40), st.floats(1.0, 5.0))
def test_a_process_that_waits_for_its_core_is_not_at_work(each_ns, seed, lumps):
    assert list(shape(each_ns, seed, lumps=lumps, cpu=1.0).faults()) == []


@given(st.floats(0.1, 1.0), st.floats(1.0, 3.0))
def test_who_had_its_core_for_a_part_of_the_time_may_be_lumpier(at_work, lump):
    found = Shape(100.0, lump=lump, at_work=at_work)
    assert bool(list(found.faults(DOUBTFUL))) == (lump >= (DOUBTFUL.lumpy if at_work >= STARVED else LUMPY_BATCH))
    assert bool(list(found.faults())) == (lump >= LUMPY_BATCH)


@given(st.integers(0, 2**40), st.integers(2, 4), st.integers(0, 10**6))
def test_a_style_whose_iterations_differ_in_turn_is_held_against_the_same_place_of_its_cycle(seed, cycle, chance):
    record, flipped = seen(COUNTS, seed, 1_000_000)
    weights = [Random(chance).uniform(0.5, 2.0) for _ in range(cycle)]
    ns = tuple(int(1_000_000 * weights[step % cycle]) for step in steps_of(COUNTS))
    timed = Timed(COUNTS, ns, tuple(one.untimed * 1_000_000 for one in COUNTS.stretches),
                  NOTHING, by_place(record, weights), READINGS, Counters(1.0, 1.0, 0, 0, 10**6))  # fmt: skip
    found = Shape.of(Job(a_case(), replace(a_style(), cycle=cycle), BRIEF), timed, record)
    assert len(set(flipped) & set(steps_of(COUNTS))) >= 8
    assert found.after_flip == pytest.approx(1.0, abs=0.01)
    assert found.after_flip_in_batch == pytest.approx(1.0, abs=0.01)


def by_place(record: Record, weights: Sequence[float]) -> tuple[Batch, ...]:
    """The batches of COUNTS, whose iterations take a millisecond times the weight of their place in a cycle."""
    found = []
    for one, watched in zip(COUNTS.stretches, record.seen, strict=True):
        if one.batch:
            at, ns = one.first + one.untimed, []
            for length in piece_lengths(a_case(), one, watched.seed):
                ns.append(sum(int(1_000_000 * weights[step % len(weights)]) for step in range(at, at + length)))
                at += length
            found.append(Batch(sum(ns), one.timed, None, pieces_ns=tuple(ns)))
    return tuple(found)


def test_of_a_short_batch_nothing_is_known_right_after_x_changed(monkeypatch):
    monkeypatch.setattr("bench.tests.verification.test_shape.COUNTS", replace(COUNTS, batch=30))
    monkeypatch.setattr("bench.tests.verification.test_shape.READINGS", (READING,) * len(COUNTS.stretches))
    assert shape(10**6, 3, probe=3.0).after_flip_in_batch is None


ELSEWHERE = ({"threads": 2}, {"device": "cuda:0", "framework": "torch"}, {"framework": "jax"})
WHOLE = Counts(settle=5, latency=500, batch=200, batches=3)  # where nobody reads the speed of a core


def elsewhere(changes: Any, ns_of: Any, batch_ns: float = 10**6) -> Shape:
    """Of a case on several threads or an accelerator: `ns_of` the samples after a change, a pause and others."""
    record, _flipped = seen(WHOLE, Random().randrange(2**40), 10**6)
    case = a_case(**changes)
    drawn = {flip.step: flip.twice for flip in timed_flips(case, WHOLE, [one.seed for one in record.seen])}
    ns = tuple(int(ns_of(drawn.get(step))) for step in range(5, 505))
    pairs = zip(WHOLE.stretches, record.seen, strict=True)
    found = tuple(a_batch(case, one, watched.seed, batch_ns) for one, watched in pairs if one.batch)
    timed = Timed(
        WHOLE,
        ns,
        (10**9,) * len(WHOLE.stretches),
        (0,) * len(WHOLE.stretches),
        found,
        (),
        Counters(1.0, 1.0, 0, 0, 10**6),
    )
    return Shape.of(Job(case, a_style(), BRIEF), timed, record)


@pytest.mark.parametrize("changes", ELSEWHERE)
@settings(max_examples=20, deadline=None)
@given(st.floats(0.1, 10.0), st.floats(0.0, 1.0), st.floats(1.0, 5.0))
def test_what_a_pause_costs_several_threads_or_an_accelerator_accuses_nobody(changes, pause, share, slow):
    """A core that is lost now and then, caches and threads that a pause leaves cold: both kinds of pauses alike."""
    chance = Random()
    found = elsewhere(
        changes,
        lambda twice: 10**6 * (1.0 if twice is None else pause) * (slow if chance.random() < 0.1 * share else 1.0),
    )
    assert list(found.faults()) == []


@pytest.mark.parametrize("changes", ELSEWHERE[:2])
@settings(max_examples=20, deadline=None)
@given(st.floats(0.5, 3.0), st.floats(1.0, 3.0))
def test_who_takes_longer_after_x_changed_than_after_other_pauses_remembers_x(changes, dear, pause):
    found = elsewhere(changes, lambda twice: 10**6 * {None: 1.0, True: pause, False: pause * dear}[twice])
    assert found.over_pause == pytest.approx(max(dear, 1.0), rel=1e-3)
    if abs(dear - IMPOSSIBLE.over_pause) > 0.01:
        assert any("did not" in why for why in found.faults()) == (dear > IMPOSSIBLE.over_pause)


@pytest.mark.parametrize("changes", ELSEWHERE)
def test_a_batch_far_below_the_least_sample_is_other_work_only_where_it_is_not_enqueued(changes):
    found = elsewhere(changes, lambda _twice: 10**6, 0.3 * 10**6)
    assert bool(list(found.faults())) == ("threads" in changes)


def test_by_chance_alone_hardly_anything_is_longer_after_x_changed():
    """Two times of an iteration, as a second core that comes and goes has: whichever is drawn is no law of x."""
    chance, accused = Random(3), 0
    for _ in range(4000):
        often = chance.random()
        samples = {step: 10**6 * (1 if chance.random() < often else 5) for step in range(2 * FEW_FLIPS)}
        kinds = [True, False] * FEW_FLIPS
        chance.shuffle(kinds)
        drawn = [Flip(step, 0, 1, 0, 1, twice) for step, twice in enumerate(kinds)]
        accused += (over_pause(Places.of(samples, 1), drawn) or 0.0) >= IMPOSSIBLE.over_pause
    assert accused <= 10  # one in a thousand at most, and it must come so three times in a row


@pytest.mark.parametrize("seed", range(20))
def test_the_chance_of_ranks_is_that_of_scipy(seed):
    chance = Random(seed)
    digits = chance.choice([0, 1, 6])
    more, less = ([round(chance.gauss(mean, 1), digits) for _ in range(chance.randint(8, 40))] for mean in (0.5, 0))
    expected = mannwhitneyu(more, less, alternative="greater", method="asymptotic").pvalue
    assert by_chance(more, less) == pytest.approx(float(expected), abs=1e-9)
    assert by_chance([1.0] * 9, [1.0] * 8) == 1.0


@settings(max_examples=20, deadline=None)
@given(st.floats(1.6, 9.0), st.floats(0.0, 0.3))
def test_who_starts_anew_after_some_of_the_other_pauses_too_is_found_all_the_same(dear, share):
    anew = accumulate(repeat(share), initial=Random().random())  # in that share of them, wherever the first lies
    turns = (int(after) > int(before) for before, after in pairwise(anew))
    found = elsewhere(
        {"threads": 2}, lambda twice: 10**6 * (dear if twice is False or (twice and next(turns)) else 1.0)
    )
    assert found.over_pause == pytest.approx(dear, rel=1e-3)


def test_of_few_pauses_nothing_is_known():
    drawn = [Flip(step, 0, 1, 0, 1, step % 2 == 0) for step in range(2 * FEW_FLIPS - 1)]
    assert over_pause(Places.of(dict.fromkeys(range(40), 10**6), 1), drawn) is None
