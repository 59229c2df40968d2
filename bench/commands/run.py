"""The command `run`: measures, prints the table, draws the charts."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cases.case import AS_FOUND
from bench.cases.presets import PRESETS
from bench.cases.request import Request
from bench.commands.common import DONE, INTERRUPTED, NO, OPEN, console, own_name
from bench.errors import UsageError
from bench.machine.environment import variable_words
from bench.words import duration

if TYPE_CHECKING:
    from rich.console import Console

    from bench.runner.session import Session


def run(
    preset: Annotated[str | None, typer.Option(help="quick, tutorial, sweep, claim or gpu  [default: quick]")] = None,
    style: Annotated[list[str] | None, typer.Option(help="only this style (repeatable, as all below)")] = None,
    device: Annotated[list[str] | None, typer.Option(help="cpu, cuda, cuda:1, mps, xpu")] = None,
    size: Annotated[list[str] | None, typer.Option(metavar="N,D_in,H,D_out", help="such as 64,1000,100,10")] = None,
    dtype: Annotated[list[str] | None, typer.Option(help="float32, float64, bfloat16")] = None,
    threads: Annotated[list[str] | None, typer.Option(help="1, all or a number")] = None,
    precision: Annotated[list[str] | None, typer.Option(help="ieee or tf32 (float32 on cuda)")] = None,
    style_file: Annotated[list[str] | None, typer.Option(help="measure the styles of this file too")] = None,
    blocks: Annotated[
        int | None, typer.Option(help="processes a case: 3 for a first answer, 10 for an interval of 1%")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="new folder to write  [default: results/run-<time>]")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="finish the run that --out holds")] = False,
    timeout: Annotated[
        float | None, typer.Option(help="seconds after which a process is given up  [default: 300]")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="of the data and of the order  [default: 0]")] = None,
    keep_env: Annotated[
        bool, typer.Option("--keep-env", help="keep variables that distort; every table says so")
    ] = False,
    decide: Annotated[bool, typer.Option("--decide", help="more blocks where 50x is still open")] = False,
    at_least: Annotated[float | None, typer.Option(help="what --decide wants to know about  [default: 50]")] = None,
    charts: Annotated[bool | None, typer.Option("--charts/--no-charts", help="draw the charts afterwards")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the plan and its time, measure nothing")] = False,
) -> int:
    """Measure: every case in every block in a fresh process, into CSV."""
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
    )
    return _prepared(request, out, charts, resume=resume, dry_run=dry_run)


def _prepared(request: Request, out: Path | None, charts: bool | None, *, resume: bool, dry_run: bool) -> int:
    from bench.runner.session import prepare

    if resume and out is None:
        raise UsageError("--resume: say which run with --out DIR")
    folder = out or Path("results") / time.strftime("run-%Y%m%d-%H%M%S")
    session = prepare(request, folder, resume=resume)
    if dry_run:
        print_plan(console(), session)
        return DONE
    return _measure(session, charts)


def _measure(session: Session, charts: bool | None) -> int:
    from bench.runner.progress import status_line, turn_words
    from bench.runner.session import measure

    errors = console(stderr=True)
    errors.print(sentence(session))
    try:
        with status_line(errors.file, rewritten=errors.is_terminal, width=errors.width) as say:
            for _measurement in measure(session, told=turn_words(session, say)):
                pass
    except KeyboardInterrupt:
        command = f"{own_name()} run --resume --out {shlex.quote(str(session.folder))}"
        print(f"interrupted; what was measured is kept. Continue with: {command}", file=sys.stderr)
        return INTERRUPTED
    return _sum_up(session, charts)


def _sum_up(session: Session, charts: bool | None) -> int:
    from bench.report.run_tables import print_run
    from bench.tables.run import read_run
    from bench.verdict.evidence import Evidence

    run = read_run(session.folder)
    evidence = Evidence.of(run)
    print_run(console(), evidence)
    measured = bool((run.measurements["status"] == "ok").any())
    if measured and (PRESETS[session.plan.preset].charts if charts is None else charts):
        from bench.charts.draw import draw

        for path in draw(evidence):
            print(path)
    name, folder = own_name(), shlex.quote(str(session.folder))
    print(f"\ntables: {folder}/")
    print(f"try next: {name} verdict {folder}   {name} report {folder}   {name} run --preset tutorial   {name} list")
    if run.measurements["status"].isin(["wrong", "failed", "crashed"]).any():
        return NO
    return DONE if measured else OPEN


def sentence(session: Session) -> str:
    """One line: cases, blocks, processes, time, folder."""
    plan = session.plan
    processes = sum(plan.cases.values())
    found = sum(case.as_found for case in plan.cases)
    cases = f"{len(plan.cases) - found} cases" + (f" and {found} of them once more {AS_FOUND}" if found else "")
    skipped = f", {len(plan.skips)} skipped" if plan.skips else ""
    return (
        f"preset {plan.preset}: {cases}, {plan.blocks} blocks, {processes} processes{skipped}; "
        f"about {duration(session.seconds)}; into {session.folder}"
    )


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
    for skip in plan.skips:
        print_words(console, f"skipped: {skip.case.label}: {skip.reason}")
    print_words(console, sentence(session))
