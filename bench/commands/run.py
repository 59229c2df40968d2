"""The command `run`: measures, prints the table, draws the charts."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from bench.cases.case import AS_FOUND
from bench.cases.presets import PRESETS
from bench.cases.request import Request
from bench.commands._common import DONE, INTERRUPTED, NO, OPEN, Names, console, evidence_of, go_on, own_name, status
from bench.errors import UsageError
from bench.machine.environment import variable_words
from bench.words import counted, duration, grouped

if TYPE_CHECKING:
    from rich.console import Console

    from bench.runner.session import Session
    from bench.verdict.evidence import Evidence


def run(
    preset: Annotated[str | None, Option(metavar="NAME", help=f"{', '.join(PRESETS)}  [default: quick]")] = None,
    style: Annotated[Names, Option(metavar="STYLE", help="only this style (repeatable, as all below)")] = None,
    device: Annotated[Names, Option(metavar="DEVICE", help="cpu, gpu (the one that is here), cuda:1, mps, xpu")] = None,
    size: Annotated[Names, Option(metavar="N,D_in,H,D_out", help="such as 64,1000,100,10")] = None,
    dtype: Annotated[Names, Option(metavar="DTYPE", help="float32, float64, bfloat16")] = None,
    threads: Annotated[Names, Option(metavar="COUNT", help="1, 2, ... or all")] = None,
    precision: Annotated[Names, Option(metavar="NAME", help="ieee or tf32 (float32 on cuda)")] = None,
    style_file: Annotated[Names, Option(metavar="FILE", help="measure the styles of this file too")] = None,
    blocks: Annotated[int | None, Option(metavar="K", help="processes a case: 3 at first, 10 for 1% intervals")] = None,
    out: Annotated[Path | None, Option(metavar="DIR", help="new folder  [default: results/run-<time>]")] = None,
    resume: Annotated[bool, Option("--resume", help="finish the run that --out holds")] = False,
    timeout: Annotated[float | None, Option(metavar="S", help="seconds a process may take  [default: 300]")] = None,
    seed: Annotated[int | None, Option(metavar="N", help="of the data and of the order  [default: 0]")] = None,
    keep_env: Annotated[bool, Option("--keep-env", help="keep variables that distort; every table says so")] = False,
    decide: Annotated[bool, Option("--decide", help="more blocks where 50x is still open")] = False,
    at_least: Annotated[float | None, Option(metavar="X", help="what --decide asks about  [default: 50]")] = None,
    charts: Annotated[bool | None, Option("--charts/--no-charts", help="draw the charts afterwards")] = None,
    anyway: Annotated[bool, Option("--anyway", help="a preset for a GPU even where there is none")] = False,
    dry_run: Annotated[bool, Option("--dry-run", help="print the plan and its time, measure nothing")] = False,
) -> int:
    """Measure, every case in every block in a fresh process, into CSV."""
    if at_least is not None and not decide:
        raise UsageError("--at-least goes with --decide; to judge a finished run: fiftyx verdict DIR --at-least X")
    request = Request(
        preset=preset,
        styles=tuple(style or ()),
        devices=tuple(device or ()),
        sizes=tuple(size or ()),
        dtypes=tuple(dtype or ()),
        threads=tuple(threads or ()),
        precisions=tuple(precision or ()),
        style_files=tuple(style_file or ()),
        blocks=blocks,
        timeout_s=timeout,
        seed=seed,
        keep_env=keep_env,
        decide=(50.0 if at_least is None else at_least) if decide else None,
        anyway=anyway,
    )
    return _prepared(request, out, charts, resume=resume, dry_run=dry_run)


def _prepared(request: Request, out: Path | None, charts: bool | None, *, resume: bool, dry_run: bool) -> int:
    if resume and out is None:
        raise UsageError("--resume: say which run with --out DIR")
    if (preset := request.preset) is not None and preset not in PRESETS:
        from bench.advice import rows

        if preset in rows.PRESETS:
            raise UsageError(f"--preset {preset} measures networks: fiftyx advise --preset {preset} --out DIR")
    folder = out or Path("results") / time.strftime("run-%Y%m%d-%H%M%S")
    with status(late=True) as say:
        say("looking at this machine: its devices, its libraries, its speed")
        from bench.runner.session import prepare

        session = prepare(request, folder, resume=resume)
    if resume and not session.resumed:
        print(f"{folder}: nothing there to finish, so this is a new run", file=sys.stderr)
    if dry_run:
        print_plan(console(), session)
        return DONE if session.plan.cases else OPEN
    return _measure(session, charts)


def _measure(session: Session, charts: bool | None) -> int:
    from bench.doctor.readings import who_is_busy
    from bench.report.sheet import print_words
    from bench.runner.progress import turn_words
    from bench.runner.session import measure

    errors = console(stderr=True)
    with status(late=True) as say:
        say("looking who else is busy")
        busy = who_is_busy()
    if busy:
        print_words(errors, f"busy: {busy}: times will be noisy and the run longer; stop these, or wait until they end")
    print_words(errors, sentence(session))
    try:
        with status(log=True) as say:
            for _measurement in measure(session, notify=turn_words(session, say), say=say):
                pass
    except KeyboardInterrupt:
        command = go_on(session.folder, session.style_files)
        print(f"interrupted; what was measured is kept. Continue with: {command}", file=sys.stderr)
        return INTERRUPTED
    return _sum_up(session, charts)


def _sum_up(session: Session, charts: bool | None) -> int:
    from bench.doctor.readings import busy
    from bench.report.run_end import print_end
    from bench.report.run_tables import noise_words, print_run
    from bench.report.sheet import print_words
    from bench.report.verdict import answer

    evidence, to = evidence_of(session.folder), console()
    run = evidence.run
    measured = bool((run.measurements["status"] == "ok").any())
    _outcome, headline = answer(evidence)
    print_words(to, f"{run.name}: {headline}\n")
    print_run(to, evidence, explain=False)
    drawn = measured and (PRESETS[session.plan.preset].charts if charts is None else charts) and _draw(evidence)
    busiest = busy(0.5)[1] if noise_words(run.measurements) else ""  # now, where most cases were noisy
    folder, above = shlex.quote(str(session.folder)), not to.is_terminal  # nobody scrolls back in a file
    print_end(to, evidence, headline, own_name(), folder, drawn=drawn, busiest=busiest, above=above)
    if run.measurements["status"].isin(["wrong", "failed", "crashed"]).any():
        return NO
    return DONE if measured else OPEN


def _draw(evidence: Evidence) -> bool:
    with status(log=True) as say:
        say("drawing the charts")
        from bench.charts.draw import draw

        return bool(draw(evidence))


def sentence(session: Session) -> str:
    """One line: cases, blocks, processes, time, folder."""
    plan = session.plan
    processes = sum(plan.cases.values())
    found = sum(case.as_found for case in plan.cases)
    again = f" and {found} of them once more {AS_FOUND}" if found else ""
    skipped = f", {len(plan.skips)} skipped" if plan.skips else ""
    more_s, looks = session.crossing_seconds, plan.looks
    further = f", more of them, up to {looks[-1]}, where {plan.decide:g}x stays open" if len(looks) > 1 else ""
    more = f", and at most {duration(more_s)} for two sizes more where a GPU overtakes between these" if more_s else ""
    return (
        f"preset {plan.preset}: {counted(len(plan.cases) - found, 'case')}{again}, {counted(plan.blocks, 'block')}"
        f"{further}, {processes} process{'' if processes == 1 else 'es'}{skipped}; "
        f"{_left(session.done, processes) or f'about {duration(session.seconds)}{more}'}; into {session.folder}"
    )


def _left(done: int, processes: int) -> str:
    """Of a run that is taken up: how much of it is there."""
    if not done:
        return ""
    return f"{done} done, {processes - done} left" if done < processes else "all done, nothing left to measure"


def print_plan(console: Console, session: Session) -> None:
    """Every case with its blocks, every skipped one with its reason, then the sentence."""
    from bench.report.sheet import Cell, print_sheet, print_words, sheet

    plan = session.plan
    rows = [
        {
            "style": Cell(f"{case.style} {AS_FOUND}" if case.as_found else case.style),
            "device": Cell(case.device),
            "dtype": Cell(case.key.arithmetic),
            "threads": Cell(str(case.threads), sort=case.threads),
            "size": Cell(str(case.problem.size), sort=case.problem.size.flops),
            "blocks": Cell(str(count), sort=count),
        }
        for case, count in plan.cases.items()
    ]
    print_sheet(console, sheet("", rows, constant=("device", "dtype", "threads", "size", "blocks"), prose=("style",)))
    if any(case.as_found for case in plan.cases):
        variables = variable_words(session.machine.get("distorting_variables") or {})
        print_words(console, f"{AS_FOUND}: with {variables}, as the shell has it; every other process runs without")
    for line in grouped((skip.reason, skip.case.label) for skip in plan.skips):
        print_words(console, f"skipped: {line}")
    print_words(console, sentence(session))
