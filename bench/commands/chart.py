"""The command `chart`: draws the charts of a run, PNG and SVG, from its CSV alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.commands.common import DONE


def chart(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="run folders")],
) -> int:
    """Draw the charts of a run, PNG and SVG, from its CSV alone."""
    from bench.drawing import draw

    for folder in folders:
        for path in draw(folder):
            print(path)
    return DONE
