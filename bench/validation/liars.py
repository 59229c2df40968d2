"""Planted liars in real worker processes: whether each is caught for its lie, and the honest ones are let through."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from bench.cases.case import Case
from bench.cases.grid import Skip
from bench.cases.plan import Plan
from bench.cases.problem import Problem, Size, stable_learning_rate
from bench.machine.device import device_kind
from bench.runner.turns import Launch, Progress, process_launcher, run
from bench.tables.csv_files import read_rows, write_rows
from bench.validation.acceptance import Check
from bench.validation.kills import Told
from bench.validation.lies import PLANTED, Liar, write_style

LIARS = "liars.csv"
SIZE = Size(16, 250, 25, 5)  # small, so that a process takes about a second


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


COLUMNS = tuple(field.name for field in fields(Trial))


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
    write_rows(folder / LIARS, COLUMNS, [asdict(trial) for trial in trials])


def read_liars(folder: Path) -> list[Trial]:
    """What liars.csv of a folder says, nothing where none was planted. Raises TableError."""
    if not (folder / LIARS).exists():
        return []
    return [Trial(**{name: row[name] for name in COLUMNS}) for row in read_rows(folder / LIARS, COLUMNS)]


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
