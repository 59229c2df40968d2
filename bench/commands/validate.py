"""The command `validate`: the harness measured by itself."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from bench.commands._common import DONE, INTERRUPTED, NO, console, own_name, status
from bench.errors import UsageError
from bench.words import grouped

if TYPE_CHECKING:
    from rich.console import Console

    from bench.checks import Check
    from bench.validation.session import Design


COLOURS = {"yes": "green", "no": "bold red", "untested": "yellow"}
KILLS = 100


def validate(
    out: Annotated[Path | None, Option(metavar="DIR", help="new folder  [default: results/validate-<time>]")] = None,
    quick: Annotated[bool, Option("--quick", help="a first answer in a few minutes; no coverage, no kills")] = False,
    minutes: Annotated[float | None, Option(metavar="M", help="for the pool  [default: 15, with --quick 2]")] = None,
    resume: Annotated[bool, Option("--resume", help="finish what --out holds, or with --minutes add to it")] = False,
    pool: Annotated[Path | None, Option(metavar="DIR", help="analyse the pool in this folder, measure nothing")] = None,
    drift: Annotated[bool, Option("--drift", help="with --pool: plant disturbances into it, write nothing")] = False,
    kills: Annotated[int | None, Option(metavar="K", help="SIGKILLs of a run  [default: 100, with --quick 0]")] = None,
    seed: Annotated[int | None, Option(metavar="N", help="of data, order and draws  [default: 0]")] = None,
) -> int:
    """Test the harness on itself.

    A/A coverage, planted slowdowns, its overhead, other tools, liars, known cheats, kills.

    Exit code 1 when anything that must be reached was missed, or could not be tested, which --quick forgives.
    """
    if minutes is not None and not 0 < minutes < float("inf"):
        raise UsageError(f"--minutes {minutes:g}: give minutes above 0, such as 15")
    if kills is not None and kills < 0:
        raise UsageError(f"--kills {kills}: give a whole number from 0 up")
    if seed is not None and seed < 0:
        raise UsageError(f"--seed {seed}: give a whole number from 0 up")
    if pool is not None:
        if quick or resume or (drift and out) or not (minutes is kills is seed is None):
            raise UsageError("--pool measures nothing: it goes with --out or --drift alone")
        return _disturb(pool) if drift else _sum_up(pool, out or pool)
    if drift:
        raise UsageError("--drift: say into which pool with --pool DIR, such as results/validation-cpu")
    if resume and (out is None or quick or seed is not None):
        raise UsageError("--resume: say which with --out DIR, and nothing else but --minutes and --kills")
    folder = out or Path("results") / time.strftime("validate-%Y%m%d-%H%M%S")
    try:
        _measure(folder, quick=quick, minutes=minutes, seed=seed or 0, resume=resume)
        _attack(folder, kills)
    except KeyboardInterrupt:
        again = f"{own_name()} validate --resume --out {shlex.quote(str(folder))}"
        print(f"interrupted; what was measured is kept. Continue with: {again}", file=sys.stderr)
        return INTERRUPTED
    return _sum_up(folder, folder)


def _measure(folder: Path, *, quick: bool, minutes: float | None, seed: int, resume: bool) -> None:
    from bench.runner.folder import check_folder
    from bench.validation.session import begin, draft, measure, take_up

    start = time.monotonic()
    check_folder(folder, resume=resume)
    if resume and folder.is_dir() and any(folder.iterdir()):
        design = take_up(folder)
        if minutes is not None:
            design = more(design, minutes)
        budget_s = None if minutes is None else minutes * 60
    else:
        first = draft(quick=quick, minutes=minutes, seed=seed)
        then = "other tools" if quick else "other tools, cheats and kills"
        line = f"validating into {folder}/: about {first.minutes:g} min, then {then}; leave it alone"
        console(stderr=True).print(line)
        with status(log=True) as say:
            say("how long an iteration takes on this machine")
            design = begin(folder, first)
        budget_s = first.minutes * 60 - (time.monotonic() - start)
    with status(log=True) as notify:
        measure(folder, design, budget_s, notify)


def _attack(folder: Path, kills: int | None) -> None:
    """Planted liars; of a whole validation what its guards cost and known cheats; and kills."""
    from bench.adversary.attacks import measure_kills, measure_liars
    from bench.adversary.challenge import measure_costs
    from bench.adversary.cheating import measure_cheats
    from bench.tables.run import read_machine
    from bench.validation.session import read_design

    design = read_design(folder)
    with status(log=True) as say:
        measure_liars(folder, read_machine(folder)["devices"], say)
        if not design.quick:
            measure_costs(folder, say)
            measure_cheats(folder, say)
        measure_kills(folder, (0 if design.quick else KILLS) if kills is None else kills, design.seed, say)


def more(design: Design, minutes: float) -> Design:
    """The same design with more blocks than fit into `minutes`, so that the time decides."""
    from dataclasses import replace

    return replace(design, blocks=design.blocks + ceil(minutes * 60 / len(design.labels)))


def _sum_up(source: Path, folder: Path) -> int:
    from bench.charts.drawing import style as chart_style
    from bench.tables.columns import ACCEPTANCE, EXPERIMENTS
    from bench.tables.csv_files import read_rows
    from bench.tables.run import read_machine
    from bench.validation.chart import validation_figure
    from bench.validation.experiments import EXPERIMENT_COLUMNS
    from bench.validation.session import analyse, read_design

    quick = read_design(source).quick
    with status(log=True) as say:
        say("experiments on the pool, planted disturbances" + ("" if quick else ", simulated runs: a few minutes"))
        checks = analyse(source, folder)
        with chart_style.applied():
            figure = validation_figure(read_rows(folder / EXPERIMENTS, EXPERIMENT_COLUMNS), read_machine(source))
            chart_style.save(figure, folder / "validation")
    code = _show(checks, quick=quick)
    print(f"tables: {folder / ACCEPTANCE}, {folder / EXPERIMENTS}   chart: validation.png")
    return code


def _disturb(source: Path) -> int:
    from bench.validation.pool import read_pool
    from bench.validation.session import DRAWN, read_design
    from bench.validation.simulated import disturb

    design = read_design(source)
    pool, _blocks = read_pool(source, design.labels, design.groups)
    with status() as say:
        say("planted disturbances")
        _experiments, checks = disturb(pool, DRAWN, design.seed, simulate=not design.quick)
    return _show(checks, quick=design.quick)


def _show(checks: Sequence[Check], *, quick: bool) -> int:
    """The table and what it comes to; a quick one leaves open what it does not test, and says so in few words."""
    from bench.report.sheet import print_words

    left = [check for check in checks if quick and check.met is None]
    to = console()
    print_checks(to, [check for check in checks if check not in left])
    for line in grouped(((check.note, check.experiment) for check in left), "line"):
        print_words(to, f"untested: {line}")
    print(f"\n{sentence(checks)}")
    failing = (False,) if quick else (False, None)
    return NO if any(check.met in failing for check in checks) else DONE


def print_checks(to: Console, checks: Sequence[Check]) -> None:
    """The acceptance table, a line each, misses as plain as the rest."""
    from bench.report.sheet import Cell, print_sheet, sheet

    rows = [
        {
            "experiment": Cell(check.experiment),
            "must reach": Cell(check.must_reach),
            "got": Cell(check.got),
            "met": Cell(check.row()["met"], colour=COLOURS[check.row()["met"]]),
            "n": Cell(f"{check.n:,}", sort=float(check.n)),
            "note": Cell(check.note),
        }
        for check in checks
    ]
    print_sheet(to, sheet("", rows, prose=("experiment", "must reach", "got", "note")), ("note",))


def sentence(checks: Sequence[Check]) -> str:
    """What it comes to, of what could be tested: `20 of 21 met; missed: ...; 3 untested`."""
    tested = [check for check in checks if check.met is not None]
    missed = [check.experiment for check in tested if not check.met]
    parts = [f"{len(tested) - len(missed)} of {len(tested)} met"]
    parts += [f"missed: {', '.join(missed)}"] if missed else []
    parts += [f"{len(checks) - len(tested)} untested"] if len(tested) < len(checks) else []
    return "; ".join(parts)
