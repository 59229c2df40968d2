"""Whole runs that are drawn at random: they are what they say, and every world is judged as it should be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.cases.problem import TUTORIAL_SIZE
from bench.simulation.drift import autoregressive
from bench.simulation.worlds import (
    LOOKS,
    WORLDS,
    World,
    blank_rows,
    draw_times,
    drawn,
    outcome,
    outcomes,
    ratio_alone,
)
from bench.tables.run import Run
from bench.verdict.claim import TUTORIAL_CLAIM, find_one, verdict_on
from bench.verdict.contenders import BEST_GPU
from bench.verdict.evidence import Evidence
from bench.verdict.ratios.intervals import LAG_1
from bench.verdict.ratios.speedup import PRIMARY


def test_drift_has_the_spread_and_the_memory_that_was_seen():
    series = autoregressive(np.random.default_rng(0), 50_000)
    assert series.std() == pytest.approx(1, rel=0.03)
    assert np.corrcoef(series[1:], series[:-1])[0, 1] == pytest.approx(LAG_1, abs=0.02)


def test_a_simulated_run_has_the_ratio_that_was_planted():
    world = World("w", 1, contenders=3, drifts=True)
    rows = drawn(blank_rows(world), world, 49.5, np.random.default_rng(0))
    means = rows.groupby("style")["latency_median_us"].mean()
    assert len(rows) == 40
    assert means["numpy_in_place"] / means["contender_0"] == pytest.approx(49.5, rel=0.1)
    per_reference = rows[rows["device"] == "cpu"]["latency_per_reference"]
    assert per_reference.std() / per_reference.mean() < 0.04  # the drift is in the reference too


@pytest.mark.parametrize("world", [world for world in WORLDS if world.alone], ids=lambda world: world.name)
def test_a_run_of_two_cases_says_what_the_interval_of_their_ratio_says(world):
    """Draw by draw: the short way is the same as a whole run, so that many more can be simulated."""
    random, rows = np.random.default_rng(3), blank_rows(world)
    for speedup in (49.5, 52.0, 55.0, 60.0):
        for _ in range(3):
            state = random.bit_generator.state
            ratio = ratio_alone(*draw_times(world, speedup, random))
            random.bit_generator.state = state
            table = drawn(rows, world, speedup, random)
            evidence = Evidence.of(Run(Path(), table, {"plan": {"looks": list(world.looks)}}))
            found = find_one(evidence, TUTORIAL_CLAIM, TUTORIAL_SIZE, PRIMARY, BEST_GPU, "iteration")
            assert found.speedup is not None
            for name in ("value", "low", "high"):
                assert getattr(found.speedup.ratio, name) == pytest.approx(getattr(ratio, name), rel=1e-9)
            assert found.verdict.outcome == verdict_on(ratio, 50.0).outcome


@pytest.mark.parametrize(("speedup", "says"), [(40.0, "refuted"), (70.0, "supported")])
@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_what_is_far_from_the_threshold_is_decided_in_every_world(world, speedup, says):
    found = outcomes(world, speedup, 3, 0)
    assert says in found
    assert set(found) <= {says, "undecided"}  # drift can leave a run of few blocks open, but never turns it


def test_more_blocks_are_taken_only_where_the_interval_holds_the_threshold(monkeypatch):
    """What was open after 10 blocks is judged by 20 and by 30; what was decided is not."""
    world = World("w", 1, looks=LOOKS)
    judged: list[int] = []
    real = Evidence.of

    def of(run):
        judged.append(len(run.measurements))
        return real(run)

    monkeypatch.setattr(Evidence, "of", of)
    rows = blank_rows(world)
    for speedup, sizes in ((70.0, [20]), (50.0, [20, 40, 60])):
        judged.clear()
        outcome(drawn(rows, world, speedup, np.random.default_rng(1)), LOOKS)
        assert judged == sizes
