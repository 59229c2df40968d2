"""The commands `doctor` and `floors`: is this machine fit to measure on, and what does it cost at least?"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from bench.commands._common import DONE, NO, OPEN, AsJson, Names, console, status
from bench.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from bench.doctor.findings import Finding
    from bench.report.sheet import Sheet


COLOURS = {"ok": "green", "warn": "yellow", "bad": "bold red"}
DEVICE = "cpu, cuda:0, gpu (repeatable); without it all there are"


def doctor(as_json: AsJson = False) -> int:
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
        print(json.dumps({"state": state, "findings": list(map(asdict, findings))}, indent=1))
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
    for state, words in (("bad", "not fit to measure on: "), ("warn", "fit to measure on, with care: ")):
        if names := [finding.name for finding in findings if finding.state == state]:
            return words + ", ".join(names)
    return "fit to measure on"


def floors(
    device: Annotated[Names, Option(metavar="NAME", help=DEVICE)] = None,
    out: Annotated[Path | None, Option(metavar="FILE", help="write each figure into it when it is known")] = None,
    as_json: AsJson = False,
) -> int:
    """What calls, launches, waits, copies and faults cost here.

    Each with the least and the most of its rounds, and n.

    Exit code 3 when there is no such device, or none of its figures could be measured.
    """
    from bench.machine.device import DeviceError
    from bench.machine.process import ask
    from bench.report.sheet import print_sheet, print_words
    from implementations import find_implementations

    found, (devices, missing) = dict[str, Any](), floor_devices(device or ())
    for why in missing:
        print(why, file=sys.stderr)
    code = OPEN if missing else DONE
    if out is not None:
        _check_out(out, devices)
    styles = [one.name for one in find_implementations().values() if one.framework == "torch" and "cuda" in one.devices]
    for name in devices:
        asked = {"device": name, "styles": styles, "path": str(out.resolve()) if out else ""}
        with status() as say:
            say(f"measuring what {name} costs before it computes")
            answer = ask("bench.doctor.floors", asked, shape=dict[str, Any])
        value = answer.value if answer.status is None else {"figures": {}, "errors": {}}
        errors = [f"{item}: {why}" for item, why in value["errors"].items()]
        if not value["figures"]:
            raised = answer.reason.rpartition(f"{DeviceError.__name__}: ")[2]
            print(f"no floors of {name}: {raised or '; '.join(errors)}", file=sys.stderr)
            code = OPEN
            continue
        found[name] = value
        if not as_json:
            print_sheet(console(), floor_sheet(name, value["figures"]))
            for line in errors:
                print_words(console(), line)
    if as_json:
        print(json.dumps(found, indent=1))
    return code


def _check_out(out: Path, devices: Sequence[str]) -> None:
    """Raises UsageError for what is no file, and for several devices."""
    if len(devices) > 1:
        raise UsageError(f"--out: a file is of one device, here are {', '.join(devices)}; choose one with --device")
    if out.is_dir():
        raise UsageError(f"--out {out}: is a folder; give a file")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"--out {out}: cannot be written: {out.absolute().parent} is no folder")


def floor_devices(asked: Sequence[str]) -> tuple[list[str], list[str]]:
    """The devices that were asked for, or the CPU and every CUDA device that is there; and why there are no others.

    Raises UsageError for what is no such device anywhere.
    """
    from bench.cases.request import check_device, the_device
    from bench.machine.device import canonical_name, device_kind
    from bench.machine.facts import as_grid_machine, probe_devices

    for name in asked:
        check_device(name)
        if device_kind(name) not in ("cpu", "cuda", "gpu"):
            raise UsageError(f"--device {name}: floors are measured on cpu and cuda devices")
    machine = as_grid_machine(probe_devices())
    there = asked or sorted(name for name in machine.devices if device_kind(name) in ("cpu", "cuda"))
    found, missing = dict[str, None](), list[str]()
    for name in there:
        try:
            found[canonical_name(the_device(name, machine))] = None
        except UsageError as error:
            missing.append(f"no floors of {name}: {error}")
    return list(found), missing


def floor_sheet(device: str, figures: Mapping[str, Any]) -> Sheet:
    """A row a figure: its median, the least and the most of its rounds, and the calls behind it."""
    from bench.report.run_tables import count_cell
    from bench.report.sheet import Cell, sheet
    from bench.words import number

    rows: list[Mapping[str, Cell | str]] = [
        {
            "what": name,
            "median": Cell(number(one["median"]), sort=one["median"]),
            "least to most": f"{number(one['low'])} to {number(one['high'])}",
            "n": count_cell(int(one["n"])),
        }
        for name, one in figures.items()
        if isinstance(one, Mapping) and "median" in one
    ]
    return sheet(device, rows)
