"""Energy: what the meter said, over the iterations; empty where it said too little."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench.tests.fakes import a_case
from bench.timing import counters
from bench.timing.counters import every_core, open_meters, per_iteration_mj


def test_energy_is_shared_out_over_the_iterations_with_one_readings_worth_as_resolution() -> None:
    energy, resolution = per_iteration_mj(300_000, seconds=1.0, iterations=1000)
    assert energy == pytest.approx(300.0)
    assert resolution == pytest.approx(30.0)


@pytest.mark.parametrize(("used", "seconds", "iterations"), [(None, 1.0, 10), (5, 0.1, 10), (5, 1.0, 0)])
def test_an_unknown_or_too_short_span_is_empty(used: int | None, seconds: float, iterations: int) -> None:
    assert per_iteration_mj(used, seconds, iterations) == (None, None)


def nvml(**answers: Any) -> SimpleNamespace:
    """A stand-in for pynvml that sees `count` GPUs; an answer that is an exception is raised."""

    def ask(name: str) -> Any:
        def call(*_arguments: Any) -> Any:
            if isinstance(answers[name], Exception):
                raise answers[name]
            return answers[name]

        return call

    return SimpleNamespace(
        NVML_CLOCK_SM=1,
        nvmlInit=ask("init"),
        nvmlDeviceGetCount=ask("count"),
        nvmlDeviceGetHandleByIndex=lambda index: f"GPU {index}",
        nvmlDeviceGetTotalEnergyConsumption=ask("energy"),
        nvmlDeviceGetClockInfo=ask("clock"),
    )


LOST = RuntimeError("not supported")


@pytest.mark.parametrize(
    ("answers", "read"),
    [
        ({"init": None, "count": 1, "energy": 5_000, "clock": 1980}, (5_000, 1980)),
        ({"init": None, "count": 1, "energy": LOST, "clock": 1980}, (None, 1980)),
        ({"init": None, "count": 1, "energy": 5_000, "clock": LOST}, (5_000, None)),
        ({"init": LOST, "count": 1, "energy": 5_000, "clock": 1980}, (None, None)),
        ({"init": None, "count": LOST, "energy": 5_000, "clock": 1980}, (None, None)),
    ],
)
def test_each_meter_of_a_gpu_is_read_where_it_is_and_empty_where_it_is_not(monkeypatch, answers, read) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", nvml(**answers))
    meters = open_meters("cuda:0")
    assert (meters.energy_mj(), meters.sm_clock_mhz()) == read


def test_a_cpu_has_no_meters(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", nvml(init=None, count=1, energy=5_000, clock=1980))
    meters = open_meters("cpu")
    assert (meters.energy_mj(), meters.sm_clock_mhz()) == (None, None)


@pytest.mark.parametrize(("device", "threads"), [("cpu", 1), ("cuda:0", 2)])
def test_the_oracle_of_a_case_on_a_gpu_has_every_core_and_that_of_one_on_the_cpu_its_threads(
    monkeypatch, device: str, threads: int
) -> None:
    from threadpoolctl import threadpool_info

    np.ones((2, 2)).dot(np.ones((2, 2)))
    monkeypatch.setattr(counters, "available_cpus", lambda: 2)

    def blas() -> set[int]:
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    before = blas()
    with every_core(a_case(device=device)):
        inside = blas()
    assert (inside, blas()) == ({threads}, before)
