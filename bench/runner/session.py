"""A run from its folder's first file to its last: made or taken up, measured with progress, summed up."""

from __future__ import annotations

import math
import sys
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import get_terminal_size
from typing import Any

import pandas as pd

import implementations
from bench.cases.forecast import case_seconds, ceiling_seconds
from bench.cases.measurement import Measurement
from bench.cases.plan import Plan, dump_plan, load_plan
from bench.cases.request import NO_CASE, Request, check, make_plan
from bench.errors import UsageError
from bench.machine.facts import as_grid_machine, describe, probe_devices
from bench.runner.crossing import crossing_plan, crossing_seconds
from bench.runner.floor import Floors, ceiling_jobs
from bench.runner.folder import alone, check_folder, check_same, done_attempts, make_folder, tries_used
from bench.runner.suspicion import suspicious
from bench.runner.turns import Launch, Progress, budget_words, process_launcher, run, schedule, skipped
from bench.status import Say
from bench.tables.columns import MACHINE
from bench.tables.run import Run, read_machine, read_run
from bench.tables.writer import Writer, repair, write_machine, write_speedups
from bench.verdict.claim import straddling
from bench.verdict.evidence import Evidence

RETRIED = 0.6  # of the tries that noise may cost: committed runs used 0.9 of them, a quiet machine uses none
SUM_UP_S = 5.0  # tables and charts at the end


@dataclass(frozen=True, slots=True)
class Session:
    """A checked request on this machine: its plan, and what is known about where it runs."""

    plan: Plan
    folder: Path
    run_id: str
    machine: Mapping[str, Any]
    probe: Mapping[str, Any]
    resumed: bool

    @property
    def style_files(self) -> list[Path]:
        """The files of styles that are not ours."""
        ours = Path(implementations.__file__).parent
        return sorted({one.source for one in self.plan.styles.values() if one.source.parent != ours})

    @property
    def done(self) -> int:
        """How many of the plan's turns a run that is taken up holds already."""
        turns = {case.turn for case in self.plan.cases}
        return sum(turn in turns for _block, turn in done_attempts(self.folder)) if self.resumed else 0

    @property
    def seconds(self) -> float:
        """About how long all of it will take: noise costs up to half as long again, and some of that is counted."""
        plan = self.plan
        turns = {case: count + RETRIED * plan.spare[case] for case, count in plan.cases.items()}
        whole = sum(count * case_seconds(case, plan, self.probe) for case, count in turns.items())
        whole += ceiling_seconds(ceiling_jobs(plan), self.probe) + SUM_UP_S
        return min(whole, plan.budget_s) if plan.budget_s is not None else whole

    @property
    def crossing_seconds(self) -> float:
        """About how long two sizes more take at most, where a GPU overtakes between the planned ones; see crossing."""
        return crossing_seconds(self.plan, self.probe)


def prepare(request: Request, folder: Path, *, resume: bool = False) -> Session:
    """Check everything that can be checked before a byte is written. Raises UsageError, StyleError, TableError."""
    styles = check(request)
    check_folder(folder, resume=resume)
    probe = probe_devices()
    machine = describe(probe, keep_env=request.keep_env)
    taken_up = resume and (folder / MACHINE).exists()
    before = read_machine(folder) if taken_up else None
    if before is not None and request == Request(style_files=request.style_files):
        plan = load_plan(before.get("plan", {}), styles)
    else:
        plan = make_plan(request, styles, as_grid_machine(probe))
    if before is not None:
        check_same(folder, before, plan, machine)
    elif not plan.cases and not plan.skips:
        raise UsageError(NO_CASE)
    run_id = before["run_id"] if before is not None else uuid.uuid4().hex[:8]
    if before is None:
        machine = {
            "run_id": run_id,
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            **machine,
            "plan": dump_plan(plan, request.style_files),
        }
    return Session(plan, folder, run_id, before or machine, probe, taken_up)


def say_line(text: str) -> None:
    """A line on stderr; where somebody watches, over the line that says how far the run is."""
    watched = sys.stderr.isatty()
    sys.stderr.write(("\r" + text.ljust(get_terminal_size().columns - 1) if watched else text) + "\n")


def measure(
    session: Session,
    launch: Launch | None = None,
    notify: Callable[[Progress], None] = lambda _progress: None,
    warn: Say = say_line,
    say: Say = lambda _text: None,
) -> Generator[Measurement, None, None]:
    """Measure what is left, each process's rows on the disk before it is yielded; speedups.csv at the end.

    Before each turn `notify` hears of it, before each ceiling `say`; what went wrong outside the cases, such as
    a missing ceiling, `warn` says.
    """
    make_folder(session.folder)
    with alone(session.folder):
        yield from _measure(session, launch, notify, warn, say)


def _measure(
    session: Session, launch: Launch | None, notify: Callable[[Progress], None], warn: Say, say: Say
) -> Iterator[Measurement]:
    folder, whole = session.folder, session.plan
    plan = whole
    if session.resumed:
        repair(folder)
    else:
        write_machine(folder, session.machine)
    began = time.monotonic()
    writer = Writer(folder, session.run_id, str(session.machine["environment"]))
    for row in skipped(plan, done_attempts(folder)):  # a run that ends among its ceilings has a table too
        writer.append(row)
        yield row
    floors = Floors(folder, plan, warn, say) if launch is None else None
    if floors is not None:
        warn_of_styles(plan, warn)
        floors.complete()
    launch = launch or process_launcher(plan)

    def taken(plan: Plan, first: int = 0) -> Iterator[Measurement]:
        """Every turn of `plan` that is left, each on the disk first; the orders count from `first`."""
        done = done_attempts(folder)
        used = tries_used(done)
        for found in run(plan, launch, done=done, starting=notify, began=began, used=used, run_id=session.run_id):
            measurement = floors.under(found) if floors is not None else found
            writer.append(replace(measurement, order=first + measurement.order))
            yield measurement

    for look in whole.looks:
        if look > plan.blocks:
            plan = with_more_blocks(whole, plan, look, read_run(folder).measurements)
        yield from taken(plan)
        if plan.budget_s is not None:
            if ended_early := budget_words(plan, done_attempts(folder)):
                warn(ended_early)
            break  # what the budget refused, no later look may start
    further = crossing_plan(whole, read_run(folder).measurements)
    if further is not None:
        yield from taken(further, first=len(schedule(plan)))
    measured = read_run(folder)
    write_speedups(folder, [one.row() for one in Evidence.of(measured).speedups])


def warn_of_styles(plan: Plan, warn: Say) -> None:
    """Say of which styles the source should be read before their times are believed."""
    for name, style in plan.styles.items():
        if line := suspicious(style.source.read_text(encoding="utf-8", errors="replace")):
            warn(f"style '{name}' is suspicious, {line}; read it before you believe its times")


def with_more_blocks(whole: Plan, plan: Plan, blocks: int, measurements: pd.DataFrame) -> Plan:
    """`plan` carried on to `blocks`, for those cases alone whose interval still holds the threshold.

    `whole` is the plan before any look: its looks give every interval the same confidence. Judged by the blocks
    before the look alone, so that a resumed run comes to the same decision.
    """
    before = max(look for look in whole.looks if look < blocks)
    known = measurements[measurements["block"] < before]
    evidence = Evidence.of(Run(Path(), known, {"plan": {"looks": whole.looks}}))
    undecided = straddling(evidence, whole.decide if whole.decide is not None else math.inf)
    cases = {case: blocks if case.key in undecided and count >= before else count for case, count in plan.cases.items()}
    return replace(plan, blocks=blocks, cases=cases)
