"""The verdict from raw times and what the witness saw: fake processes, no style, no clock."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.cases.challenge import changes, flips, program_flips, timed_flips
from bench.cases.measurement import Found, Job
from bench.cases.phases import Counts
from bench.machine.process import Answer
from bench.machine.witness import Record, Seen
from bench.plain import to_plain
from bench.tests.fakes import BRIEF, a_batch, a_case, a_style
from bench.timing.counters import Counters
from bench.timing.loops import ProgramTimes, Timed
from bench.verification.judge import judge
from bench.verification.oracle import reference
from bench.verification.program import PACE, judge_program
from bench.verification.shape import IMPOSSIBLE

COUNTS = Counts(settle=2, latency=40, batch=20, batches=2, segment=10, resettle=1)
SAMPLE_NS, GAUGE_US = 1_000_000, 30.0


def a_job(**changes: Any) -> Job:
    return Job(a_case(**changes), a_style(), BRIEF)


def honest(job: Job, seed: int = 3) -> tuple[Found, Record, Timed]:
    """What a worker answers and its witness saw, when all was as it should be."""
    stretches = COUNTS.stretches
    seeds = [seed + number for number in range(len(stretches))]
    drawn = timed_flips(job.case, COUNTS, seeds)
    arrays = replace(job.case.problem, seed=seed).arrays()
    expected = reference(job.case.oracle, arrays, job.case.problem.learning_rate, COUNTS.steps, drawn)
    record = Record(seed, cpu_s=lambda: 0.0, helpers_s=lambda: 0.0, weights=list(expected.weights), whole=True)
    pairs = list(zip(stretches, seeds, strict=True))
    for one, given_seed in pairs:
        wall_s = one.count * SAMPLE_NS / 1e9
        losses = [float(expected.losses[t]) for t in one.read]
        counted_s = (one.timed * SAMPLE_NS / 1e9,) * 2 if one.untimed and one.timed else None
        record.seen.append(Seen(one.first, one.count, given_seed, wall_s, wall_s, losses, counted_s))
    record.readings = [(GAUGE_US, GAUGE_US)] * len(stretches)
    timed = Timed(
        COUNTS,
        (SAMPLE_NS,) * COUNTS.latency,
        tuple(one.untimed * SAMPLE_NS for one in stretches),
        (0,) * len(stretches),
        tuple(a_batch(job.case, one, given, SAMPLE_NS) for one, given in pairs if one.batch),
        ((GAUGE_US, GAUGE_US),) * len(stretches),  # type: ignore[arg-type]
        Counters(1.0, 1.0, 0, 0, 10**6),
    )
    return Found("ok", values={"blas": "fake"}, raw=to_plain(timed)), record, timed


def verdict(job: Job, record: Record, timed: Timed) -> Found:
    return judge(job, Found("ok", raw=to_plain(timed)), record)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(["sgd", "adam", "dynamic"]))
def test_what_is_right_gets_its_figures_from_the_raw_times_alone(seed, oracle):
    job = a_job(oracle=oracle)
    found, record, timed = honest(job, seed)
    forged = replace(found, values={**found.values, "latency_median_us": 1.0, "throughput_us": 1.0}, timed_us=[1.0])
    told = judge(job, forged, record)
    assert (told.status, told.raw, list(told.timed_us)) == ("ok", None, [1000.0] * COUNTS.latency)
    assert told.values["latency_median_us"] == told.values["throughput_us"] == 1000.0
    assert told.values["latency_per_reference"] == pytest.approx(1000.0 / GAUGE_US)
    assert (told.values["data_seed"], told.values["blas"]) == (seed, "fake")
    seeds = [one.seed for one in record.seen]
    assert told.values["challenges"] == len(timed_flips(job.case, timed.counts, seeds))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31), st.data())
def test_one_loss_or_weight_of_data_that_did_not_change_is_wrong(seed, data):
    job = a_job()
    _found, record, timed = honest(job, seed)
    one = data.draw(st.sampled_from(record.seen))
    place = data.draw(st.integers(0, len(one.losses or ()) - 1))
    losses = list(one.losses or ())
    losses[place] *= 1.01
    one.losses = losses
    assert verdict(job, record, timed).reason.startswith("in the timed run: ")
    _found, record, timed = honest(job, seed)
    record.weights[0] = record.weights[0] * 1.001
    assert "weight 1 is not where" in verdict(job, record, timed).reason
    _found, record, timed = honest(job, seed)
    one, stretch = record.seen[1], COUNTS.stretches[1]
    as_followed = flips(job.case, stretch, one.seed)
    while flips(job.case, stretch, one.seed) == as_followed:
        one.seed += 1  # x changed in another way than the one that the losses followed
    assert verdict(job, record, timed).status == "wrong"


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda record: setattr(record, "fault", "said b'?'"), "said b'?'"),
        (lambda record: setattr(record, "whole", False), "losses are missing"),
        (lambda record: record.readings.pop(), "that are not those that its witness heard"),
        (lambda record: record.readings.reverse() or record.readings.append((1.0, 1.0)), "that its witness heard"),
        (lambda record: record.seen.pop(), "stretches, expected"),
        (lambda record: setattr(record.seen[1], "losses", None), "losses are missing"),
        (lambda record: setattr(record.seen[2], "first", 0), "stretches, expected"),
    ],
)
def test_a_witness_that_saw_something_else_makes_a_crash(spoil, says):
    job = a_job()
    _found, record, timed = honest(job)
    spoil(record)
    found = verdict(job, record, timed)
    assert found.status == "crashed"
    assert says in found.reason


@pytest.mark.parametrize(
    "changes",
    [
        {"elapsed_ns": (1,)}, {"elapsed_ns": (0,) * 40}, {"untimed_ns": ()}, {"outside_ns": ()}, {"batches": ()},
        {"readings": ()}, {"outside_ns": (-1,) * len(COUNTS.stretches)},
        {"counts": replace(COUNTS, latency=1)}, {"counts": replace(COUNTS, batches=0)},
        {"counts": replace(COUNTS, batch=10**9)},
    ],
)  # fmt: skip
def test_times_that_no_worker_takes_make_a_crash(changes):
    job = a_job()
    _found, record, timed = honest(job)
    found = verdict(job, record, replace(timed, **changes))
    assert found.status == "crashed"
    assert "its times are not what a worker says" in found.reason


@pytest.mark.parametrize("move", [
    lambda ns: (),
    lambda ns: (sum(ns),) if len(ns) > 1 else (ns[0] - 1, 1),
    lambda ns: (ns[0] - 1, *ns[1:]),
    lambda ns: (*ns, 1),
])  # fmt: skip
def test_pieces_that_are_not_those_of_their_batch_make_a_crash(move):
    job = a_job()
    _found, record, timed = honest(job)
    forged = [replace(one, pieces_ns=move(one.pieces_ns)) for one in timed.batches]
    found = verdict(job, record, replace(timed, batches=tuple(forged)))
    assert (found.status, "pieces that are not those of their batch" in found.reason) == ("crashed", True)


@pytest.mark.parametrize("raw", [None, 1, [], {}, {"counts": 1}, "x"])
def test_an_answer_without_times_is_a_crash(raw):
    job = a_job()
    _found, record, _timed = honest(job)
    assert judge(job, Found("ok", timed_us=[1.0], raw=raw), record).status == "crashed"


def slower(record: Record, factor: float, cpu: float, *, batches: bool) -> None:
    for one, seen in zip(COUNTS.stretches, record.seen, strict=True):
        if one.batch is batches:
            seen.wall_s, seen.cpu_s = factor * seen.wall_s, cpu * seen.wall_s


@given(st.floats(1.0, 4.0), st.floats(1.0, 4.0), st.booleans())
@settings(max_examples=30, deadline=None)
def test_samples_that_do_not_add_up_to_what_passed_and_was_used_are_wrong_and_asked_again(wall, cpu, batches):
    job = a_job()
    _found, record, timed = honest(job)
    slower(record, wall, min(wall, cpu), batches=batches)
    found = verdict(job, record, timed)
    used = min(wall, cpu)
    if abs(used - 1 / 0.9) > 0.04:
        assert (found.status, found.again) == (("wrong", True) if used > 1 / 0.9 else ("ok", False))
    assert found.status == "ok" or "its clock is wrong" in found.reason or "in the mean of a batch" in found.reason


def test_time_that_was_moved_from_samples_to_those_before_them_is_missed_there():
    job = a_job()
    _found, record, timed = honest(job)
    moved = sum(ns // 2 for ns in timed.elapsed_ns[:10])
    untimed = [ns + moved if one.timed and not one.batch else ns
               for ns, one in zip(timed.untimed_ns, COUNTS.stretches, strict=True)]  # fmt: skip
    forged = replace(timed, elapsed_ns=tuple(ns // 2 for ns in timed.elapsed_ns), untimed_ns=tuple(untimed))
    record.readings = [(GAUGE_US, GAUGE_US)] * len(COUNTS.stretches)
    found = verdict(job, record, forged)
    assert (found.status, found.again) == ("wrong", True)


@pytest.mark.parametrize("batches", [True, False])
def test_a_second_thread_and_a_helper_are_wrong(batches):
    job = a_job()
    _found, record, timed = honest(job)
    slower(record, 1.0, 1.5, batches=batches)
    assert "used 1.50 cores" in verdict(job, record, timed).reason
    _found, record, timed = honest(job)
    record.helped_s = 0.2
    assert "other processes that it started worked 0.20 s" in verdict(job, record, timed).reason


@given(st.floats(0.5, 3.0), st.floats(0.5, 3.0))
def test_more_cores_than_one_between_the_samples_are_wrong(wall, cpu):
    job = a_job()
    _found, record, timed = honest(job)
    record.between_s = wall, cpu
    found = verdict(job, record, timed)
    assert (found.status == "wrong") == (cpu > 1.05 * wall)
    assert found.status == "ok" or "cores while the core's speed was read" in found.reason


def test_work_that_is_not_in_its_iteration_is_wrong():
    job = a_job()
    _found, record, timed = honest(job)
    lumpy = tuple(SAMPLE_NS // 3 if index % 3 else 2 * SAMPLE_NS for index in range(COUNTS.latency))
    found = verdict(job, record, replace(timed, elapsed_ns=lumpy))
    assert (found.status, found.again) == ("wrong", True)
    assert re.search(
        r"takes 333\.3 us in the middle and 99\d\.\d us in the mean of a batch: .*its work is not in the", found.reason
    )


NO_FLIPS = {"flipping_seconds": 0.0}


def a_program(job: Job, seconds: float, *, cpu_s: float | None = None, after: float = 1.0) -> tuple[Answer, Record]:
    """A program of 500 iterations, those right after x changed so many times as long as the others."""
    seed, steps = 5, 500
    flips = program_flips(job.case, steps, 9)
    arrays = replace(job.case.problem, seed=seed).arrays()
    expected = reference(job.case.oracle, arrays, job.case.problem.learning_rate, steps, flips)
    seen = Seen(0, steps, 9, 1.0, 1.0 if cpu_s is None else cpu_s, expected.losses.tolist())
    record = Record(seed, cpu_s=lambda: 0.0, helpers_s=lambda: 0.0, weights=list(expected.weights), whole=True)
    record.seen.append(seen)
    flipped = {flip.step for flip in changes(flips)}
    weights = [after if step in flipped else 1.0 for step in range(steps)]
    elapsed_ns = tuple(int(0.99e9 * seconds * weight / sum(weights)) for weight in weights)
    return Answer(to_plain(ProgramTimes(seconds, elapsed_ns, 0.0)), 2.0), record


def test_a_program_that_trained_has_its_seconds_and_one_that_did_not_is_wrong_as_a_whole():
    job, found = a_job(program=True), Found("ok", values={"latency_median_us": 1.0})
    told = judge_program(job, found, *a_program(job, 0.99))
    assert told.values == {"latency_median_us": 1.0, "loop_seconds": 0.99, "program_seconds": 2.0}
    program, record = a_program(job, 0.99)
    record.seen[0].losses = [1.0]
    assert judge_program(job, found, program, record).reason.startswith("as a whole program: loss of iteration 0 is 1,")
    program, record = a_program(job, 0.99)
    record.weights = [np.zeros_like(one) for one in record.weights]
    still = judge_program(job, found, program, record)
    assert (still.status, still.again) == ("wrong", True)
    half = judge_program(job, found, *a_program(job, 0.5))
    assert (half.status, half.again) == ("wrong", True)
    assert "500 iterations add up to 500" in half.reason
    program, record = a_program(job, 0.99)
    record.seen.clear()
    assert judge_program(job, found, program, record).reason == "as a whole program: crashed: it said too little"


@settings(max_examples=30, deadline=None)
@given(wall_s=st.floats(0.005, 0.4), share=st.floats(0.3, 1.0), threads=st.sampled_from([1, 2, 4]))
def test_a_program_has_to_tell_what_passed_but_for_a_short_one_on_several_threads(wall_s, share, threads):
    """Its first thread may have waited for a core before or after its clock, while the others counted CPU time."""
    job, found = a_job(program=True, threads=threads), Found("ok", values={"latency_median_us": 1.0})
    program, record = a_program(job, share * wall_s)
    record.seen[0] = replace(record.seen[0], wall_s=wall_s, cpu_s=wall_s)
    judged = judge_program(job, found, program, record)
    least_s = 0.02 if threads == 1 else 0.08
    if share < 0.7 or share > 0.9:  # flips and words are allowed for between
        assert ("its clock is wrong" in judged.reason) is (wall_s >= least_s and share < 0.7), judged


@settings(max_examples=20, deadline=None)
@given(st.floats(0.5, 4.0), st.sampled_from([1, 2]))
def test_a_program_whose_iterations_are_dear_right_after_x_changed_remembers_x(after, threads):
    job, found = a_job(program=True, threads=threads), Found("ok", values={"latency_median_us": 1.0})
    judged = judge_program(job, found, *a_program(job, 0.99, after=after))
    most = IMPOSSIBLE.remembers if threads == 1 else IMPOSSIBLE.over_pause
    if abs(after - most) > 0.02:
        assert (judged.status == "wrong") is (after > most), judged
    assert ("right after x changed" in judged.reason) is (judged.status == "wrong")


@pytest.mark.parametrize(("value", "said"), [
    (0.5, "not what a program says"), ({"seconds": 0.5}, "not what a program says"), (None, "not what a program says"),
    ({"seconds": 0.5, "elapsed_ns": [], **NO_FLIPS}, "a time that none is"),
    ({"seconds": 0.5, "elapsed_ns": [0] * 500, **NO_FLIPS}, "a time that none is"),
    ({"seconds": 0.5, "elapsed_ns": [10**400] * 500, **NO_FLIPS}, "not what a program says"),
    ({"seconds": 0.5, "elapsed_ns": [10**6] * 501, **NO_FLIPS}, "longer than all of it"),
    ({"seconds": 0.5, "elapsed_ns": [-1] * 500, **NO_FLIPS}, "a time that none is"),
    ({"seconds": 0.5, "elapsed_ns": [10**6] * 400, "flipping_seconds": -0.1}, "a time that none is"),
    ({"seconds": 0.5, "elapsed_ns": [10**6] * 400, "flipping_seconds": float("nan")}, "not what a program says"),
    ({"seconds": 3.0, "elapsed_ns": [10**6] * 500, **NO_FLIPS}, "it answered 3 s"),
    ({"seconds": float("nan"), "elapsed_ns": [10**6] * 500, **NO_FLIPS}, "not what a program says"),
])  # fmt: skip
def test_an_answer_that_no_program_gives_is_a_crash_of_the_program_alone(value, said):
    job, found = a_job(program=True), Found("ok", values={"latency_median_us": 1.0})
    program, record = a_program(job, 0.99)
    judged = judge_program(job, found, replace(program, value=value), record)
    assert (judged.status, judged.values) == ("ok", found.values)
    assert judged.reason.startswith("as a whole program: crashed: ")
    assert said in judged.reason


def test_a_program_with_fewer_times_than_losses_is_wrong():
    job, found = a_job(program=True), Found("ok", values={"latency_median_us": 1.0})
    program, record = a_program(job, 0.99)
    few = {**program.value, "elapsed_ns": program.value["elapsed_ns"][:3]}
    assert "3 times of 500 iterations" in judge_program(job, found, replace(program, value=few), record).reason


@pytest.mark.parametrize("compiled", [True, False])
@settings(max_examples=10, deadline=None)
@given(first=st.floats(0.2, 50.0), after=st.floats(0.0, 0.05) | st.floats(0.2, 50.0))
def test_helpers_of_a_compiler_are_no_help_and_those_of_the_iterations_after_it_are(compiled, first, after):
    job, found = a_job(program=True), Found("ok", values={"latency_median_us": 1.0})
    job = replace(job, style=replace(job.style, compiled=compiled))
    program, record = a_program(job, 0.99)
    record.helped_s, record.helped_first_s = first + after, first if compiled else 0.0
    judged = judge_program(job, found, program, record)
    assert (judged.status == "ok") is (compiled and after <= 0.05)
    if judged.status == "wrong":
        assert f"worked {record.helped_s - record.helped_first_s:.2f} s" in judged.reason


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([1, 2]), st.floats(0.2, 4.0), st.floats(1.0, 50.0))
def test_a_compiled_program_is_no_faster_after_its_first_loss_than_its_fastest_iterations(threads, ratio, loaded):
    """Its timed run may have had half of its cores, and the median of it may be as slow as that makes it."""
    values = {"latency_min_us": 1000.0, "latency_median_us": loaded * 1000.0}
    job, found = a_job(program=True, threads=threads), Found("ok", values=values)
    job = replace(job, style=replace(job.style, compiled=True))
    program, record = a_program(job, 0.99)
    record.seen[0].counted_s = (ratio * PACE * 0.499, 0.0)
    judged = judge_program(job, found, program, record)
    if abs(ratio - 1) > 1e-6:
        assert (judged.status == "ok") is (ratio > 1 or threads > 1), judged
    if judged.status == "wrong":
        assert "work was done before it" in judged.reason
