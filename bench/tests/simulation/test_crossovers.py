"""Tests of bench.simulation.crossovers: the simulated machines are what they say, and few of them suffice to see it."""

from __future__ import annotations

import csv
import math
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cases.presets import SWEEP_SIZES, scaled
from bench.cases.problem import Problem
from bench.simulation import crossovers
from bench.simulation.crossover_words import tables
from bench.simulation.crossovers import MACHINES, Setting, bytes_moved, machine, measured, reached, simulate, sizes_of
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


def test_the_table_has_a_row_for_each_setting_target_and_number_of_sizes(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(crossovers, "NOISE", (0.01,))
    crossovers.main(["--machines", "2", "--seed", "5", "--out", str(tmp_path)])
    with open(tmp_path / crossovers.TABLE) as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 2 * 1 * 2 * 2 * 2 * 3
    assert {row["machines"] for row in rows} == {"2"}
    assert all(math.isfinite(float(row["coverage"])) for row in rows)
    said = capsys.readouterr().out
    assert said == tables(rows) + "\n"
    assert len([line for line in said.splitlines() if line.startswith(("| 3 |", "| 10 |"))]) == 2 * 3


@given(st.lists(st.tuples(st.integers(1, 500), st.integers(0, 1000)), min_size=6, max_size=6))
def test_the_coverage_of_all_machines_is_that_of_each_kind_by_how_many_it_has(found):
    rows = [
        {"machines_of": kind, "sizes": sizes, "blocks": "3", "target": "10", "machines": str(machines),
         "coverage": str(per_mille / 1000), "median_width": "1.2", "bumpy_coverage": "",
         "called_not_reached": "8", "wrongly": "0.5"}
        for (kind, sizes), (machines, per_mille) in zip(
            product(("parts", "waves", "kinks"), ("preset", "preset + 2")), found, strict=True)
    ]  # fmt: skip
    mean = sum(n * per_mille for n, per_mille in found[::2]) / sum(n for n, _ in found[::2]) / 1000
    line = next(line for line in tables(rows).splitlines() if line.startswith("| 3 | 10x |"))
    assert float(line.split("|")[3].strip(" %")) == pytest.approx(100 * mean, abs=0.051)
    assert line.endswith(f"| {sum(n for n, _ in found[::2]):,} |")
    assert "wrong in 50.0% of 48 such calls" in tables(rows)


def test_the_committed_readme_says_what_the_committed_table_comes_to():
    folder = Path(__file__).parents[3] / "results" / "crossover"
    with open(folder / crossovers.TABLE) as file:
        assert tables(list(csv.DictReader(file))) in (folder / "README.md").read_text()
