"""`fiftyx` alone: its help, or its version."""

from __future__ import annotations

from importlib import metadata
from typing import Annotated

import typer


def _version(wanted: bool) -> None:
    if wanted:
        print(f"fiftyx {metadata.version('fiftyx')}")
        raise typer.Exit


def top(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version and exit")
    ] = False,
) -> None:
    """Is it really 50x on a GPU? One training loop, measured under every style and device."""
    if context.invoked_subcommand is None:
        print(context.get_help())
