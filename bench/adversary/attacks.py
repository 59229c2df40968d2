"""The harness attacked: runs killed at random moments and resumed, and styles that lie in real worker processes."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.adversary.challenge import judge_costs, read_costs
from bench.adversary.cheating import judge_cheats, read_cheats
from bench.adversary.faults import Outcome, try_faults
from bench.adversary.kills import Aimed, kill_and_resume, total
from bench.adversary.lies import PLANTED, write_style
from bench.cases.case import Case
from bench.cases.grid import Skip
from bench.cases.plan import Plan
from bench.cases.problem import Problem, Size, stable_learning_rate
from bench.checks import Check
from bench.machine.device import cpu_model, device_kind
from bench.runner.turns import Launch, Progress, process_launcher, run
from bench.status import Say
from bench.tables.csv_files import columns_of, read_as, write_as

KILLS, LIARS = "kills.csv", "liars.csv"
BLOCKS, LEAST_KILLS = 4, 100
SIZE = Size(16, 250, 25, 5)  # small, so that a process takes about a second, and in float64 the gate at its strictest


@dataclass(frozen=True, slots=True)
class Killed:
    """What a run that was killed `kills` times came to: rows per turn that are too few, or too many."""

    kills: int
    turns: int
    lost: int
    doubled: int
    incomplete: int  # turns whose timed iterations are not as many as their measurement says
    gone: int = 0  # rows that stood in the table after a kill and not at the end


def sum_of(found: Sequence[Aimed]) -> Killed:
    """All targets and phases as one; a run that was refused has lost its rows."""
    counts = total(found)
    counts["lost"] += counts["refused"]
    return Killed(**{name: counts[name] for name in columns_of(Killed)})


@dataclass(frozen=True, slots=True)
class Trial:
    """A planted style and how its process ended; `must_say` has to stand in the reason, and is empty if honest."""

    liar: str
    does: str
    device: str
    must_say: str
    status: str  # of measurements.csv; `skipped` where the style cannot run here
    reason: str

    @property
    def honest(self) -> bool:
        """Whether it must be let through."""
        return not self.must_say

    @property
    def right(self) -> bool:
        """Whether it ended as it must: `ok`, or `wrong` for its own lie. A liar that merely fails is not caught."""
        return self.status == "ok" if self.honest else self.status == "wrong" and self.must_say in self.reason


def measure_kills(folder: Path, kills: int, seed: int, say: Say) -> None:
    """kills.csv into `folder`, unless it is there: a run killed `kills` times, and what became of its rows."""
    if kills and not (folder / KILLS).exists():
        with tempfile.TemporaryDirectory(prefix="fiftyx-") as place:
            found = kill_and_resume(Path(place), kills, BLOCKS, seed, say)
        write_as(folder / KILLS, Killed, [sum_of(found)])


def measure_liars(
    folder: Path, devices: Collection[str], say: Say, launcher: Callable[[Plan], Launch] = process_launcher
) -> None:
    """liars.csv into `folder`, unless it is there: every liar that `devices` can run, in a process of its own."""
    if (folder / LIARS).exists():
        return

    def starting(progress: Progress) -> None:
        say(f"planted liars, {progress.done + 1} of {progress.total}: {progress.slot.case.style}")

    with tempfile.TemporaryDirectory(prefix="fiftyx-") as styles:
        plan = plan_liars(Path(styles), devices)
        found = {one.case.style: one for one in run(plan, launcher(plan), starting=starting)}
    trials = [
        Trial(one.name, one.does, one.device, one.must_say, found[one.name].status, found[one.name].reason)
        for one in PLANTED
        if one.name in found
    ]
    write_as(folder / LIARS, Trial, trials)


def plan_liars(folder: Path, devices: Collection[str]) -> Plan:
    """One block of all that `devices` can run, their style files written into `folder`; skipped without its library."""
    planted = [one for one in PLANTED if one.device in devices]
    problem = Problem(*SIZE, "float64", stable_learning_rate(SIZE))
    cases = {one.name: Case(one.name, one.device, problem, framework=one.framework) for one in planted}
    styles = {
        one.name: write_style(folder, one.body, one.style, framework=one.framework, devices=(device_kind(one.device),))
        for one in planted
    }
    return Plan(
        preset="validate",
        cases={case: 1 for name, case in cases.items() if not styles[name].missing},
        blocks=1,
        styles=styles,
        skips=tuple(Skip(cases[name], style.missing) for name, style in styles.items() if style.missing),
    )


def judge_attacks(folder: Path) -> list[Check]:
    """Of what was tried in a folder: known cheats, kills, planted liars, what guards cost. Raises TableError."""
    return [
        judge_cheats(read_cheats(folder)),
        judge_kills(next(iter(read_as(folder / KILLS, Killed)), None)),
        judge_liars(read_as(folder / LIARS, Trial)),
        judge_costs(read_costs(folder)),
    ]


def judge_kills(killed: Killed | None) -> Check:
    """No row of a run that is killed and resumed may be lost or doubled; few kills prove nothing, but can disprove."""
    name, must = "SIGKILL at random moments, then --resume", f"no row lost, none doubled, n >= {LEAST_KILLS}"
    if killed is None:
        return Check(name, must, "", None, 0, "not tried; see --kills")
    lost = killed.lost + killed.gone
    got = f"{lost} lost, {killed.doubled} doubled, {killed.incomplete} incomplete of {killed.turns} turns"
    whole = killed.turns > 0 and lost == killed.doubled == killed.incomplete == 0
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
    return Check(name, must, got, met, len(liars), "; ".join(notes) or "real processes, the honest loop next to them")


README = """\
# The harness hurt on purpose: killed runs, and styles that break their process

{kills} SIGKILLs: {lost} rows lost, {doubled} doubled, {incomplete} incomplete, {gone} taken back,
{refused} resumes refused, {left} processes left 2 s later.
Faults: {survived} of {tried} rows and commands ended as they should, {rows} rows lost. {model}, made by `{command}`.

`kills.csv`: who was killed in which phase, how often, and what came of it; rows are counted at the end of the runs, in
the row of all targets. `faults.csv`: styles that do this were all run with an honest one, then `--resume` was asked
for; survived is a row that says what happened, and for the two commands the exit code 1 (a style failed) and no process
left 2 s later.
"""


def summary(killed: Sequence[Aimed], faults: Sequence[Outcome], command: str) -> str:
    """The folder's README."""
    survived, tried, rows = (sum(getattr(one, name) for one in faults) for name in ("survived", "tried", "lost"))
    return README.format(**total(killed), survived=survived, tried=tried, rows=rows, model=cpu_model(), command=command)


def main(arguments: Sequence[str]) -> int:
    """Write kills.csv, faults.csv and README.md into --out."""
    parser = argparse.ArgumentParser(prog="python -m bench.adversary.attacks", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="over all targets and phases")
    parser.add_argument("--blocks", type=int, default=3, help="so often each fault is tried")
    parser.add_argument("--timeout", type=float, default=8.0, help="seconds until a style that never ends is given up")
    parser.add_argument("--out", type=Path, default=Path("results/reliability"), help="folder to write")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fiftyx-") as place:
        faults = try_faults(Path(place), given.blocks, given.timeout)
        write_as(given.out / "faults.csv", Outcome, faults)
        killed = kill_and_resume(Path(place), given.kills, BLOCKS, 0, partial(print, file=sys.stderr))
        write_as(given.out / KILLS, Aimed, killed)
    command = f"{parser.prog} --kills {given.kills} --blocks {given.blocks} --out {given.out}"
    (given.out / "README.md").write_text(summary(killed, faults, command), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
