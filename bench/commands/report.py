"""The command `report`: one self-contained HTML page of a run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from bench.commands._common import DONE
from bench.errors import UsageError


def report(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="run folders")],
    charts: Annotated[
        bool | None, typer.Option("--charts/--no-charts", help="draw the charts first  [default: if there are none]")
    ] = None,
) -> int:
    """Write one page of a run that needs no network.

    DIR/report.html: verdict, tables, charts, machine, method.
    """
    from bench.report.page import chart_files, write
    from bench.tables.run import read_run
    from bench.verdict.evidence import Evidence

    for folder in folders:
        if folder.is_file():
            raise UsageError(
                f"{folder}: is a file; report takes run folders (table, chart and verdict take x.json too)"
            )
        evidence = Evidence.of(read_run(folder))
        if charts or (charts is None and not chart_files(folder)):
            from bench.charts.draw import draw

            if not draw(evidence):
                print(f"{folder}: nothing to draw, the page has no charts", file=sys.stderr)
        narrow = None
        if charts is not False and chart_files(folder):
            from bench.charts.draw import for_phones

            narrow = for_phones(evidence)
        print(write(evidence, narrow))
    return DONE
