"""`table`: a run without a row is a complaint, not silence; one that was cut off is said to be so."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bench.cli import main
from bench.machine.environment import ROOT
from bench.tests.planted import planted, write_run


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize(("blocks", "code"), [(0, 2), (2, 0)])
def test_a_run_without_a_row_is_refused_and_not_passed_over(tmp_path, capsys, blocks, code):
    folder = write_run(tmp_path / "run", planted(blocks=blocks))
    assert main(["table", str(folder)]) == code
    printed = capsys.readouterr()
    assert ("holds no measurement" in printed.err) == (code == 2)
    assert bool(printed.out) == (code == 0)


WHOLE = ROOT / "results" / "explained-intel"


def cut_short(folder: Path) -> Path:
    """A run whose last two turns are missing."""
    folder.mkdir()
    for name in ("machine.json", "as_found.csv", "measurements.csv", "iterations.csv"):
        shutil.copyfile(WHOLE / name, folder / name)
    rows = (folder / "measurements.csv").read_text().splitlines(keepends=True)
    (folder / "measurements.csv").write_text("".join(rows[:-2]))
    return folder


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("command", [("report", "--no-charts"), ("share",)])
def test_what_is_passed_on_of_a_run_that_was_cut_off_says_so(tmp_path, command):
    cut = cut_short(tmp_path / "run")
    assert main([*command, str(cut)]) == 0
    name = {"report": "report.html", "share": "share.json"}[command[0]]
    assert "unfinished, 2 turns left" in (cut / name).read_text(encoding="utf-8")


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("command", [("table",), ("verdict", "--json"), ("explain",), ("compare",)])
def test_every_command_that_reads_a_run_says_that_it_was_cut_off(tmp_path, capsys, command):
    whole, cut = WHOLE, cut_short(tmp_path / "a run")
    main([*command, *([str(whole)] if command == ("compare",) else []), str(cut)])
    said = capsys.readouterr().err
    assert said.count("unfinished, 2 turns left; go on with: ") == 1
    assert f"run --resume --out '{cut}'" in said
    assert str(whole) not in said


@pytest.mark.usefixtures("handlers")
def test_beside_a_complaint_nothing_else_is_said(tmp_path, capsys):
    whole, cut = ROOT / "results" / "explained-intel", tmp_path / "run"
    cut.mkdir()
    shutil.copyfile(whole / "machine.json", cut / "machine.json")
    rows = (whole / "measurements.csv").read_text().splitlines(keepends=True)
    (cut / "measurements.csv").write_text("".join(rows[:-2]))
    (cut / "iterations.csv").write_text("no table of ours\n")
    assert main(["chart", str(cut)]) == 2
    said = capsys.readouterr().err
    assert "iterations.csv" in said
    assert said.count("\n") == 1
