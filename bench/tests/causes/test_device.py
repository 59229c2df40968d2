"""What binds a case on an accelerator, from planted shares of its time."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.bounds.cards import launches_of
from bench.cases.case import CaseKey
from bench.cases.problem import TUTORIAL_SIZE, Problem
from bench.causes import device
from bench.causes.device import (
    BANDWIDTH_BOUND,
    BYTES,
    FLOP,
    FLOP_BOUND,
    GAP_BOUND,
    HOST_BOUND,
    LATENCY_BOUND,
    LAUNCHES,
    ROUND_TRIP,
    OnDevice,
    on_devices,
)
from bench.tables.columns import MEASUREMENT_COLUMNS
from bench.tables.run import Run, read_run
from bench.tests.planted import MACHINE, planted_row, write_run

SIDE = ("torch_tensors", "cuda:0", "float32", 1)
FIGURES = {
    "launch_us": {"median": 2.0, "low": 1.9, "high": 2.2, "n": 100},
    "launch_and_read_us": 12.0,
    "kernels of torch_tensors": {"an_iteration": 19.0, "busy_us": 60.0, "longest": []},
}
COPY = {"kind": "copy", "framework": "torch", "device": "cuda:0", "dtype": "float32", "precision": "ieee",
        "threads": 1, "gbytes_per_s": 2000.0, "bytes": 2**29}  # fmt: skip
share = st.floats(0.01, 0.99)


def run_of(folder, enqueue_us=math.nan, figures=FIGURES, size=TUTORIAL_SIZE, latency_us=200.0) -> Run:
    rows = [
        {**planted_row(SIDE, size, block, latency_us), "throughput_us": 100.0, "enqueue_us": enqueue_us}
        for block in range(3)
    ]
    machine = {**MACHINE, "ceilings": [*MACHINE["ceilings"], COPY], "floors": {"cuda:0": {"figures": figures}}}
    return read_run(write_run(folder, pd.DataFrame(rows, columns=list(MEASUREMENT_COLUMNS)), machine))


def a_case(floors, enqueuing, busy) -> OnDevice:
    return OnDevice(CaseKey(*SIDE[:3], "ieee", 1, *TUTORIAL_SIZE), 100.0, 200.0, floors, enqueuing, busy)


@given(share, share, share, share)
def test_the_host_binds_who_waits_for_it_then_gaps_then_the_best_rate_then_latency(enqueuing, busy, flop, moved):
    found = a_case({FLOP: flop, BYTES: moved}, enqueuing, busy)
    if enqueuing >= device.ENQUEUING:
        assert found.bound_by == HOST_BOUND
    elif busy < device.BUSY:
        assert found.bound_by == GAP_BOUND
    elif max(flop, moved) >= device.HALF * busy:
        assert found.bound_by == (FLOP_BOUND if flop >= moved else BANDWIDTH_BOUND)
    else:
        assert found.bound_by == LATENCY_BOUND
    assert found.bound_by in found.words
    assert found.largest[1] == max(flop, moved)


@pytest.mark.parametrize(("flop", "bound"), [(0.1, ""), (0.7, FLOP_BOUND)])
def test_where_no_kernel_was_profiled_only_a_rate_that_is_reached_is_said_to_bind(flop, bound):
    found = a_case({FLOP: flop}, 0.3, math.nan)
    assert found.bound_by == bound
    assert ("was not measured" in found.words) == (not bound)


def test_every_floor_is_its_count_at_its_measured_cost_over_the_time(tmp_path):
    (found,) = on_devices(run_of(tmp_path / "run", enqueue_us=97.0))
    problem = Problem()
    assert found.floors == {
        LAUNCHES: pytest.approx(launches_of()["torch_tensors"] * 2.0 / 100.0),
        FLOP: pytest.approx(problem.product_flops / 50_000e3 / 100.0),
        BYTES: pytest.approx(problem.bytes_moved / 2000e3 / 100.0),
        ROUND_TRIP: pytest.approx(12.0 / 200.0),
    }
    assert found.largest[0] == LAUNCHES
    assert found.busy == pytest.approx(0.6)
    assert found.enqueuing == pytest.approx(0.97)
    assert found.bound_by == HOST_BOUND


def test_what_has_no_time_by_iteration_has_no_share_of_a_round_trip(tmp_path):
    (found,) = on_devices(run_of(tmp_path / "run", latency_us=math.nan))
    assert set(found.floors) == {LAUNCHES, FLOP, BYTES}
    assert "nan" not in found.words


def test_of_an_older_run_nothing_is_made_up(tmp_path):
    (found,) = on_devices(run_of(tmp_path / "run", figures={}))
    assert set(found.floors) == {FLOP, BYTES}
    assert math.isnan(found.busy)
    assert math.isnan(found.enqueuing)
    assert found.bound_by == ""


def test_what_was_profiled_at_the_tutorials_size_says_nothing_about_another(tmp_path):
    (found,) = on_devices(run_of(tmp_path / "run", size=TUTORIAL_SIZE.scaled(2)))
    assert math.isnan(found.busy)
