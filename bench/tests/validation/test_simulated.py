"""Planted disturbances and simulated runs: what they hold of the truth that was planted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.simulation.worlds import (
    WORLDS,
)
from bench.tests.validation.pools import make_pool
from bench.validation.simulated import (
    DISTURBANCES,
    OWN,
    OWN_PERCENTS,
    disturb,
    judge_claims,
    judge_disturbed,
    replayed,
)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_what_slows_times_and_readings_alike_changes_no_coverage(seed):
    found = replayed(make_pool(blocks=25, copies=(4, 2), referenced=True, seed=seed), 400, seed)
    checks = judge_disturbed(found)
    assert [check.experiment.removesuffix(", K = 10") for check in checks] == [
        *DISTURBANCES,
        *map(OWN.format, OWN_PERCENTS),
    ]
    biases = [check.got for check in checks if "bias" in check.got]
    assert all("bias +0.00 points" in got or "bias -0.00 points" in got for got in biases)
    assert len(biases) == 3


def test_a_harness_that_takes_out_what_a_case_does_to_its_own_core_is_missed():
    pool = make_pool(blocks=25, copies=(4, 2), referenced=True)
    found = [
        replace(one, ratio=replace(one.ratio, value=1.0)) if one.kind == OWN.format(8) else one
        for one in replayed(pool, 400, 0)
    ]
    assert judge_disturbed(found)[-1].met is False


def test_a_machine_that_is_disturbed_without_being_read_widens_intervals():
    unread = make_pool(blocks=25, copies=(4,), sd=0.001)
    read = make_pool(blocks=25, copies=(4,), sd=0.001, referenced=True)
    neighbour = list(DISTURBANCES)[-1]
    widths = [
        np.median([one.half_width for one in replayed(pool, 100, 0) if one.kind == neighbour])
        for pool in (read, unread)
    ]
    assert widths[1] > 10 * widths[0]


def test_a_false_claim_that_is_supported_too_often_is_missed():
    checks = judge_claims({"a": (["supported"] * 3 + ["undecided"] * 97, ["supported"] * 9), "b": ((), ())})
    assert [check.met for check in checks] == [False, None]
    assert checks[0].got == "3.0%"
    assert "100.0%" in checks[0].note
    assert judge_claims({"a": (["supported"] * 2 + ["undecided"] * 98, [])})[0].met


def test_a_quick_look_simulates_nothing_and_leaves_that_untested(monkeypatch):
    monkeypatch.setattr("bench.validation.simulated.outcomes", lambda *given: pytest.fail("a run was simulated"))
    _found, checks = disturb(make_pool(blocks=12), 20, 0, simulate=False)
    assert [check.met for check in checks if "falsely" in check.experiment] == [None] * len(WORLDS)
