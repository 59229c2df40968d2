"""The command `chart`: draws the charts of a run, PNG and SVG, from its CSV alone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from bench.commands.common import DONE, USAGE


def chart(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="run folders")],
) -> int:
    """Draw the charts of a run, PNG and SVG, from its CSV alone."""
    from bench.charts.draw import draw, why_nothing

    code = DONE
    for folder in folders:
        paths = draw(folder)
        for path in paths:
            print(path)
        if not paths:
            print(f"fiftyx: {why_nothing(folder)}", file=sys.stderr)
            code = USAGE
    return code
