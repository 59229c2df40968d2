"""What the witness's clock says: a wait for a device between samples is granted, work hidden there is not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.cases.challenge import flips
from bench.cases.measurement import Job
from bench.cases.phases import Counts
from bench.cases.problem import Size
from bench.machine.witness import Record, Seen
from bench.tests.fakes import BRIEF, a_batch, a_case, a_style
from bench.timing.clock import Batch
from bench.timing.counters import Counters
from bench.timing.loops import Timed
from bench.verification.clocks import untrue

AHEAD = 50
COUNTS = Counts(settle=50, latency=1000, batch=2000, batches=1, segment=1000, resettle=50)


def said(framework: str, between_us: float, cycle_us: Sequence[float], ahead: int = AHEAD) -> list[str]:
    """What is said of a process whose samples are `cycle_us` again and again, and so much lies before each."""
    job = Job(a_case(device="cuda:0", framework=framework, ahead=ahead), a_style(), BRIEF)
    usual_us = sum(cycle_us) / len(cycle_us)
    record = Record(1, cpu_s=lambda: 0.0, helpers_s=lambda: 0.0, whole=True)
    for one in COUNTS.stretches:
        waits = 1 + one.untimed if one.batch else one.count
        wall_s = (one.count * usual_us + waits * between_us) / 1e6
        record.seen.append(Seen(one.first, one.count, 1, wall_s, wall_s, []))
    timed = Timed(
        COUNTS,
        tuple(int(1e3 * cycle_us[at % len(cycle_us)]) for at in range(COUNTS.latency)),
        tuple(int(1e3 * (usual_us + between_us) * one.untimed) for one in COUNTS.stretches),
        tuple(int(1e3 * between_us * (1 if one.batch else one.timed)) for one in COUNTS.stretches),
        (Batch(int(1e3 * usual_us * COUNTS.batch), COUNTS.batch, None),) * COUNTS.batches,
        ((30.0, 30.0),) * len(COUNTS.stretches),  # type: ignore[arg-type]
        Counters(1.0, 1.0, 0, 0, 10**6),
    )
    return list(untrue(job, timed, record))


@pytest.mark.parametrize(("framework", "ahead", "honest"), [("jax", 50, True), ("jax", 1, False), ("torch", 50, False)])
@given(st.floats(20.0, 60.0), st.floats(300.0, 2000.0))
@settings(max_examples=20, deadline=None)
def test_jax_is_granted_a_wait_for_each_loss_that_is_known_ahead(framework, ahead, honest, wait_us, launch_us):
    """Of fifty samples one starts the work and the others read a loss each, about as long as the wait for all takes."""
    found = said(framework, wait_us, [launch_us, *[wait_us] * (AHEAD - 1)], ahead)
    assert bool(found) is not honest
    assert all("its clock is wrong" in line for line in found)


@given(st.integers(0, 2**32), st.floats(4e9, 2e10), st.floats(0.5, 40.0), st.sampled_from([1, 2, 16]))
@settings(max_examples=20, deadline=None)
def test_a_sign_change_of_a_large_x_may_take_its_time_and_no_work_hides_behind_it(seed, rate, flips_long, threads):
    """Samples of iterations that are so many sign changes long, and the same of who tells a third of each."""
    case = a_case(size=Size(2048, 4096, 8, 4), threads=threads)
    flip_s = 2048 * 4096 * 8 / 4 / rate
    each_s, record = flips_long * flip_s, Record(1, cpu_s=lambda: 0.0, helpers_s=lambda: 0.0, whole=True)
    counts = Counts(settle=2, latency=200, batch=60)
    flipping_ns = {}
    for one in counts.stretches:
        drawn = flips(case, one, seed)
        early = sum(flip.times for flip in drawn if flip.step < one.first + one.untimed)
        flipping_ns[one] = flip_s * 1e9 * early, flip_s * 1e9 * (sum(flip.times for flip in drawn) - early)
        wall_s = one.count * each_s + flip_s * sum(flip.times for flip in drawn)
        record.seen.append(Seen(one.first, one.count, seed, wall_s, wall_s, []))

    def found(told: float) -> list[str]:
        ns = int(told * each_s * 1e9)
        untimed = tuple(int(ns * one.untimed + flipping_ns[one][0]) for one in counts.stretches)
        outside = tuple(int(flipping_ns[one][1]) for one in counts.stretches)
        timed = Timed(
            counts, (ns,) * 200, untimed, outside, (Batch(ns * 60, 60, None),), (), Counters(1.0, 1.0, 0, 0, 10**6)
        )
        return list(untrue(Job(case, a_style(), BRIEF), timed, record))

    assert not found(1.0)
    assert flips_long < 4 or "its clock is wrong" in found(1 / 3)[0]


PIECES = Counts(settle=10, latency=500, batch=2000, batches=3, segment=100, resettle=10)


def moved(each_us: float, between_us: float, flip_us: float, told: float, seed: int) -> list[str]:
    """What is said of who tells that part of each iteration, and that the rest passed between them or as x changed."""
    case = a_case(size=Size(16, 100, 20, 5), threads=1)
    record = Record(1, cpu_s=lambda: 0.0, helpers_s=lambda: 0.0, whole=True)
    outside, untimed, batches = [], [], []
    for number, one in enumerate(PIECES.stretches):
        drawn = flips(case, one, seed + number)
        counted = [flip for flip in drawn if flip.step >= one.first + one.untimed]
        pauses_us = between_us * (one.batch or one.timed) + flip_us * len(counted)
        early_us = (each_us + between_us) * one.untimed + flip_us * (len(drawn) - len(counted))
        counted_s = (each_us * one.timed + pauses_us) / 1e6
        wall_s = counted_s + early_us / 1e6
        record.seen.append(Seen(one.first, one.count, seed + number, wall_s, wall_s, [], (counted_s,) * 2))
        outside.append(int(1e3 * (pauses_us + (1 - told) * each_us * one.timed)))
        untimed.append(int(1e3 * early_us))
        if one.batch:
            batches.append(a_batch(case, one, seed + number, int(1e3 * told * each_us)))
    samples = (int(1e3 * told * each_us),) * PIECES.latency
    readings = ((30.0, 30.0),) * len(PIECES.stretches)
    timed = Timed(PIECES, samples, tuple(untimed), tuple(outside), tuple(batches), readings,  # type: ignore[arg-type]
                  Counters(1.0, 1.0, 0, 0, 10**6))  # fmt: skip
    return list(untrue(Job(case, a_style(), BRIEF), timed, record))


@given(st.floats(8.0, 500.0), st.floats(0.0, 2.0), st.floats(0.0, 1.0), st.integers(0, 2**40))
@settings(max_examples=40, deadline=None)
def test_who_pauses_between_samples_as_long_as_a_slow_interpreter_does_is_right(each_us, between_us, flip, seed):
    """And where x changes as long as an iteration takes, which a product in bfloat16 does to the caches."""
    assert moved(each_us, between_us, flip * (5 + each_us), 1.0, seed) == []


@given(st.floats(40.0, 500.0), st.floats(0.0, 2.0), st.floats(0.0, 1.0), st.floats(0.1, 0.7), st.integers(0, 2**40))
@settings(max_examples=40, deadline=None)
def test_work_that_is_told_as_a_pause_is_hidden_work(each_us, between_us, flip, told, seed):
    assert any("its clock is wrong" in line for line in moved(each_us, between_us, flip * 5, told, seed))


@given(st.floats(70.0, 500.0), st.floats(8.0, 20.0))
@settings(max_examples=20, deadline=None)
def test_what_is_more_than_these_waits_is_hidden_work(hidden_us, read_us):
    found = said("jax", AHEAD * 1.0 + 10 + hidden_us, [400.0, *[read_us] * (AHEAD - 1)])
    assert any("its clock is wrong" in line for line in found)
