"""The command `list`: styles, devices and presets, and why something is unavailable."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cases.presets import PRESETS
from bench.commands._common import DONE, console, status
from implementations import Implementation, find_implementations

if TYPE_CHECKING:
    from rich.console import Console


def list_all(
    as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
    style_file: Annotated[
        list[str] | None, typer.Option(metavar="FILE", help="also styles from this file (repeatable)")
    ] = None,
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
    return {
        "styles": [
            {
                "name": style.name,
                "framework": style.framework,
                "devices": list(style.devices),
                "summary": style.summary,
                "unavailable": style.missing,
            }
            for style in styles.values()
        ],
        "devices": [
            *(
                {"name": name, "model": device["model"], "unavailable": None}
                for name, device in probe["devices"].items()
            ),
            *({"name": name, "model": None, "unavailable": reason} for name, reason in probe["missing"].items()),
        ],
        "presets": [
            {"name": preset.name, "blocks": preset.blocks, "summary": preset.summary} for preset in PRESETS.values()
        ],
    }


def print_listing(to: Console, listed: Mapping[str, Any]) -> None:
    """Three tables: styles, devices, presets."""
    from bench.report.sheet import print_sheet, sheet

    styles = [
        {
            "style": style["name"],
            "devices": " ".join(style["devices"]),
            "what it is": _or_reason(style, style["summary"]),
        }
        for style in listed["styles"]
    ]
    devices = [{"device": device["name"], "model": _or_reason(device, device["model"])} for device in listed["devices"]]
    presets = [
        {"preset": preset["name"], "blocks": str(preset["blocks"]), "what it answers": preset["summary"]}
        for preset in listed["presets"]
    ]
    for rows in (styles, devices, presets):
        print_sheet(to, sheet("", rows, prose=("devices", "what it is", "model", "what it answers")))
        to.print()


def _or_reason(one: Mapping[str, Any], what: str) -> str:
    return f"unavailable: {one['unavailable']}" if one["unavailable"] else what
