"""The command `doctor`: is this machine fit to measure on?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands.common import DONE, NO, console, status

if TYPE_CHECKING:
    from rich.console import Console

    from bench.doctor.findings import Finding


COLOURS = {"ok": "green", "warn": "yellow", "bad": "bold red"}


def doctor(as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False) -> int:
    """Is this machine fit to measure on?

    Exit code 1 when something is bad.
    """
    from bench.doctor.findings import BAD, judge, worst
    from bench.doctor.gpu import judge_gpus
    from bench.doctor.readings import read_machine_now

    with status() as say:
        say("examining this machine: who is busy, its limits, its libraries")
        findings = [*judge(read_machine_now()), *judge_gpus()]
    state = worst(findings)
    if as_json:
        print(json.dumps({"state": state, "findings": [finding.row() for finding in findings]}, indent=1))
    else:
        print_findings(console(), findings)
        print(f"\n{sentence(findings)}")
    return NO if state == BAD else DONE


def print_findings(to: Console, findings: Sequence[Finding]) -> None:
    """A line each: state, name, what was seen, and the cure under it."""
    from bench.report.sheet import Cell, print_sheet, sheet

    rows = [
        {
            "state": Cell(finding.state, colour=COLOURS[finding.state]),
            "what": Cell(finding.name),
            "seen": Cell(finding.seen + (f"\ncure: {finding.cure}" if finding.cure else "")),
        }
        for finding in findings
    ]
    print_sheet(to, sheet("", rows, prose=("what", "seen")))


def sentence(findings: Sequence[Finding]) -> str:
    """What it comes to."""
    bad = [finding.name for finding in findings if finding.state == "bad"]
    warned = [finding.name for finding in findings if finding.state == "warn"]
    if bad:
        return f"not fit to measure on: {', '.join(bad)}"
    if warned:
        return f"fit to measure on, with care: {', '.join(warned)}"
    return "fit to measure on"
