"""The clock: it waits for the device, times what it says, and fixes its counts beforehand."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from dataclasses import replace
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cases.phases import Rule, plan_counts
from bench.tests.fakes import AsyncDevice, FakeClock, fake_device
from bench.timing import clock

FORWARD, BACKWARD, LAUNCH = 30_000, 50_000, 1_000
TRUE = FORWARD + BACKWARD + 2 * LAUNCH


@pytest.fixture
def busy() -> Iterator[AsyncDevice]:
    """An asynchronous device whose thread ends with the test."""
    device = AsyncDevice(FakeClock(), LAUNCH)
    thread = threading.Thread(target=device.work, daemon=True)
    thread.start()
    yield device
    device.stop()
    thread.join(5)
    assert not thread.is_alive()


def test_latency_on_an_asynchronous_device_is_the_time_of_all_the_work(busy):
    found = clock.time_latency(busy.loop(FORWARD, BACKWARD), busy.device(), 5, busy.clock)
    assert found.elapsed_ns == [TRUE] * 5
    assert busy.done == ["forward", "backward"] * 5


def test_without_the_wait_latency_would_be_wrong(busy):
    """Reading the loss waits for the forward pass alone, so each backward pass lands in the next sample."""
    blind = replace(busy.device(), synchronize=None)
    found = clock.time_latency(busy.loop(FORWARD, BACKWARD), blind, 5, busy.clock)
    assert found.elapsed_ns[0] == TRUE - BACKWARD
    assert busy.done.count("backward") == 4


def test_work_queued_before_the_first_sample_does_not_land_in_it(busy):
    busy.launch("somebody else's", 10**9)
    found = clock.time_latency(busy.loop(FORWARD, BACKWARD), busy.device(), 2, busy.clock)
    assert found.elapsed_ns == [TRUE, TRUE]


def test_throughput_on_an_asynchronous_device_is_the_time_of_all_the_work(busy):
    busy.launch("somebody else's", 10**9)
    batch, loss = clock.time_batch(busy.loop(FORWARD, BACKWARD), busy.device(), 10, busy.clock)
    assert batch.elapsed_ns == 10 * TRUE
    assert batch.mean_us == TRUE / 1e3
    assert len(busy.done) == 1 + 20
    assert loss == 1 + 19


def test_without_the_wait_throughput_would_be_the_time_of_the_launches(busy):
    blind = replace(busy.device(), synchronize=None)
    batch, _ = clock.time_batch(busy.loop(FORWARD, BACKWARD), blind, 10, busy.clock)
    assert batch.elapsed_ns == 10 * 2 * LAUNCH
    assert TRUE / batch.mean_us > 40
    assert busy.done == []


def test_a_transfer_is_timed_to_its_end(busy):
    def transfer() -> str:
        busy.launch("copy", 7_000)
        return "array"

    seconds, result = clock.time_call(transfer, busy.device(), busy.clock)
    assert (seconds, result) == ((7_000 + LAUNCH) / 1e9, "array")


def test_latency_reads_every_loss_and_waits_twice_an_iteration(busy):
    found = clock.time_latency(busy.loop(1, 1), busy.device(), 4, busy.clock)
    assert found.losses == [1.0, 3.0, 5.0, 7.0]
    assert (busy.reads, busy.waits) == (4, 8)


def test_throughput_reads_no_loss_and_waits_twice_in_all(busy):
    clock.time_batch(busy.loop(1, 1), busy.device(), 50, busy.clock)
    assert (busy.reads, busy.waits) == (0, 2)


def test_event_time_is_of_the_same_batch_and_within_the_hosts_reading():
    now = FakeClock()
    order = []

    def stopwatch():
        order.append("start")

        def stop() -> float:
            order.append("stop")
            return 700.0

        return stop

    device = fake_device(synchronize=lambda: order.append("wait"), stopwatch=stopwatch)
    batch, _ = clock.time_batch(iter_costs(now, [100] * 7), device, 7, now)
    assert batch.event_us == 100.0
    assert order == ["wait", "start", "stop", "wait"]


def test_the_floor_of_a_wait_is_its_median_and_unknown_where_nothing_waits():
    now = FakeClock()
    assert clock.synchronize_floor_us(fake_device(synchronize=lambda: now.pass_ns(2_500)), 9, now) == 2.5
    assert clock.synchronize_floor_us(fake_device()) is None


def iter_costs(now: FakeClock, costs):
    """A loop whose iterations take `costs` ns of the fake clock, the last again and again."""
    for cost in costs:
        now.pass_ns(cost)
        yield 1.0
    while True:
        now.pass_ns(costs[-1])
        yield 1.0


def test_each_iteration_is_timed_alone():
    now = FakeClock()
    found = clock.time_latency(iter_costs(now, [5, 7, 11]), fake_device(), 3, now)
    assert found.elapsed_ns == [5, 7, 11]


RULE = Rule(warmup_iterations=10, warmup_s=0.001, accelerator_warmup_s=0.005, warmup_limit_s=0.1, warmup_floor=3)


@pytest.mark.parametrize(
    ("each_ns", "iterations"),
    [
        (10_000, 100),  # until the seconds have passed
        (1_000_000, 10),  # until there were iterations enough
        (20_000_000, 5),  # too slow: until the limit
        (90_000_000, 3),  # slower yet: the floor
    ],
)
def test_warm_up_lasts_as_long_as_its_rule_says(each_ns, iterations):
    now = FakeClock()
    found = clock.warm_up(iter_costs(now, [each_ns]), fake_device(), RULE, now)
    assert len(found.elapsed_ns) == 1 + iterations


def test_an_accelerator_warms_up_longer():
    now = FakeClock()
    found = clock.warm_up(iter_costs(now, [10_000]), fake_device(synchronize=lambda: None), RULE, now)
    assert len(found.elapsed_ns) == 1 + 500


@given(st.integers(1_000, 10**8), st.integers(0, 10**10))
def test_a_slow_cold_call_changes_neither_the_warm_up_nor_the_counts(each_ns, cold_ns):
    plans = []
    for first in (each_ns, cold_ns):
        now = FakeClock()
        warm = clock.warm_up(iter_costs(now, [first, each_ns]), fake_device(), RULE, now)
        assert warm.elapsed_ns[0] == first
        plans.append((len(warm.elapsed_ns), plan_counts(RULE, median(warm.elapsed_ns[1:][-50:]))))
    assert plans[0] == plans[1]


@pytest.mark.parametrize(
    ("each_us", "latency", "batch", "batches"),
    [
        (3, 500, 5_556, 3),  # fast: at most 500 samples, at least 50 ms in all batches
        (1_000, 200, 50, 3),  # 0.2 s of samples
        (10_000, 50, 50, 3),  # at least 50 of each
        (1_000_000, 10, 10, 1),  # the cap of 10 s
        (60_000_000, 7, 7, 1),  # never fewer than 7
    ],
)
def test_counts_are_what_the_protocol_says(each_us, latency, batch, batches):
    counts = plan_counts(Rule(), each_us * 1e3)
    assert (counts.latency, counts.batch, counts.batches) == (latency, batch, batches)


@given(st.floats(0, 1e12), st.floats(0.1, 100))
def test_counts_keep_their_bounds_at_any_speed(each_ns, limit_s):
    rule = Rule(limit_s=limit_s)
    counts = plan_counts(rule, each_ns)
    each_s = max(each_ns, 1.0) / 1e9
    assert rule.floor_iterations <= counts.latency <= rule.latency_most
    assert counts.settle >= 1
    assert counts.batch >= rule.floor_iterations
    for phase in (counts.latency, counts.batch):
        assert phase == rule.floor_iterations or phase * each_s <= limit_s * (1 + 1e-9)
    assert counts.steps == counts.settle + counts.latency + counts.batch * counts.batches


@given(st.floats(1, 1e10), st.integers(1, 7))
def test_segments_hold_every_sample_once_and_whole_cycles(each_ns, cycle):
    counts = plan_counts(Rule(), each_ns, cycle, referenced=True)
    bare = plan_counts(Rule(), each_ns, cycle)
    assert sum(counts.segments) == counts.latency == bare.latency
    assert all(samples % cycle == 0 for samples in counts.segments[:-1])
    assert all(samples > 0 for samples in counts.segments)
    assert (bare.segments, bare.resettle) == ([bare.latency], 0)
    untimed = counts.resettle * (len(counts.segments) + counts.batches)
    assert counts.steps == bare.steps + untimed


def test_what_happens_between_two_pieces_is_in_no_sample_and_in_no_batch():
    now = FakeClock()

    def pieces():
        for length in (3, 1, 4):
            now.pass_ns(1_000)  # a flip of x
            yield length

    def loop():
        while True:
            now.pass_ns(10)
            yield 1.0

    assert clock.time_pieces(loop(), fake_device(), pieces(), now).elapsed_ns == [10] * 8
    batch, loss = clock.time_batch_pieces(loop(), fake_device(), pieces(), now)
    assert (batch.elapsed_ns, batch.iterations, batch.event_us, loss) == (80, 8, None, 1.0)
    assert (sum(batch.pieces_ns), len(batch.pieces_ns)) == (80, 3)


def test_finish_gives_what_the_loop_returns():
    def loop(steps):
        for _ in range(steps):
            yield 1.0
        return "weights"

    short = loop(2)
    assert [next(short), next(short)] == [1.0, 1.0]
    assert clock.finish(short) == "weights"
    with pytest.raises(clock.TooManyStepsError, match="more losses than it was given steps"):
        clock.finish(loop(1))


def test_no_garbage_is_collected_while_timing_and_it_is_afterwards():
    assert gc.isenabled()
    with clock.without_gc():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError), clock.without_gc():
        _ = 1 / 0
    assert gc.isenabled()


def test_garbage_collection_that_was_off_stays_off():
    gc.disable()
    try:
        with clock.without_gc():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
