"""A validation from its folder's first file to its last."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.adversary.attacks import LIARS, Trial
from bench.cases.measurement import Found
from bench.cases.problem import Size
from bench.errors import TableError, UsageError
from bench.runner.turns import Progress, Slot
from bench.tables.columns import ACCEPTANCE, ACCEPTANCE_COLUMNS
from bench.tables.csv_files import read_rows, write_as
from bench.tests.validation.pools import write_folder
from bench.validation.inside import SLOW_FIRST
from bench.validation.peers.agreement import TOOLS
from bench.validation.pool import POOL, POOL_COLUMNS, make_case
from bench.validation.session import (
    analyse,
    announcer,
    done_keys,
    draft,
    make_plan,
    measure,
    ours,
    read_design,
    sized,
)


def test_the_slow_first_call_is_in_the_first_blocks_only(tmp_path):
    design = replace(draft(quick=False, minutes=None, seed=0), blocks=40)
    plan = make_plan(design, tmp_path)
    blocks = {case.style: count for case, count in plan.cases.items()}
    assert blocks["numpy_in_place-1"] == blocks["torch_autograd-2"] == blocks["wrapper"] == 40
    assert blocks[SLOW_FIRST] == 10
    assert set(plan.styles) == set(blocks)
    assert {case.framework for case in plan.cases} == {"numpy", "torch"}


def test_without_torch_its_columns_are_left_out(monkeypatch):
    monkeypatch.setattr("bench.validation.session.find_spec", lambda module: module != "torch")
    assert set(draft(quick=False, minutes=None, seed=0).copies) == {"numpy_in_place", "numpy_manual"}


@pytest.mark.parametrize(("share", "products"), [(0.005, [10, 4, 2]), (0.03, [2, 1, 1])])
def test_plants_are_as_many_products_as_come_nearest_to_their_share_of_an_iteration(share, products):
    plants = sized(draft(quick=False, minutes=None, seed=0), share).plants
    assert plants == {"wrapper": 0, "spin-0": 0, **dict(zip(("work-5", "work-2", "work-1"), products, strict=True))}


def test_a_worker_that_fails_ends_the_validation_with_the_reason():
    with pytest.raises(UsageError, match="no numpy"):
        ours(lambda job: Found("failed", "no numpy"), draft(quick=True, minutes=None, seed=0), "x")


def test_the_time_left_is_the_nearer_of_pace_and_budget():
    said: list[str] = []
    times = iter([0.0, 0.0, 0.0, 60.0, 60.0])
    starting = announcer(said.append, 0.0, 180.0, now=lambda: next(times))
    slot = Slot(0, 0, make_case("A1", Size(1, 1, 1, 1), 0))
    starting(Progress(5, 100, slot))
    starting(Progress(15, 100, slot))
    assert "3.0 min left" in said[0]
    assert "2.0 min left" in said[1]


@pytest.mark.parametrize("machine", ['{"run_id": "r"}', '{"run_id": "r", "validation": {"copies": 8, "spins_ns": {}}}'])
def test_a_folder_that_is_no_validation_or_an_older_one_is_refused(tmp_path, machine):
    (tmp_path / "machine.json").write_text(machine)
    with pytest.raises(TableError, match="not of this version's fiftyx validate"):
        read_design(tmp_path)


def test_a_pool_that_was_cut_off_is_finished_without_a_turn_twice(tmp_path, monkeypatch):
    launched: list[str] = []

    def launch(job):
        if len(launched) == 4:
            launched.append("cut off")
            raise KeyboardInterrupt
        launched.append(job.case.style)
        return Found("ok", values={"latency_median_us": 265.0}, timed_us=[265.0, 266.0])

    monkeypatch.setattr("bench.validation.session.process_launcher", lambda plan: launch)
    (tmp_path / TOOLS).write_text("measured before\n")
    design = replace(draft(quick=True, minutes=None, seed=0), blocks=2, slow_blocks=1)
    with pytest.raises(KeyboardInterrupt):
        measure(tmp_path, design, None, lambda text: None)
    measure(tmp_path, design, None, lambda text: None)
    assert len(done_keys(tmp_path, design)) == 11
    assert len(read_rows(tmp_path / POOL, POOL_COLUMNS)) == 11
    copies = [f"numpy_in_place-{index}" for index in (1, 2, 3, 4)]
    assert sorted(set(launched) - {"cut off"}) == [*copies, SLOW_FIRST, "work-2"]
    assert len(launched) == 12


def test_measuring_ends_after_the_turn_in_which_the_time_is_up(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.validation.session.process_launcher", lambda plan: lambda job: Found("ok"))
    (tmp_path / TOOLS).write_text("measured before\n")
    design = replace(draft(quick=True, minutes=None, seed=0), blocks=5)
    measure(tmp_path, design, -1.0, lambda text: None)
    assert len(done_keys(tmp_path, design)) == 1


def test_the_acceptance_table_has_the_liars_untested_where_none_was_planted(tmp_path):
    write_folder(tmp_path / "v", blocks=3)
    honest = Trial("honest in numpy", "", "cpu", "", "ok", "")
    liar = Trial("no work", "", "cpu", "iteration 1", "wrong", "loss of iteration 1 is 5")
    ended = []
    for trials in ([], [honest, liar]):
        if trials:
            write_as(tmp_path / "v" / LIARS, Trial, trials)
        analyse(tmp_path / "v", tmp_path / "v")
        rows = read_rows(tmp_path / "v" / ACCEPTANCE, ACCEPTANCE_COLUMNS)
        ended += [row for row in rows if row["experiment"] == "planted liars"]
    assert [(row["experiment"], row["met"]) for row in ended] == [
        ("planted liars", "untested"),
        ("planted liars", "yes"),
    ]
