"""The command `report`: one self-contained HTML page of a run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from bench.commands._common import DONE, status
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
    for folder in folders:
        if folder.is_file():
            raise UsageError(
                f"{folder}: is a file; report takes run folders (table, chart and verdict take x.json too)"
            )
        with status() as say:
            say(f"writing the page of {folder}")
            page, empty = _written(folder, charts)
        if empty:
            print(f"{folder}: nothing to draw, the page has no charts", file=sys.stderr)
        print(page)
    return DONE


def _written(folder: Path, charts: bool | None) -> tuple[Path, bool]:
    """The page of a run, and whether there was nothing to draw."""
    from bench.charts.draw import draw, for_phones
    from bench.report.page import chart_files, write
    from bench.tables.run import read_run
    from bench.verdict.evidence import Evidence

    evidence = Evidence.of(read_run(folder))
    wanted = charts or (charts is None and not chart_files(folder))
    empty = bool(wanted) and not draw(evidence)
    narrow = for_phones(evidence) if charts is not False and chart_files(folder) else None
    return write(evidence, narrow), empty
