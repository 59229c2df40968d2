"""Energy: what the meter said, over the iterations; empty where it said too little."""

from __future__ import annotations

import pytest

from bench.worker.counters import open_meter, per_iteration_mj


def test_energy_is_shared_out_over_the_iterations_with_one_readings_worth_as_resolution() -> None:
    energy, resolution = per_iteration_mj(300_000, seconds=1.0, iterations=1000)
    assert energy == pytest.approx(300.0)
    assert resolution == pytest.approx(30.0)


@pytest.mark.parametrize(("used", "seconds", "iterations"), [(None, 1.0, 10), (5, 0.1, 10), (5, 1.0, 0)])
def test_an_unknown_or_too_short_span_is_empty(used: int | None, seconds: float, iterations: int) -> None:
    assert per_iteration_mj(used, seconds, iterations) == (None, None)


def test_a_cpu_has_no_meter() -> None:
    assert open_meter("cpu") is None
