"""Shares of an iteration on a CPU: planted parts are found, what they leave is said, and nothing is made up."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.cases.problem import TUTORIAL_SIZE, Problem
from bench.causes import shares
from bench.causes.shares import ALLOWED, CALLS, FAULTS, MEMORY, PRODUCTS, explain, summary
from bench.tables.columns import MEASUREMENT_COLUMNS
from bench.tables.run import Run, read_run
from bench.tests.planted import MACHINE, planted_row, write_run

ROOT = Path(__file__).resolve().parents[3]
PARTS = (PRODUCTS, MEMORY, CALLS, FAULTS)
SIDE = ("numpy_in_place", "cpu", "float32", 1)
MEASURED = ("calls_us", "products_us", "passes_us", "fault_us")
RESULTS = sorted(path.parent for path in (ROOT / "results").glob("*/measurements.csv"))

us = st.floats(1.0, 1000.0)


def planted(parts, rest, side=SIDE, size=TUTORIAL_SIZE, blocks=1, faults=20.0):
    """Rows of a case whose parts take so many us each, and `rest` besides."""
    latency_us = (sum(parts.values()) + rest) or 1.0
    return [
        {
            **planted_row(side, size, block, latency_us),
            "products_us": parts[PRODUCTS], "calls_us": parts[CALLS], "passes_us": parts[MEMORY],
            "minor_faults_per_iteration": faults,
            "fault_us": parts[FAULTS] / faults,
        }
        for block in range(blocks)
    ]  # fmt: skip


def run_of(folder: Path, rows) -> Run:
    frame = pd.DataFrame(rows, columns=list(MEASUREMENT_COLUMNS))
    return read_run(write_run(folder, frame, MACHINE))


@settings(max_examples=15)
@given(st.fixed_dictionaries(dict.fromkeys(PARTS, us)), st.floats(-0.3, 3.0), st.integers(1, 5))
def test_planted_parts_are_found_and_what_is_left_is_the_rest(tmp_path_factory, parts, more, blocks):
    whole_us = sum(parts.values())
    (found,) = explain(run_of(tmp_path_factory.mktemp("run"), planted(parts, more * whole_us, blocks=blocks)))
    for name, part_us in parts.items():
        assert math.isclose(found.parts[name].value, part_us / whole_us / (1 + more), rel_tol=1e-6)
    assert math.isclose(found.rest, 1 - 1 / (1 + more), rel_tol=1e-6, abs_tol=1e-9)
    assert found.whole
    assert found.adds_up == (abs(found.rest) <= ALLOWED)
    largest_us = max(parts.values())
    assert bool(found.bound_by) == (largest_us / whole_us > more) or math.isclose(largest_us / whole_us, more)
    if found.bound_by:
        assert parts[found.bound_by] >= largest_us * (1 - 1e-9)
        assert f"bound by {found.bound_by}" in found.words
    assert math.isnan(found.total.half) == (blocks == 1)


@pytest.mark.parametrize(("leads_by", "sure"), [(0.0, False), (0.3, True)])
def test_what_binds_a_case_is_said_as_surely_as_its_blocks_have_it(tmp_path, leads_by, sure):
    rng = np.random.default_rng()
    said = []
    for turn in range(40):
        rows = []
        for block, noise in enumerate(rng.normal(0, 0.02, (5, 2))):
            parts = {PRODUCTS: 100 * (0.4 + leads_by + noise[0]), MEMORY: 100 * (0.4 - leads_by + noise[1])}
            (row,) = planted({**dict.fromkeys(PARTS, 1.0), **parts}, 18.0)
            rows.append({**row, "block": block})
        (found,) = explain(run_of(tmp_path / str(turn), rows))
        said.append("perhaps bound by" not in found.words)
    assert np.mean(said) > 0.9 if sure else np.mean(said) < 0.2


def test_one_block_says_perhaps(tmp_path):
    (found,) = explain(run_of(tmp_path / "run", planted({**dict.fromkeys(PARTS, 1.0), PRODUCTS: 97.0}, 0.0)))
    assert "perhaps bound by products" in found.words


@settings(max_examples=10)
@given(st.sets(st.sampled_from(MEASURED), min_size=1))
def test_a_part_that_was_not_measured_is_named_and_is_no_zero(tmp_path_factory, missing):
    rows = planted(dict.fromkeys(PARTS, 10.0), 0.0)
    for name in missing:
        rows[0][name] = math.nan
    (found,) = explain(run_of(tmp_path_factory.mktemp("run"), rows))
    lost = {
        name
        for name, needs in {
            MEMORY: {"passes_us"}, CALLS: {"calls_us"}, FAULTS: {"fault_us"},
        }.items()
        if needs & missing
    }  # fmt: skip
    assert set(found.unknown) == lost
    assert found.parts[PRODUCTS].least == ("products_us" in missing)
    assert found.whole is False
    assert not found.adds_up
    assert all(name in found.words for name in lost)
    assert "No case of this run has all parts measured" in summary([found])


def test_an_older_run_knows_what_large_products_would_take_at_best_and_says_so(tmp_path):
    rows = [planted_row(SIDE, TUTORIAL_SIZE, block, 200.0) for block in range(3)]
    (found,) = explain(run_of(tmp_path / "run", rows))
    least_us = Problem().product_flops / 250.0 / 1e3  # of MACHINE's ceiling
    assert math.isclose(found.parts[PRODUCTS].value, least_us / 200.0)
    assert "products at least 52%" in found.words
    assert set(found.unknown) == {MEMORY, CALLS, FAULTS}


@pytest.mark.parametrize("seed", range(5))
def test_of_an_older_run_a_page_fault_costs_what_the_same_code_took_longer_on_the_heap_of_a_script(tmp_path, seed):
    draw = np.random.default_rng(seed)
    cost_us, faults, kept_us = draw.uniform(0.1, 2), draw.uniform(5, 500), draw.uniform(100, 1000)
    size = TUTORIAL_SIZE
    rows = [
        {**planted_row((style, "cpu", "float64", 1), size, 0, us), "minor_faults_per_iteration": count}
        for style, us, count in (("numpy_manual", kept_us + cost_us * faults, faults), ("numpy_kept", kept_us, 0.0))
    ]
    manual, kept = explain(run_of(tmp_path / "run", rows))
    assert math.isclose(manual.parts[FAULTS].value, cost_us * faults / (kept_us + cost_us * faults), rel_tol=1e-6)
    assert kept.parts[FAULTS].value == 0


def test_a_sentence_without_a_part_worth_a_name_still_reads(tmp_path):
    """A run of quick at a tiny size: its products are known at best, and next to nothing."""
    (found,) = explain(
        run_of(tmp_path / "run", [planted_row(("numpy_manual", "cpu", "float32", 1), TUTORIAL_SIZE, 0, 9e9)])
    )
    assert ":  of" not in found.words
    assert "what binds it is not known, of its " in found.words
    assert "a run of --preset tutorial measures them" in summary([found])


def test_a_part_is_held_against_the_time_that_it_was_measured_as_a_share_of_whatever_the_core_did(tmp_path):
    rows = planted(dict.fromkeys(PARTS, 25.0), 0.0)
    rows[0] |= {"latency_median_us": 150.0, "reference_us": 40.0, "latency_per_reference": 2.5}
    rows[0] |= {"products_us": 37.5, "passes_us": 37.5, "calls_us": 37.5}
    (found,) = explain(run_of(tmp_path / "run", rows))
    assert math.isclose(found.parts[PRODUCTS].value, 0.25)
    assert math.isclose(found.total.value, (3 * 37.5 + 25) / 150)  # a page fault is measured in us


@pytest.mark.parametrize("folder", RESULTS, ids=lambda path: path.name)
def test_in_a_committed_run_no_share_is_more_than_the_whole(folder):
    found = list(explain(read_run(folder)))
    for one in found:
        known = [part.value for part in one.parts.values() if part.known]
        assert known, one.words
        assert min(known) >= 0, one.words
        assert max(known) <= 1 + shares.ALLOWED, one.words


def test_where_every_part_was_measured_numpy_on_one_thread_adds_up():
    """Of the committed runs; its calls are few, and no allocator and no second thread comes between the parts."""
    found = [one for folder in RESULTS for one in explain(read_run(folder)) if one.whole]
    numpy = [one for one in found if one.case.style.startswith("numpy_") and one.case.threads == 1]
    if not numpy:
        pytest.skip("no committed run measured the parts yet")
    assert abs(np.mean([one.rest for one in numpy])) <= ALLOWED, summary(numpy)
