"""What the witness's clock says: a wait for a device between samples is granted, work hidden there is not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.cases.measurement import Job
from bench.cases.phases import Counts
from bench.machine.witness import Record, Seen
from bench.tests.fakes import BRIEF, a_case, a_style
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
        tuple(int(1e3 * usual_us * one.untimed) for one in COUNTS.stretches),
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


@given(st.floats(70.0, 500.0), st.floats(8.0, 20.0))
@settings(max_examples=20, deadline=None)
def test_what_is_more_than_these_waits_is_hidden_work(hidden_us, read_us):
    found = said("jax", AHEAD * 1.0 + 10 + hidden_us, [400.0, *[read_us] * (AHEAD - 1)])
    assert any("its clock is wrong" in line for line in found)
