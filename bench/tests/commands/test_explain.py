"""`explain`: a sentence a case, its shares, and what a program reads."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from bench.cases.problem import TUTORIAL_SIZE
from bench.cli import main
from bench.tables.columns import MEASUREMENT_COLUMNS
from bench.tests.causes.test_shares import PARTS, planted
from bench.tests.planted import MACHINE, planted_row, write_run

ROOT = Path(__file__).resolve().parents[3]
GPU = ("torch_tensors", "cuda:0", "float32", 1)


@pytest.fixture(autouse=True)
def _handlers(handlers):
    """The command line takes SIGTERM."""


def a_run(folder, sizes=(TUTORIAL_SIZE,)):
    rows = [
        row
        for size in sizes
        for row in (
            *planted(dict(zip(PARTS, (60.0, 20.0, 10.0, 5.0), strict=True)), 5.0, size=size, blocks=2),
            *(planted_row(GPU, size, block, 300.0) for block in range(2)),
        )
    ]
    return write_run(folder, pd.DataFrame(rows, columns=list(MEASUREMENT_COLUMNS)), MACHINE)


def test_it_says_a_sentence_a_case_and_the_shares_of_each(tmp_path, capsys):
    assert main(["explain", str(a_run(tmp_path / "run"))]) == 0
    out = capsys.readouterr().out
    assert "numpy_in_place cpu float32 1 thread: bound by products: products 60%, memory 20%" in out
    assert "5% not explained" in out
    assert "torch_tensors cuda:0 float32: what binds it was not measured" in out
    assert "In 1 of 1 case the shares add up to 100% within 5%." in out


def test_it_shows_the_tutorials_size_and_with_all_every_one(tmp_path, capsys):
    folder = str(a_run(tmp_path / "run", (TUTORIAL_SIZE, TUTORIAL_SIZE.scaled(2))))
    for options, sizes in (([], 1), (["--all"], 2)):
        assert main(["explain", folder, "--json", *options]) == 0
        rows = json.loads(capsys.readouterr().out)
        assert len({row["d_in"] for row in rows}) == sizes
        assert len(rows) == 2 * sizes
    one = next(row for row in rows if row["device"] == "cpu")
    assert one["bound_by"] == "products"
    assert one["shares"]["products"] == pytest.approx(0.6)
    assert one["run"] == "run"


def test_a_run_without_a_measured_case_leaves_it_open(tmp_path, capsys):
    row = {**planted_row(GPU, TUTORIAL_SIZE, 0, 300.0), "status": "failed", "reason": "broke"}
    folder = write_run(tmp_path / "run", pd.DataFrame([row], columns=list(MEASUREMENT_COLUMNS)), MACHINE)
    assert main(["explain", str(folder)]) == 3
    assert "nothing to explain" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["tutorial-epyc", "tutorial-cpu", "sweep-cpu"])
def test_every_committed_run_on_a_cpu_is_explained_as_far_as_it_was_measured(name, capsys):
    assert main(["explain", str(ROOT / "results" / name), "--all", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows
    assert all(row["shares"]["products"] > 0 for row in rows)


def test_styles_of_which_more_and_less_is_known_stand_in_one_table(tmp_path, capsys):
    figures = {"launch_us": {"median": 2.0}, "launch_and_read_us": 12.0}
    machine = {**MACHINE, "floors": {"cuda:0": {"figures": figures}}}
    for order in (("torch_tensors", "a_style_of_mine"), ("a_style_of_mine", "torch_tensors")):
        rows = [planted_row((style, *GPU[1:]), TUTORIAL_SIZE, block, us) for us, style in enumerate(order, 300)
                for block in range(2)]  # fmt: skip
        folder = write_run(tmp_path / order[0], pd.DataFrame(rows, columns=list(MEASUREMENT_COLUMNS)), machine)
        assert main(["explain", str(folder)]) == 0
        assert "launches" in capsys.readouterr().out
        assert main(["explain", str(folder), "--json"]) == 0
        known = {row["style"]: row["shares"] for row in json.loads(capsys.readouterr().out)}
        assert known["a_style_of_mine"]["launches"] is None
        assert known["torch_tensors"]["launches"] > 0
