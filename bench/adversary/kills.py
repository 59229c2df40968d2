"""Real runs, killed with SIGKILL where they are most easily hurt: the run itself, its workers, its ceilings."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pandas as pd
import psutil

from bench.cases.case import CASE_COLUMNS
from bench.errors import UsageError
from bench.machine.environment import ROOT
from bench.status import Say
from bench.tables.columns import MEASUREMENTS
from bench.tables.run import read_iterations, read_run

CASES = ("--style", "numpy_in_place", "--style", "numpy_manual", "--size", "16,250,25,5", "--threads", "1")
ALL = "all"
TOKEN = "FIFTYX_LIFE"  # a variable that every process of a run inherits, by which it is found
LEFT_S = 2.0  # after which nothing of a killed run may be there
START_S, LIFE_S = 0.085, 1.0  # a worker loads in the first, and measures in what follows


@dataclass(frozen=True, slots=True)
class Aim:
    """Who is killed, and when: `earliest` to `latest` seconds after `module` was started, or the run itself."""

    target: str
    phase: str
    module: str = ""
    earliest: float = 0.0
    latest: float = START_S


AIMS = (
    Aim("ceilings", "starts", "bench.worker.ceilings"),
    Aim("ceilings", "measures", "bench.worker.ceilings", START_S, LIFE_S),
    Aim("parent", "ceilings start", "bench.worker.ceilings"),
    Aim("parent", "ceilings are measured", "bench.worker.ceilings", START_S, LIFE_S),
    Aim("worker", "starts", "bench.worker"),
    Aim("parent", "a worker starts", "bench.worker"),
    Aim("worker", "measures", "bench.worker", START_S, LIFE_S),
    Aim("parent", "a worker measures", "bench.worker", START_S, LIFE_S),
    Aim("parent", "probe starts", "bench.machine.probe"),
    Aim("parent", "any time", "", 0.0, 4.0),
)


@dataclass(frozen=True, slots=True)
class Aimed:
    """Kills of one target in one phase, and what came of them; rows and turns are counted at the end, for all."""

    target: str
    phase: str
    kills: int = 0
    refused: int = 0  # resumes
    left: int = 0  # processes, 2 s later
    gone: int = 0  # rows that stood in the table after a kill
    turns: int = 0
    lost: int = 0
    doubled: int = 0
    incomplete: int = 0


COUNTS = ("kills", "refused", "left", "gone", "turns", "lost", "doubled", "incomplete")


def total(found: Iterable[Aimed]) -> dict[str, int]:
    """Each count, of all of them together."""
    every = list(found)
    return {name: sum(getattr(one, name) for one in every) for name in COUNTS}


@dataclass(frozen=True, slots=True)
class Life:
    """A process of `fiftyx run`, and the token that it and everything below it carries."""

    process: subprocess.Popen[str]
    token: str

    @classmethod
    def begin(cls, folder: Path, options: Sequence[str]) -> Life:
        """Run, or resume where the folder is there already."""
        token = uuid.uuid4().hex
        resume = ["--resume"] if folder.exists() else []
        command = [sys.executable, "-m", "bench", "run", *options, *resume, "--no-charts", "--out", str(folder)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), TOKEN: token}
        nowhere, pipe = subprocess.DEVNULL, subprocess.PIPE
        return cls(subprocess.Popen(command, stdout=nowhere, stderr=pipe, env=environment, text=True), token)

    def ended(self) -> int:
        """Wait for its end; the exit code. Raises UsageError, with its last line, where no row is the reason."""
        _output, errors = self.process.communicate()
        if self.process.returncode not in (0, 1, -9):
            last = (errors.strip().splitlines() or ["no message"])[-1]
            raise UsageError(f"a run that was hurt cannot go on, exit code {self.process.returncode}: {last}")
        return self.process.returncode

    def child(self, module: str, other_than: set[int]) -> psutil.Process | None:
        """Wait for its next process of `module`; None where the run ended first."""
        while self.process.poll() is None:
            try:
                for one in psutil.Process(self.process.pid).children():
                    if one.pid not in other_than and one.cmdline()[1:3] == ["-m", module]:
                        return one
            except psutil.Error:
                pass
            time.sleep(0.002)
        return None


def left_behind(token: str) -> int:
    """How many processes that carry `token` are there `LEFT_S` later; these are then killed."""
    end = time.monotonic() + LEFT_S
    while (found := _carrying(token)) and time.monotonic() < end:
        time.sleep(0.02)
    for one in found:
        one.kill()
    return len(found)


def _carrying(token: str) -> list[psutil.Process]:
    every = psutil.process_iter(["environ", "status"])  # None where the system does not tell
    return [
        one
        for one in every
        if (one.info["environ"] or {}).get(TOKEN) == token and one.info["status"] != psutil.STATUS_ZOMBIE
    ]


def shoot(folder: Path, kills: int, blocks: int, seed: int, say: Say) -> Iterator[Aimed]:
    """`kills` over all of AIMS in turn: each of them, and each run that was killed once it is finished."""
    draw, options = random.Random(seed), (*CASES, "--blocks", str(blocks), "--seed", "0")
    done, number = 0, 0
    while done < kills:
        place, first, written = folder / f"run-{number}", done, set[bytes]()
        life, shot_at = Life.begin(place, options), set[int]()
        while done < kills:
            aim = AIMS[done % len(AIMS)]
            if done > first and aim == AIMS[0]:
                break  # its ceilings are measured: the next run has its own
            target = life.child(aim.module, shot_at) if aim.module else psutil.Process(life.process.pid)
            time.sleep(draw.uniform(aim.earliest, aim.latest))
            if target is None or life.process.poll() is not None:
                break  # it came to its end unhurt, and another run is begun
            say(f"kill {done + 1} of {kills}: {aim.target}, {aim.phase}")
            shot_at.add(target.pid)
            life, shot = _kill(life, aim, target, place, options)
            written |= whole_lines(place)
            if shot is not None:
                done += 1
                yield shot
        refused = 0
        try:
            life.ended()
        except UsageError as error:
            say(str(error))
            refused = 1
        gone, left = len(written - whole_lines(place)), left_behind(life.token)
        yield Aimed(ALL, "at the end", 0, refused, left, gone, **count_turns(place, blocks))
        number += 1


def _kill(
    life: Life, aim: Aim, target: psutil.Process, place: Path, options: Sequence[str]
) -> tuple[Life, Aimed | None]:
    """The life that goes on after a kill: the same, or where the run itself was killed its resumed one."""
    if aim.target != "parent":
        try:
            target.kill()
        except psutil.NoSuchProcess:
            return life, None  # it had ended
        return life, Aimed(aim.target, aim.phase, kills=1)
    life.process.kill()
    life.process.communicate()
    left = left_behind(life.token)
    return Life.begin(place, options), Aimed(aim.target, aim.phase, kills=1, left=left)


def whole_lines(folder: Path) -> set[bytes]:
    """The lines of measurements.csv that have an end: what a kill must never take back."""
    path = folder / MEASUREMENTS
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return {line for line in lines if line.endswith(b"\n")}


def count_turns(folder: Path, blocks: int) -> dict[str, int]:
    """Of a finished run: its turns, and how many of them are lost, doubled, or without all of their times."""
    rows = read_run(folder).measurements
    rows = rows[rows["status"] != "skipped"]
    keys = ["block", *CASE_COLUMNS]
    per_turn = rows.groupby(keys).size()
    turns = rows.groupby(list(CASE_COLUMNS)).ngroups * blocks
    timed = read_iterations(folder)
    timed = timed[timed["phase"] == "timed"]
    counted = timed.groupby(keys)["iteration"].agg(["size", "nunique"])
    expected = rows.set_index(keys)["iterations"]
    joined = pd.DataFrame({"expected": expected}).join(counted, how="outer").fillna(0)
    whole = (joined["expected"] == joined["size"]) & (joined["size"] == joined["nunique"])
    return {
        "turns": turns,
        "lost": turns - len(per_turn),
        "doubled": int((per_turn > 1).sum()),
        "incomplete": int((~whole).sum()),
    }


def kill_and_resume(folder: Path, kills: int, blocks: int, seed: int, say: Say) -> list[Aimed]:
    """Kill small runs `kills` times in all, at every phase, resume them to their end, and count what became of them."""

    def place(one: Aimed) -> tuple[bool, str, str]:
        return one.target == ALL, one.target, one.phase

    shots = sorted(shoot(folder, kills, blocks, seed, say), key=place)
    return [Aimed(target, phase, **total(same)) for (_, target, phase), same in groupby(shots, key=place)]
