"""The command `list`: styles, devices and presets, and why something is unavailable."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from bench.cases.presets import PRESETS
from bench.commands._common import DONE, AsJson, Names, console, status
from implementations import Implementation, find_implementations

if TYPE_CHECKING:
    from rich.console import Console


def list_all(
    as_json: AsJson = False,
    style_file: Annotated[Names, Option(metavar="FILE", help="also styles from this file (repeatable)")] = None,
) -> int:
    """Styles, devices and presets; what is unavailable and why."""
    from bench.machine.facts import probe_devices

    styles = find_implementations(style_file or ())
    with status() as say:
        say("looking for devices")
        listed = listing(styles, probe_devices())
    if as_json:
        print(json.dumps(listed, indent=1))
    else:
        print_listing(console(), listed)
    return DONE


def listing(styles: Mapping[str, Implementation], probe: Mapping[str, Any]) -> dict[str, Any]:
    """As plain values, for JSON and for `print_listing`."""
    devices = [*((name, device["model"], None) for name, device in probe["devices"].items()),
               *((name, None, reason) for name, reason in probe["missing"].items())]  # fmt: skip
    return {
        "styles": [
            {"name": one.name, "framework": one.framework, "devices": list(one.devices), "summary": one.summary,
             "unavailable": one.missing}
            for one in styles.values()
        ],
        "devices": [{"name": name, "model": model, "unavailable": reason} for name, model, reason in devices],
        "presets": [{"name": one.name, "blocks": one.blocks, "summary": one.summary} for one in PRESETS.values()],
    }  # fmt: skip


def print_listing(to: Console, listed: Mapping[str, Any]) -> None:
    """Three tables: styles, devices, presets."""
    from bench.report.sheet import print_sheet, sheet

    styles = [
        {"style": one["name"], "devices": " ".join(one["devices"]), "what it is": _or_reason(one, one["summary"])}
        for one in listed["styles"]
    ]
    devices = [{"device": one["name"], "model": _or_reason(one, one["model"])} for one in listed["devices"]]
    presets = [
        {"preset": one["name"], "blocks": str(one["blocks"]), "what it answers": one["summary"]}
        for one in listed["presets"]
    ]
    for rows in (styles, devices, presets):
        print_sheet(to, sheet("", rows, prose=("devices", "what it is", "model", "what it answers")))
        to.print()


def _or_reason(one: Mapping[str, Any], what: str) -> str:
    return f"unavailable: {one['unavailable']}" if one["unavailable"] else what
