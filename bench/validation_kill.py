"""SIGKILL at random moments, then `--resume`: whether a row is ever lost or doubled."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bench.case import CASE_COLUMNS
from bench.environment import ROOT
from bench.table import MEASUREMENTS, read_iterations, read_run

CASES = ("--style", "numpy_in_place", "--style", "numpy_manual", "--size", "16,250,25,5", "--threads", "1")
LONGEST_S = 4.0  # of a life before it is killed: set-up, ceilings and a few turns fit into it


@dataclass(frozen=True, slots=True)
class Killed:
    """What a run that was killed `kills` times came to: rows per turn that are too few, or too many."""

    kills: int
    turns: int
    lost: int
    doubled: int
    incomplete: int  # turns whose timed iterations are not as many as their measurement says


def kill_and_resume(folder: Path, kills: int, blocks: int, seed: int = 0) -> Killed:
    """Start a small run, kill it `kills` times at random moments of its life, finish it, and count its rows.

    A run that ends before it was killed often enough is begun again in another folder beside it.
    """
    draw = random.Random(seed)
    done, life, total = 0, 0, Killed(0, 0, 0, 0, 0)
    while done < kills:
        place = folder / f"run-{life}"
        life += 1
        while done < kills and not _live(place, blocks, draw.uniform(0.1, LONGEST_S)):
            done += 1
        while not _live(place, blocks, None):
            pass
        total = _add(total, inspect(place, blocks))
    return Killed(done, total.turns, total.lost, total.doubled, total.incomplete)


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
    )


def _live(folder: Path, blocks: int, seconds: float | None) -> bool:
    """Run or resume until the end, or until killed after `seconds`; whether it came to its end."""
    begun = (folder / MEASUREMENTS).exists() or (folder / "machine.json").exists()
    options = ["--resume"] if begun else [*CASES, "--blocks", str(blocks), "--seed", "0"]
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
    if process.returncode != 0:
        raise RuntimeError(f"a resumed run ended with {process.returncode}: {errors.strip()[-500:]}")
    return True
