"""Times at one speed of the core: what the clock did goes, what the code does stays."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cases.case import Case
from bench.cases.phases import Counts
from bench.cases.problem import TUTORIAL_SIZE, Problem
from bench.machine.core_speed import REPEATS, Reading, around, open_gauge, open_reference, own_effect
from bench.tests.fakes import FakeClock
from bench.timing.clock import Batch
from bench.timing.counters import Counters
from bench.timing.heap import LEAST_PAD, MOST_PAD, PADS, scatter
from bench.timing.loops import Timed
from bench.timing.noise import Steady
from bench.verdict.ratios.intervals import paired_ratio
from bench.verdict.ratios.one_speed import at_one_speed, speed_words

LABEL = ("label",)
NOTHING_COUNTED = Counters(1.0, 1.0, None, None, None)
SPEEDS = st.floats(0.5, 2.0)


def rows(times, references, own=0.0):
    """A row a block and label, from (blocks, labels) of us; per_reference as a worker would find it."""
    times, references = np.asarray(times, float), np.asarray(references, float)
    return pd.DataFrame(
        {
            "block": block,
            "label": f"L{label}",
            "latency_median_us": times[block, label],
            "throughput_us": times[block, label] / 2,
            "reference_us": references[block, label],
            "own_effect": own,
            "latency_per_reference": times[block, label] / references[block, label],
            "throughput_per_reference": times[block, label] / 2 / references[block, label],
        }
        for block in range(times.shape[0])
        for label in range(times.shape[1])
    )


def timed_loop(samples_us, batch_us, readings, counts):
    elapsed_ns = tuple(round(us * 1e3) for us in samples_us)
    batch = Batch(round(batch_us * 1e3 * counts.batch), counts.batch, None)
    return Timed(counts, elapsed_ns, (), (), (batch,), readings, NOTHING_COUNTED)


def speedup(frame, one="L0", other="L1", column="latency_median_us"):
    wide = frame.pivot(index="block", columns="label", values=column)
    return paired_ratio(wide[one].tolist(), wide[other].tolist())


@given(st.lists(st.tuples(SPEEDS, SPEEDS), min_size=1, max_size=4))
def test_whatever_the_clock_did_to_each_process_the_speedup_is_the_same(speeds):
    slowed = np.array([*speeds, *(pair[::-1] for pair in speeds)])  # neither side had the slower core on the whole
    true = np.array([[200.0, 100.0]] * len(slowed))
    found = at_one_speed(rows(true * slowed, 30 * slowed), LABEL)
    for column in ("latency_median_us", "throughput_us"):
        ratio = speedup(found, column=column)
        assert (ratio.value, ratio.low, ratio.high) == pytest.approx((2, 2, 2), rel=1e-9)


@given(st.lists(st.tuples(SPEEDS, SPEEDS, SPEEDS), min_size=1, max_size=3))
def test_the_mean_of_a_block_moves_no_further_than_its_references_say(speeds):
    """Within a block the corrections cancel: the geometric mean of its times stays as it was."""
    slowed = np.array([one[at:] + one[:at] for one in speeds for at in range(3)])  # no case has the slower core
    times = 100 * slowed**0.5
    found = at_one_speed(rows(times, 30 * slowed), LABEL).pivot(
        index="block", columns="label", values="latency_median_us"
    )
    assert np.log(found).mean(axis=1).to_numpy() == pytest.approx(np.log(times).mean(axis=1))


def test_correcting_twice_changes_nothing():
    draw = np.random.default_rng(0)
    slowed = np.exp(0.03 * draw.standard_normal((5, 3)))
    once = at_one_speed(rows(200 * slowed, 30 * slowed), LABEL)
    pd.testing.assert_frame_equal(at_one_speed(once, LABEL), once)


def test_rows_without_a_reference_stay_as_they_were():
    frame = rows([[200, 100, 50]] * 4, [[30, math.nan, 33]] * 4)
    found = at_one_speed(frame, LABEL)
    unread = found["label"] == "L1"
    assert (found[unread]["latency_median_us"] == 100).all()
    assert at_one_speed(frame[unread], LABEL) is not frame  # pandas copies; nothing in it moved
    pd.testing.assert_frame_equal(at_one_speed(frame[unread], LABEL), frame[unread])


def test_a_table_from_before_there_were_references_stays_as_it_was():
    frame = rows([[200, 100]] * 4, [[30, 30]] * 4).drop(columns="reference_us")
    pd.testing.assert_frame_equal(at_one_speed(frame, LABEL), frame)
    assert speed_words(frame) == ""


def test_one_reading_alone_says_nothing_of_how_far_the_core_moved():
    assert "brought to the core's mean speed" in speed_words(rows([[200]], [[30]]))
    assert "moved" not in speed_words(rows([[200]], [[30]]))


@given(st.floats(0.0, 0.3), st.integers(3, 10), st.integers(0, 10**6))
def test_a_case_that_slows_the_core_by_its_own_work_pays_for_all_of_it(own, blocks, seed):
    """The reference is read after neutral work: it holds what the neighbours did, and not what the case did."""
    clock = np.exp(0.05 * np.random.default_rng(seed).standard_normal((blocks, 4)))
    price = np.array([1 + own, 1, 1, 1])
    found = at_one_speed(rows(200 * clock * price, 30 * clock, own), LABEL)
    assert speedup(found).value == pytest.approx(1 + own)


def test_of_an_older_table_a_case_that_slows_the_core_stays_as_timed_and_stands_in_no_mean():
    draw = np.random.default_rng(1)
    slowed = np.exp(0.002 * draw.standard_normal((10, 4)))
    slowed[:, 0] *= 1.30
    found = at_one_speed(rows(200 * slowed, 30 * slowed, math.nan), LABEL)
    own = found[found["label"] == "L0"]
    assert own["latency_median_us"].to_numpy() == pytest.approx(200 * slowed[:, 0])
    assert speedup(found).value == pytest.approx(1.30, rel=0.002)


@pytest.mark.parametrize("bound", [1.0, 0.7, 0.0], ids=["by the core", "in part", "by memory alone"])
def test_intervals_hold_the_truth_however_much_a_case_is_bound_by_the_core(bound):
    """A clock that jumps by 3% between processes; times follow it to the power `bound`, with 0.5% of their own."""
    draw = np.random.default_rng(2)
    held, widths, errors = 0, [], []
    for _ in range(400):
        clock = 0.03 * draw.standard_normal((10, 2))
        logs = np.log([210.0, 200.0]) + bound * clock + 0.005 * draw.standard_normal((10, 2))
        ratio = speedup(at_one_speed(rows(np.exp(logs), 30 * np.exp(clock)), LABEL))
        held += ratio.low <= 1.05 <= ratio.high
        widths.append((ratio.high - ratio.low) / 2 / ratio.value)
        errors.append(math.log(ratio.value / 1.05))
    assert 0.92 <= held / 400 <= 0.98
    assert abs(np.mean(errors)) < 3 * np.std(errors) / 20
    if bound == 1.0:
        assert np.median(widths) < 0.0075  # raw times would give 3%


def test_the_words_say_how_far_the_core_moved():
    assert "moved by 10.0% over the run (reference product 30.0 to 33.0 us)" in speed_words(
        rows([[200, 100]], [[30, 33]])
    )


def test_the_reference_is_the_least_of_its_repeats():
    now = FakeClock()
    costs = iter([9_000, 5_000, 7_000, 6_000, 8_000, 5_500] * 2)
    calls = 0

    def clock():
        nonlocal calls
        calls += 1
        if calls % 2 == 0:
            now.pass_ns(next(costs))
        return now()

    read = open_reference(clock)
    assert read() == 5.0
    assert calls == 2 * REPEATS


@pytest.mark.parametrize(
    ("framework", "device", "threads", "expected"),
    [
        ("numpy", "cpu", 1, True),
        ("torch", "cpu", 1, True),
        ("torch", "cpu", 2, False),
        ("torch", "cuda:0", 1, False),
        ("jax", "cpu", 1, False),
    ],
)
def test_one_cpu_thread_alone_has_a_reference(framework, device, threads, expected):
    problem = Problem(*TUTORIAL_SIZE, "float32", 1e-7)
    assert Case("a_style", device, problem, threads=threads, framework=framework).one_core is expected


def test_each_sample_is_held_against_the_readings_around_its_segment():
    counts = Counts(settle=1, latency=4, batch=2, batches=1, segment=2, resettle=1)
    readings = tuple(Reading(us, 1.02 * us) for us in (2.0, 2.0, 4.5, 4.5))
    loop = timed_loop([20.0, 20.0, 30.0, 30.0], batch_us=25.0, readings=readings, counts=counts)
    assert around(loop.readings) == [2.0, 3.0, 4.5]
    found = Steady.of(loop, [20.0, 20.0, 30.0, 30.0], 1)
    assert found is not None
    assert found.cycles == [10.0] * 4
    assert found.batch == pytest.approx(25.0 / 4.5)
    assert found.values()["reference_us"] == 3.25
    assert found.values()["own_effect"] == pytest.approx(0.02)


def test_the_gauge_reads_right_after_the_case_and_again_once_the_core_has_forgotten_it():
    now = FakeClock()

    def clock():
        now.pass_ns(1_500_000 if now.ns < 20_000_000 else 1_000_000)
        return now()

    reading = open_gauge(clock)()
    assert (reading.us, reading.after_case_us) == (1000.0, 1500.0)
    assert own_effect([reading, reading]) == pytest.approx(0.5)


def test_a_loop_without_readings_has_no_steady_times():
    assert Steady.of(timed_loop([20.0], batch_us=25.0, readings=(), counts=Counts(1, 1, 1)), [20.0], 1) is None


def test_pads_are_blocks_of_the_heap_of_other_sizes_in_every_process():
    pads = scatter()
    assert len(pads) == PADS
    assert all(LEAST_PAD <= len(pad) < MOST_PAD and len(pad) % 16 == 0 for pad in pads)
    assert [len(pad) for pad in scatter()] != [len(pad) for pad in pads]
