"""Options, surroundings and files that no command was made for: one line with the cure."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench.charts.draw import remove_stale
from bench.charts.drawing.style import applied, save
from bench.cli import main
from bench.commands._common import console
from bench.machine.facts import available_memory, describe
from bench.tests.fakes import PROBE
from bench.tests.runs import NUMPY, TORCH, around, write_run

pytestmark = pytest.mark.usefixtures("probed", "handlers")


@pytest.mark.parametrize(
    "arguments",
    [("--timeout", "3000000"), ("--size", "9" * 400 + ",1,1,1"), ("--size", "1,1,1,9" + "9" * 999),
     ("--threads", "9" * 400), ("--seed", str(2**63)), ("--blocks", str(10**9)), ("--size", "10000000000,1,1,1")],
)  # fmt: skip
def test_numbers_beyond_all_measure_are_refused(capsys, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert main(["run", "--dry-run", *arguments, "--out", str(tmp_path / "x")]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"fiftyx: {arguments[0]} ")
    assert said.count("\n") == 1
    assert len(said) < 400


@pytest.mark.parametrize("columns", ["abc", "-5", "0", "1e3", "9" * 99, ""])
def test_a_width_that_is_none_is_not_taken(monkeypatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert console().width == 200


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.EACCES])
def test_make_room_is_said_of_a_full_disk_alone(capsys, monkeypatch, tmp_path: Path, code: int) -> None:
    def fails(*_arguments: Any) -> None:
        raise OSError(code, os.strerror(code), "there")

    monkeypatch.setattr("bench.tables.run.read_run", fails)
    assert main(["table", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert os.strerror(code) in said
    assert ("make room" in said) == (code in (errno.ENOSPC, errno.EDQUOT))


STYLE = (
    "from implementations import implementation\n@implementation(framework='numpy', devices={})\ndef a(x): yield 1\n"
)


@pytest.mark.parametrize("written", ["{[]: 1}", "{{}: 1}", "-'a'", "(" * 150 + ")" * 150, "'\\ud800'"])
def test_devices_that_are_no_names_are_named_with_their_file(capsys, tmp_path: Path, written: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(STYLE.replace("{}", written), "utf-8")
    code = main(["list", "--style-file", str(path)])
    said = capsys.readouterr().err
    assert code == 2 or written == "'\\ud800'"
    assert code == 0 or str(path) in said


def test_a_style_file_that_nobody_ever_writes_to_is_refused(capsys, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "mine.py")
    assert main(["list", "--style-file", str(tmp_path / "mine.py")]) == 2
    assert "no regular file" in capsys.readouterr().err


def test_a_persons_own_pictures_stay(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    kept = [tmp_path / name for name in ("losses-mine.png", "losses.png", "trace.svg")]
    for path in kept:
        path.write_bytes(b"mine")
    with applied():
        ours = save(Figure(figsize=(1, 1)), tmp_path / "break-even")
    remove_stale(tmp_path, [])
    assert sorted(tmp_path.iterdir()) == sorted(kept)
    assert len(ours) == 2


def test_without_proc_the_memory_is_unknown_and_nothing_fails(monkeypatch) -> None:
    monkeypatch.setattr(psutil, "PROCFS_PATH", "/nowhere", raising=False)
    monkeypatch.setattr(psutil, "virtual_memory", _no_proc)
    assert available_memory() > 2**40
    assert describe(PROBE)["memory_bytes"] is None


def _no_proc() -> None:
    raise FileNotFoundError(2, "No such file or directory", "/nowhere/meminfo")


def test_control_characters_of_a_run_reach_no_terminal(capsys, tmp_path: Path) -> None:
    folder = write_run(
        tmp_path / "a\x1b[2Jb", {NUMPY: around(100), TORCH: around(50)}, cpu_model="x\x1b]0;y\x07"
    ).folder
    for command in (["table"], ["verdict"], ["compare", str(folder)]):
        main([*command, str(folder)])
    assert main(["table", f"{folder}\x1b[2J"]) == 2
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err
    assert "\x07" not in said.out + said.err
