"""The command `chart`: draws the charts of a run, PNG and SVG, from its CSV alone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from bench.commands._common import DONE, USAGE, status


def chart(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="run folders")],
) -> int:
    """Draw the charts of a run, PNG and SVG, from its CSV alone."""
    code = DONE
    for folder in folders:
        with status() as say:
            say(f"drawing the charts of {folder}")
            from bench.charts.draw import draw, why_nothing
            from bench.tables.run import read_run
            from bench.verdict.evidence import Evidence

            evidence = Evidence.of(read_run(folder))
            paths = draw(evidence)
        for path in paths:
            print(path)
        if not paths:
            print(f"fiftyx: {why_nothing(evidence.run)}", file=sys.stderr)
            code = USAGE
    return code
