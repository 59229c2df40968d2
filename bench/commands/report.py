"""The command `report`: one self-contained HTML page of a run."""

from __future__ import annotations

import sys
from typing import Annotated

from typer import Option

from bench.commands._common import DONE, Folders, evidence_of, status
from bench.errors import UsageError

IF_NONE = "draw the charts first  [default: if there are none]"


def report(
    folders: Folders, charts: Annotated[bool | None, Option("--charts/--no-charts", help=IF_NONE)] = None
) -> int:
    """Write one page of a run that needs no network.

    DIR/report.html: verdict, tables, charts, machine, method.
    """
    for folder in folders:
        if folder.is_file():
            raise UsageError(
                f"{folder}: is a file; report takes run folders (table, chart and verdict take x.json too)"
            )
        evidence = evidence_of(folder)
        with status(late=True) as say:
            say(f"writing the page of {folder}")
            from bench.charts.draw import draw, for_phones
            from bench.report.page import chart_files, write

            wanted = charts or (charts is None and not chart_files(folder))
            empty = wanted and not draw(evidence)
            page = write(evidence, for_phones(evidence) if charts is not False and chart_files(folder) else None)
        if empty:
            print(f"{folder}: nothing to draw, the page has no charts", file=sys.stderr)
        print(page)
    return DONE
