"""Tests of bench.validation.crossovers: the simulated machines are what they say, and few of them suffice to see it."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest

from bench.cases.presets import SWEEP_SIZES, scaled
from bench.cases.problem import Problem
from bench.validation import crossovers
from bench.validation.crossovers import MACHINES, Setting, bytes_moved, machine, measured, reached, simulate, sizes_of
from bench.verdict.crossover import TARGETS


@pytest.mark.parametrize("blocks", [3, 10])
def test_the_interval_holds_the_place_on_most_machines_also_with_two_sizes_more(blocks):
    tallies = simulate(Setting("sweep", 0.01, False, blocks), 40, np.random.default_rng(0))
    for target in TARGETS:
        before, after = tallies["preset", target], tallies["preset + 2", target]
        assert len(before.held) == len(after.held) == 40
        assert np.mean([*before.held, *after.held]) > 0.85
        assert np.median(after.widths) < np.median(before.widths)


def test_a_preset_is_simulated_at_the_sizes_where_it_measures_both_sides():
    assert sizes_of("sweep") == sizes_of("claim") == SWEEP_SIZES
    assert sizes_of("gpu") == scaled(0.5, 1, 2, 4, 8, 16)
    assert set(sizes_of("gpu-sweep")) == set(scaled(0.5, 2, 4, 8))  # of 16 there is no CPU


def test_the_bytes_of_a_scaled_size_are_the_problems():
    for size in scaled(1, 2, 8):
        problem = Problem(*size)
        assert bytes_moved(np.log([float(problem.flops)]))[0] == pytest.approx(problem.bytes_moved, rel=1e-4)


def test_without_noise_a_run_finds_the_true_speedups():
    curve = machine(np.random.default_rng(1))
    found = measured(np.random.default_rng(2), curve, SWEEP_SIZES, Setting("sweep", 0.0, True, 3))
    truth = np.exp(curve(np.log([float(Problem(*size).flops) for size in SWEEP_SIZES])))
    assert [one.ratio.value for one in found] == pytest.approx(truth.tolist())


@pytest.mark.parametrize("kind", MACHINES)
@pytest.mark.parametrize("seed", range(3))
def test_every_kind_of_machine_has_a_continuous_speedup(kind, seed):
    places = np.linspace(np.log(4e5), np.log(1e11), 20_000)
    heights = MACHINES[kind](np.random.default_rng(seed))(places)
    assert np.isfinite(heights).all()
    assert np.abs(np.diff(heights)).max() < 0.02


def test_the_truth_is_the_first_place_at_or_above_the_target():
    places = np.log([1.0, 2.0, 3.0, 4.0])
    assert reached(places, np.array([-1.0, 0.0, -1.0, 1.0])) == pytest.approx(2)
    assert reached(places, np.array([1.0, -1.0, -1.0, 1.0])) == 0
    assert reached(places, np.array([-1.0, -1.0, -1.0, -1.0])) is None


def test_the_table_has_a_row_for_each_setting_target_and_number_of_sizes(tmp_path, monkeypatch):
    monkeypatch.setattr(crossovers, "NOISE", (0.01,))
    crossovers.main(["--machines", "2", "--seed", "5", "--out", str(tmp_path)])
    with open(tmp_path / crossovers.TABLE) as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 2 * 1 * 2 * 2 * 2 * 3
    assert {row["machines"] for row in rows} == {"2"}
    assert all(math.isfinite(float(row["coverage"])) for row in rows)
