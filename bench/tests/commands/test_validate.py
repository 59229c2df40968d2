"""The command `validate`: its options, its exit codes, what it writes and says."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bench.checks import Check
from bench.cli import main
from bench.commands import validate
from bench.commands.validate import _show, more, sentence
from bench.plain import to_plain
from bench.tests.validation.pools import write_folder
from bench.validation.peers.agreement import TOOLS
from bench.validation.session import draft, read_design

CHECKS = [Check("a", "", "", True, 1), Check("b", "", "", None, 0)]


def test_a_pool_is_analysed_again_without_measuring(tmp_path, capsys):
    design = write_folder(tmp_path / "v")
    assert read_design(tmp_path / "v") == design
    code = main(["validate", "--pool", str(tmp_path / "v"), "--out", str(tmp_path / "again")])
    out = capsys.readouterr().out
    assert code == 1  # sequential runs of a pool without drift do not fail, and that is told
    assert "missed: " in out
    made = {path.name for path in (tmp_path / "again").iterdir()}
    assert made == {"experiments.csv", "acceptance.csv", "validation.png", "validation.svg"}


def test_disturbances_are_planted_into_a_pool_without_writing_anything(tmp_path, capsys):
    write_folder(tmp_path / "v", blocks=15)
    before = sorted(path.name for path in (tmp_path / "v").iterdir())
    main(["validate", "--drift", "--pool", str(tmp_path / "v")])
    out = capsys.readouterr().out
    assert "slows its own core" in out
    assert "timeit" not in out
    assert sorted(path.name for path in (tmp_path / "v").iterdir()) == before


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--minutes", "0"], "above 0"),
        (["--seed", "-1"], "from 0 up"),
        (["--pool", "x", "--quick"], "--drift alone"),
        (["--pool", "x", "--drift", "--out", "y"], "--drift alone"),
        (["--drift"], "--pool DIR"),
        (["--resume"], "--out DIR"),
        (["--pool", "nowhere"], "cannot be read"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(options, says, capsys):
    assert main(["validate", *options]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_a_damaged_table_is_bad_input(tmp_path, capsys):
    write_folder(tmp_path / "v", blocks=1)
    with open(tmp_path / "v" / TOOLS, "a") as file:
        file.write("timeit,fast,ratio,9,,,\n")
    assert main(["validate", "--pool", str(tmp_path / "v")]) == 2
    assert "not a number" in capsys.readouterr().err


def test_what_a_quick_look_does_not_test_is_no_failure_and_of_the_whole_one_it_is(capsys):
    assert [_show(CHECKS, quick=quick) for quick in (True, False)] == [0, 1]
    missed = replace(CHECKS[0], met=False)
    assert _show([*CHECKS, missed], quick=True) == 1
    assert "1 of 1 met; 1 untested" in capsys.readouterr().out
    assert sentence([*CHECKS, missed]) == "1 of 2 met; missed: a; 1 untested"


def test_more_minutes_make_room_for_more_blocks():
    design = replace(draft(quick=False, minutes=None, seed=0), blocks=40)
    assert more(design, 15.0).blocks == 100


def test_a_quick_look_says_in_few_words_what_it_did_not_test(capsys):
    left = [Check(f"coverage, K = {blocks}", "95%", "", None, 0, "no time for it") for blocks in range(3, 23)]
    assert _show([CHECKS[0], *left], quick=True) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "untested: no time for it: 20 lines: coverage, K = 3," in out
    assert out.endswith("1 of 1 met; 20 untested")
    assert _show([CHECKS[0], *left], quick=False) == 1
    assert "coverage, K = 22" in capsys.readouterr().out


@pytest.mark.parametrize("quick", [True, False])
def test_the_command_plants_liars_for_the_devices_of_the_folders_machine(tmp_path, monkeypatch, quick):
    asked = []
    for name in (
        "attacks.measure_liars",
        "challenge.measure_costs",
        "cheating.measure_cheats",
        "attacks.measure_kills",
    ):
        monkeypatch.setattr(f"bench.adversary.{name}", lambda *given, name=name: asked.append((name, *given[:-1])))
    design = draft(quick=quick, minutes=None, seed=3)
    machine = {"run_id": "r", "devices": {"cpu": {}, "cuda:0": {}}, "validation": to_plain(design)}
    (tmp_path / "machine.json").write_text(json.dumps(machine))
    validate._attack(tmp_path, None)
    assert asked[0] == ("attacks.measure_liars", tmp_path, {"cpu": {}, "cuda:0": {}})
    assert asked[-1] == ("attacks.measure_kills", tmp_path, 0 if quick else validate.KILLS, 3)
    assert len(asked) == (2 if quick else 4)
