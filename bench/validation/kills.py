"""SIGKILL at random moments, then `--resume`: whether a row is ever lost or doubled."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import pandas as pd

from bench.cases.case import CASE_COLUMNS
from bench.errors import UsageError
from bench.machine.environment import ROOT
from bench.tables.columns import MEASUREMENTS
from bench.tables.csv_files import read_rows, write_rows
from bench.tables.run import read_iterations, read_run

CASES = ("--style", "numpy_in_place", "--style", "numpy_manual", "--size", "16,250,25,5", "--threads", "1")
KILLS = "kills.csv"
BLOCKS = 8
LONGEST_S = 4.0  # of a life before it is killed: set-up, ceilings and a few turns fit into it
Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Killed:
    """What a run that was killed `kills` times came to: rows per turn that are too few, or too many.

    `gone` counts rows that stood in the table after a kill and not at the end.
    """

    kills: int
    turns: int
    lost: int
    doubled: int
    incomplete: int  # turns whose timed iterations are not as many as their measurement says
    gone: int = 0


COLUMNS = tuple(field.name for field in fields(Killed))


def measure_kills(folder: Path, kills: int, seed: int, told: Told) -> None:
    """kills.csv into `folder`, unless it is there: a run killed `kills` times, and what became of its rows."""
    if kills and not (folder / KILLS).exists():
        with tempfile.TemporaryDirectory(prefix="fiftyx-") as place:
            killed = kill_and_resume(Path(place), kills, BLOCKS, seed, told)
        write_rows(folder / KILLS, COLUMNS, [asdict(killed)])


def read_kills(folder: Path) -> Killed | None:
    """What kills.csv of a folder says, None where it was not tried. Raises TableError."""
    if not (folder / KILLS).exists():
        return None
    (row,) = read_rows(folder / KILLS, COLUMNS)
    return Killed(**{name: int(row[name]) for name in COLUMNS})


def kill_and_resume(folder: Path, kills: int, blocks: int, seed: int = 0, told: Told = lambda _text: None) -> Killed:
    """Start a small run, kill it `kills` times at random moments of its life, finish it, and count its rows.

    A run that ends before it was killed often enough is begun again in another folder beside it.
    """
    draw = random.Random(seed)
    done, life, total = 0, 0, Killed(0, 0, 0, 0, 0)
    while done < kills:
        place = folder / f"run-{life}"
        life += 1
        written: set[bytes] = set()
        while done < kills and not _live(place, blocks, draw.uniform(0.1, LONGEST_S)):
            done += 1
            written |= whole_lines(place)
            told(f"killed {done} of {kills} times, run {life}")
        _live(place, blocks, None)
        gone = len(written - whole_lines(place))
        total = _add(total, replace(inspect(place, blocks), gone=gone))
    return replace(total, kills=done)


def whole_lines(folder: Path) -> set[bytes]:
    """The lines of measurements.csv that have an end: what a kill must never take back."""
    path = folder / MEASUREMENTS
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return {line for line in lines if line.endswith(b"\n")}


def inspect(folder: Path, blocks: int) -> Killed:
    """Count what a finished run of CASES holds."""
    rows = read_run(folder).measurements
    rows = rows[rows["status"] != "skipped"]
    keys = ["block", *CASE_COLUMNS]
    per_turn = rows.groupby(keys).size()
    cases = rows.groupby(list(CASE_COLUMNS)).ngroups
    timed = read_iterations(folder)
    timed = timed[timed["phase"] == "timed"]
    counted = timed.groupby(keys)["iteration"].agg(["size", "nunique"])
    expected = rows.set_index(keys)["iterations"]
    joined = pd.DataFrame({"expected": expected}).join(counted, how="outer").fillna(0)
    whole = (joined["expected"] == joined["size"]) & (joined["size"] == joined["nunique"])
    return Killed(0, cases * blocks, cases * blocks - len(per_turn), int((per_turn > 1).sum()), int((~whole).sum()))


def _add(one: Killed, other: Killed) -> Killed:
    return Killed(
        one.kills + other.kills,
        one.turns + other.turns,
        one.lost + other.lost,
        one.doubled + other.doubled,
        one.incomplete + other.incomplete,
        one.gone + other.gone,
    )


def _live(folder: Path, blocks: int, seconds: float | None) -> bool:
    """Run or resume until the end, or until killed after `seconds`; whether it came to its end."""
    options = [*CASES, "--blocks", str(blocks), "--seed", "0", *(["--resume"] if folder.exists() else [])]
    command = [sys.executable, "-m", "bench", "run", *options, "--no-charts", "--out", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, text=True)
    try:
        _output, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        time.sleep(0.05)  # the kernel ends the worker when its parent is gone
        return False
    if process.returncode not in (0, 1):  # 1: a row failed, and that is a row too
        last = (errors.strip().splitlines() or ["no message"])[-1]
        raise UsageError(f"a run that was killed cannot be resumed, exit code {process.returncode}: {last}")
    return True
