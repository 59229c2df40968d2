"""The command `list`: styles, devices and presets, and why something is unavailable."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cases.presets import PRESETS
from bench.commands.common import DONE, console
from implementations import Implementation, find_implementations

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def list_all(
    as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
    style_file: Annotated[list[str] | None, typer.Option(help="also styles from this file (repeatable)")] = None,
) -> int:
    """Styles, devices and presets; what is unavailable and why."""
    from bench.machine.facts import probe_devices

    listed = listing(find_implementations(style_file or ()), probe_devices())
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
    styles = _table("style", "devices", "what it is")
    for style in listed["styles"]:
        reason = style["unavailable"]
        styles.add_row(
            style["name"], " ".join(style["devices"]), f"unavailable: {reason}" if reason else style["summary"]
        )
    devices = _table("device", "model")
    for device in listed["devices"]:
        reason = device["unavailable"]
        devices.add_row(device["name"], f"unavailable: {reason}" if reason else device["model"])
    presets = _table("preset", "blocks", "what it answers")
    for preset in listed["presets"]:
        presets.add_row(preset["name"], str(preset["blocks"]), preset["summary"])
    for table in (styles, devices, presets):
        to.print(table)
        to.print()


def _table(*headers: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for header in headers[:-1]:
        table.add_column(header, no_wrap=True)
    table.add_column(headers[-1])
    return table
