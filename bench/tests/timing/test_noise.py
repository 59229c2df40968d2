"""The gates: what a process's samples must not show."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.timing.noise import Sampled, by_cycle, disturbance

QUIET = Sampled([100.0] * 20, on_cpu=True, threads=1, cpu_utilisation=1.0)
TIMES = st.lists(st.floats(1, 1e6), min_size=1, max_size=60)


def test_even_samples_on_a_core_of_their_own_are_quiet():
    assert disturbance(QUIET) is None


def test_a_few_slow_iterations_are_no_disturbance():
    assert disturbance(replace(QUIET, cycles_us=[100.0] * 18 + [900.0, 900.0])) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"cycles_us": [90.0] + [100.0] * 19}, "median is 1.11x the minimum"),
        ({"cycles_us": [100.0] * 10 + [103.0] * 10}, "halves differ by 3.0%"),
        ({"cycles_us": [103.0] * 10 + [100.0] * 10}, "halves differ by 2.9%"),
        ({"cycles_us": [100.0]}, "too few iterations to tell"),
        ({"cycles_us": []}, "too few iterations to tell"),
        ({"cycles_us": [float("nan")] * 4}, "a time is not finite"),
        ({"cpu_utilisation": 0.8}, "had a core for 80% of the time"),
        ({"cpu_utilisation": 1.9}, "used 1.90 cores with 1 threads"),
    ],
)
def test_each_gate_names_what_it_saw(change, reason):
    assert disturbance(replace(QUIET, **change)) == reason


def test_what_an_accelerator_does_to_the_hosts_core_says_nothing():
    gpu = replace(QUIET, on_cpu=False)
    assert disturbance(replace(gpu, cpu_utilisation=0.1)) is None
    assert disturbance(replace(gpu, cycles_us=[50.0] + [100.0] * 19)) is None
    assert disturbance(replace(gpu, cycles_us=[100.0] * 10 + [103.0] * 10)) == "halves differ by 3.0%"


def test_an_unknown_utilisation_is_no_disturbance():
    assert disturbance(replace(QUIET, cpu_utilisation=None)) is None


@given(TIMES, st.floats(0.01, 100))
def test_the_unit_of_time_decides_nothing(times, factor):
    def failed(samples):
        found = disturbance(replace(QUIET, cycles_us=samples))
        return found and found.split()[0]

    scaled = [time * factor for time in times]
    edges = [abs(x - y) < 1e-9 for x, y in limits(times)]
    assert any(edges) or failed(times) == failed(scaled)


def limits(times):
    """The figures that gates compare, each with its limit: rounding may decide where they are equal."""
    from statistics import median

    half = len(times) // 2
    yield median(times) / min(times), 1.05
    if half:
        yield abs(median(times[half:]) / median(times[:half]) - 1), 0.02


def test_a_cycle_is_judged_by_its_mean():
    swinging = [50.0, 100.0, 150.0, 200.0] * 5
    assert disturbance(replace(QUIET, cycles_us=swinging)) is not None
    assert disturbance(replace(QUIET, cycles_us=by_cycle(swinging, 4))) is None


def test_a_batch_that_takes_longer_than_its_iterations_is_noisy():
    assert disturbance(replace(QUIET, batch_us=QUIET.cycles_us[0] * 1.2)) is None
    reason = disturbance(replace(QUIET, batch_us=QUIET.cycles_us[0] * 3))
    assert reason is not None
    assert reason.endswith("x its median within a batch")


@given(TIMES, st.integers(1, 7))
def test_cycles_are_whole_and_in_order(times, cycle):
    means = by_cycle(times, cycle)
    assert len(means) == len(times) // cycle
    for index, mean in enumerate(means):
        part = times[index * cycle : (index + 1) * cycle]
        assert mean == pytest.approx(sum(part) / cycle)
