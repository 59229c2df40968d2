"""The harness attacked: runs killed at random moments and resumed, and styles that lie in real worker processes."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import pandas as pd

from bench.cases.case import CASE_COLUMNS, Case
from bench.cases.grid import Skip
from bench.cases.plan import Plan
from bench.cases.problem import Problem, Size, stable_learning_rate
from bench.errors import UsageError
from bench.machine.device import device_kind
from bench.machine.environment import ROOT
from bench.runner.turns import Launch, Progress, process_launcher, run
from bench.tables.columns import MEASUREMENTS
from bench.tables.csv_files import read_as, write_as
from bench.tables.run import read_iterations, read_run
from bench.validation.acceptance import Check
from bench.validation.lies import PLANTED, Liar, write_style

KILLS, LIARS = "kills.csv", "liars.csv"
CASES = ("--style", "numpy_in_place", "--style", "numpy_manual", "--size", "16,250,25,5", "--threads", "1")
BLOCKS, LEAST_KILLS = 8, 100
LONGEST_S = 4.0  # of a life before it is killed: set-up, ceilings and a few turns fit into it
SIZE = Size(16, 250, 25, 5)  # small, so that a process takes about a second
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

    def __add__(self, other: Killed) -> Killed:
        return Killed(*map(sum, zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True, slots=True)
class Trial:
    """A planted style and how its process ended; `must_say` has to stand in the reason, and is empty for an honest one.

    `status` is one of those of measurements.csv; `skipped` where the style cannot run here.
    """

    liar: str
    does: str
    device: str
    must_say: str
    status: str
    reason: str

    @property
    def honest(self) -> bool:
        """Whether it must be let through."""
        return not self.must_say

    @property
    def right(self) -> bool:
        """Whether it ended as it must: `ok`, or `wrong` for its own lie. A liar that merely fails is not caught."""
        return self.status == "ok" if self.honest else self.status == "wrong" and self.must_say in self.reason


def measure_kills(folder: Path, kills: int, seed: int, told: Told) -> None:
    """kills.csv into `folder`, unless it is there: a run killed `kills` times, and what became of its rows."""
    if kills and not (folder / KILLS).exists():
        with tempfile.TemporaryDirectory(prefix="fiftyx-") as place:
            killed = kill_and_resume(Path(place), kills, BLOCKS, seed, told)
        write_as(folder / KILLS, Killed, [killed])


def read_kills(folder: Path) -> Killed | None:
    """What kills.csv of a folder says, None where it was not tried. Raises TableError."""
    return next(iter(read_as(folder / KILLS, Killed)), None)


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
        total += replace(inspect(place, blocks), gone=gone)
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


def measure_liars(
    folder: Path, devices: Collection[str], told: Told, launcher: Callable[[Plan], Launch] = process_launcher
) -> None:
    """liars.csv into `folder`, unless it is there: every liar that `devices` can run, in a process of its own."""
    if (folder / LIARS).exists():
        return

    def starting(progress: Progress) -> None:
        told(f"planted liars, {progress.done + 1} of {progress.total}: {progress.slot.case.style}")

    with tempfile.TemporaryDirectory(prefix="fiftyx-") as styles:
        plan = plan_liars(Path(styles), devices)
        found = {one.case.style: one for one in run(plan, launcher(plan), starting=starting)}
    trials = [
        Trial(one.name, one.does, one.device, one.must_say, found[one.name].status, found[one.name].reason)
        for one in PLANTED
        if one.name in found
    ]
    write_as(folder / LIARS, Trial, trials)


def read_liars(folder: Path) -> list[Trial]:
    """What liars.csv of a folder says, nothing where none was planted. Raises TableError."""
    return read_as(folder / LIARS, Trial)


def plan_liars(folder: Path, devices: Collection[str]) -> Plan:
    """One block of all that `devices` can run, their style files written into `folder`; skipped without its library."""
    planted = [one for one in PLANTED if one.device in devices]
    styles = {
        one.name: write_style(folder, one.body, one.style, framework=one.framework, devices=(device_kind(one.device),))
        for one in planted
    }
    missing = {name: style.missing for name, style in styles.items() if style.missing}
    return Plan(
        preset="validate",
        cases={make_case(one): 1 for one in planted if one.name not in missing},
        blocks=1,
        styles=styles,
        skips=tuple(Skip(make_case(one), missing[one.name]) for one in planted if one.name in missing),
    )


def make_case(liar: Liar) -> Case:
    """A small case in float64 on one thread, where the gate is at its strictest; its style is the liar's name."""
    problem = Problem(*SIZE, "float64", stable_learning_rate(SIZE))
    return Case(liar.name, liar.device, problem, framework=liar.framework)


def judge_kills(killed: Killed | None) -> Check:
    """No row of a run that is killed and resumed may be lost or doubled; few kills prove nothing, but can disprove."""
    name, must = "SIGKILL at random moments, then --resume", f"no row lost, none doubled, n >= {LEAST_KILLS}"
    if killed is None:
        return Check(name, must, "", None, 0, "not tried; see --kills")
    lost = killed.lost + killed.gone
    got = f"{lost} lost, {killed.doubled} doubled, {killed.incomplete} incomplete of {killed.turns} turns"
    whole = killed.turns > 0 and killed.lost == killed.gone == killed.doubled == killed.incomplete == 0
    met = None if whole and killed.kills < LEAST_KILLS else whole
    return Check(name, must, got, met, killed.kills, "real runs, real signals")


def judge_liars(trials: Sequence[Trial]) -> Check:
    """No liar may get through, and no honest style may be held back, or catching proves nothing."""
    name, must = "planted liars", "all caught, the honest let through"
    if not trials:
        return Check(name, must, "", None, 0, "none planted; see --resume")
    skipped = [one for one in trials if one.status == "skipped"]
    tried = [one for one in trials if one.status != "skipped"]
    liars = [one for one in tried if not one.honest]
    missed = [one for one in tried if not one.right]
    got = f"{sum(one.right for one in liars)} of {len(liars)} caught"
    got += ", an honest one held back" if any(one.honest for one in missed) else ""
    notes = [f"{one.liar} ended {one.status}: {one.reason}".rstrip(": ") for one in missed]
    notes += [f"{one.liar} skipped: {one.reason}" for one in skipped]
    untested = bool(skipped) or not all(any(one.honest is kind for one in tried) for kind in (True, False))
    met = False if missed else None if untested else True
    return Check(name, must, got, met, len(liars), "; ".join(notes) or "real processes, the honest loop beside them")
