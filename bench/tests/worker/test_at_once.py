"""Styles that start several iterations at once: what is timed of them, and who does it without saying so."""

from __future__ import annotations

from dataclasses import replace
from textwrap import indent
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.adversary.lies import HONEST, write_style
from bench.cases.challenge import timed_flips
from bench.cases.measurement import BY_ITERATION, Found, Job
from bench.cases.phases import Counts, Rule, plan_counts
from bench.machine.witness import Record, Seen
from bench.plain import to_plain
from bench.tests.fakes import BRIEF, FakeClock, a_batch, a_case, a_job, a_style, fake_device, found_at_last
from bench.timing import clock
from bench.timing.clock import Latency
from bench.timing.counters import Counters
from bench.timing.given import WrongStyleError
from bench.timing.loops import Cold, Timed
from bench.verification.gate import PACE_ITERATIONS, check_pace
from bench.verification.judge import judge
from bench.verification.oracle import reference
from bench.worker import measure as worker
from bench.worker.measure import examine, usual_ns

EACH_NS = 1_000_000
LAUNCHES = st.integers(2, 50)


def at_once(count: int) -> str:
    """The honest loop, `count` iterations at a time."""
    loop = HONEST.removesuffix("    return w1, w2\n").replace("range(steps)", "range(many)")
    return (
        f"    for first in range(0, steps, {count}):\n        kept, many = [], min({count}, steps - first)\n"
        f"{indent(loop.replace('yield loss', 'kept.append(loss)'), '    ')}        yield from kept\n    return w1, w2\n"
    )


@pytest.mark.parametrize("seed", range(4))
def test_a_style_that_says_how_many_it_starts_has_a_throughput_and_no_latency(tmp_path, monkeypatch, seed):
    monkeypatch.setattr(worker, "threads_in_use", lambda _case: "fake BLAS")
    monkeypatch.setattr(worker, "cores_in_use", lambda *_: None)
    count = int(np.random.default_rng(seed).integers(2, 30))
    style = replace(write_style(tmp_path, at_once(count)), ahead=count)
    found = found_at_last(a_job(style))
    assert found.status == "ok", found
    values: Any = found.values
    assert values["iterations_per_launch"] == count
    assert values["iterations"] == len(found.timed_us) * count >= 2 * count
    assert values["warmup_iterations"] % count == values["batch_iterations"] % count == 0
    assert all(values[name] is None for name in BY_ITERATION)
    assert min(values["throughput_us"], values["launched_us"], values["first_loss_us"]) > 0
    assert values["checked_iterations"] > 0
    assert values["challenges"] > 0
    undeclared = examine(a_job(replace(style, ahead=1)))
    assert undeclared.status == "wrong"


def launched(count: int, device: str = "cuda:0", read_share: float = 0.05) -> tuple[Job, Record, Timed]:
    """A loop that starts `count` iterations at once: nearly all of their time is in the wait for the first loss."""
    job = Job(a_case(device=device, framework="torch", ahead=count), replace(a_style(), ahead=count), BRIEF)
    counts = Counts(settle=count, latency=max(4 * count, 40 + -40 % count), batch=2 * count + 8 * count, batches=2)
    seeds = list(range(7, 7 + len(counts.stretches)))
    arrays = job.case.problem.arrays()
    drawn = timed_flips(job.case, counts, seeds)
    expected = reference("sgd", arrays, job.case.problem.learning_rate, counts.steps, drawn)
    record = Record(job.case.problem.seed, cpu_s=lambda: 0.0, weights=list(expected.weights), whole=True)
    for one, seed in zip(counts.stretches, seeds, strict=True):
        wall_s = one.count * EACH_NS / 1e9
        losses = [float(expected.losses[t]) for t in one.read]
        record.seen.append(Seen(one.first, one.count, seed, wall_s, wall_s, losses))
    read_ns = int(read_share * EACH_NS)
    first_ns = count * EACH_NS - (count - 1) * read_ns
    samples = tuple(read_ns if at % count else first_ns for at in range(counts.latency))
    pairs = zip(counts.stretches, seeds, strict=True)
    batches = tuple(a_batch(job.case, one, seed, EACH_NS) for one, seed in pairs if one.batch)
    untimed = tuple(one.untimed * EACH_NS for one in counts.stretches)
    return (
        job,
        record,
        Timed(counts, samples, untimed, (0,) * len(untimed), batches, (), Counters(1.0, 1.0, 0, 0, 10**6)),
    )


@settings(max_examples=20, deadline=None)
@given(LAUNCHES)
def test_its_times_are_of_whole_launches_and_the_wait_for_the_first_loss_is_beside_them(count):
    job, record, timed = launched(count)
    found = judge(job, Found("ok", raw=to_plain(timed)), record)
    assert (found.status, found.noisy) == ("ok", False), found
    values: Any = found.values
    assert values["launched_us"] == pytest.approx(1000.0)
    assert values["throughput_us"] == pytest.approx(1000.0)
    assert values["first_loss_us"] == timed.elapsed_ns[0] / 1e3
    assert list(found.timed_us) == pytest.approx([1000.0] * (timed.counts.latency // count))
    assert all(values[name] is None for name in BY_ITERATION)


@settings(max_examples=20, deadline=None)
@given(st.integers(3, 50), st.data())
def test_who_starts_more_than_it_says_is_wrong_and_told_to_declare_it(count, data):
    job, record, timed = launched(count)
    fewer = data.draw(st.integers(1, (count - 1) // 2))
    said = replace(job, case=replace(job.case, ahead=fewer), style=replace(job.style, ahead=fewer))
    found = judge(said, Found("ok", raw=to_plain(timed)), record)
    assert (found.status, found.again) == ("wrong", True), found
    if fewer == 1:
        assert found.reason.endswith("several iterations at once: declare ahead=")


@pytest.mark.parametrize(("framework", "status"), [("torch", "ok"), ("jax", "wrong")])
def test_a_batch_that_waited_for_a_core_is_no_launch_where_waiting_for_the_device_takes_cpu_time(framework, status):
    _job, record, timed = launched(1)
    job = Job(a_case(device="cuda:0", framework=framework), a_style(), BRIEF)
    if framework == "jax":  # whose arrays cannot change
        steps = timed.counts.steps
        expected = reference("sgd", job.case.problem.arrays(), job.case.problem.learning_rate, steps)
        record.weights = list(expected.weights)
        for one, seen in zip(timed.counts.stretches, record.seen, strict=True):
            seen.losses = [float(expected.losses[t]) for t in one.read]
    for one, seen in zip(timed.counts.stretches, record.seen, strict=True):
        seen.wall_s *= 3 if one.batch else 1
    pairs = zip(timed.counts.stretches, record.seen, strict=True)
    slow = tuple(a_batch(job.case, one, seen.seed, 3 * EACH_NS) for one, seen in pairs if one.batch)
    found = judge(job, Found("ok", raw=to_plain(replace(timed, batches=slow))), record)
    assert found.status == status, found
    assert ("declare ahead=" in found.reason) == (status == "wrong")


@given(st.floats(1, 1e10), st.integers(1, 7), LAUNCHES, st.booleans(), st.floats(0.1, 20))
def test_every_stretch_begins_with_a_launch_and_holds_whole_ones(each_ns, cycle, ahead, referenced, limit_s):
    counts = plan_counts(Rule(limit_s=limit_s), each_ns, cycle, referenced=referenced, ahead=ahead)
    for one in counts.stretches:
        assert one.first % ahead == one.untimed % ahead == one.timed % ahead == 0
    both = np.lcm(cycle, ahead)
    assert counts.latency % both == counts.batch % both == 0
    assert counts.latency >= 2 * both
    assert sum(counts.segments) == counts.latency


@given(st.integers(0, 2**31), LAUNCHES, st.integers(1, 40))
def test_x_changes_only_before_a_launch(seed, ahead, launches):
    case = a_case(ahead=ahead)
    counts = Counts(settle=ahead, latency=launches * ahead, batch=launches * ahead)
    steps = [flip.step for flip in timed_flips(case, counts, [seed, seed + 1, seed + 2])]
    assert {step % ahead for step in steps} == {0}
    assert set(steps) >= {one.first for one in counts.stretches}


@given(LAUNCHES, st.integers(1_000, 10**8), st.integers(0, 10**10))
def test_the_warm_up_goes_on_by_launches_and_says_what_an_iteration_takes(ahead, each_ns, cold_ns):
    now = FakeClock()

    def loop():
        for t in range(10**9):
            now.pass_ns((cold_ns if t == 0 else ahead * each_ns) if t % ahead == 0 else 0)
            yield 1.0

    done: list[int] = []
    warm = clock.warm_up(loop(), fake_device(), BRIEF, now, lambda: done.append(now.ns), ahead)
    assert done == [cold_ns]
    assert len(warm.elapsed_ns) % ahead == 0
    cold = Cold(0.0, warm, 1000, None, ahead)
    assert usual_ns(cold) == pytest.approx(each_ns)
    assert cold.values()["warmup_iterations"] == len(warm.elapsed_ns) - ahead
    assert cold.values()["first_iteration_seconds"] == cold_ns / 1e9


@given(LAUNCHES, st.floats(0.05, 3.0))
def test_the_pace_that_is_compared_is_that_of_launches(ahead, faster):
    _job, _record, timed = launched(ahead)
    slow = [round(ns * faster) for ns in timed.elapsed_ns] * PACE_ITERATIONS
    cold = Cold(0.0, Latency(slow, []), None, None, ahead)
    if faster > 2.1:
        with pytest.raises(WrongStyleError, match="the work is done ahead of the clock"):
            check_pace(cold, timed)
    elif faster < 1.9:
        check_pace(cold, timed)


@given(st.integers(2, 9), st.integers(1_000, 10**8), st.integers(20, 60))
def test_who_works_in_one_of_several_iterations_is_not_planned_as_if_the_others_were_usual(together, work_ns, rounds):
    elapsed = [10**9, *([together * work_ns] + [1] * (together - 1)) * rounds]
    cold = Cold(0.0, clock.Latency(elapsed, []), None, None)
    assert usual_ns(cold) > work_ns / 4


@given(st.integers(1_000, 10**8), st.integers(60, 90), st.floats(1, 1000), st.floats(1, 1000))
def test_two_slow_iterations_do_not_change_what_is_usual(usual, count, slower, other):
    elapsed = [10**9, *[usual] * count]
    elapsed[-3], elapsed[-9] = int(usual * slower), int(usual * other)
    assert usual_ns(Cold(0.0, clock.Latency(elapsed, []), None, None)) == usual


def test_who_is_slow_until_the_clock_runs_is_asked_again():
    """A machine without a core for its threads may have made the whole warm-up slow."""
    counts = Counts(1, 20, 5, 1)
    cold = Cold(0.0, Latency([10**9, *[40_000_000] * 20], []), None, None)
    timed = Timed(counts, (600_000,) * 20, (), (), (), (), Counters(1.0, 1.0, None, None, None))
    found = worker.attempt(lambda: check_pace(cold, timed))
    assert isinstance(found, Found)
    assert (found.status, found.again) == ("wrong", True)
