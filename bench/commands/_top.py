"""`fiftyx` alone: its help, or its version."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer


def _version_here() -> str:
    """Of the installed package; of a checkout that is used as it lies, what its pyproject.toml says."""
    try:
        return metadata.version("fiftyx")
    except metadata.PackageNotFoundError:
        project = Path(__file__).resolve().parents[2] / "pyproject.toml"
        return f"{tomllib.loads(project.read_text('utf-8'))['project']['version']} (not installed)"


def _version(wanted: bool) -> None:
    if wanted:
        print(f"fiftyx {_version_here()}")
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
