"""The commands `table` and `report`: a run once more, on the terminal or as one self-contained HTML page."""

from __future__ import annotations

import sys
from typing import Annotated

from typer import Option

from bench.commands._common import DONE, Folders, Names, RunFolders, console, evidence_of, status
from bench.errors import UsageError, known

NAMES = "tutorial, tutorial-1, numpy-1, numpy-all, best-cpu, own"
IF_NONE = "draw the charts first  [default: if there are none]"


def table(folders: Folders, baseline: Annotated[Names, Option(metavar="NAME", help=NAMES)] = None) -> int:
    """Print the table of a run again, against the baselines you name."""
    from bench.report.run_tables import print_run
    from bench.verdict.ratios.speedup import BASELINES

    known("baseline", baseline or (), BASELINES)
    for folder in folders:
        evidence = evidence_of(folder)
        if evidence.run.measurements.empty:
            raise UsageError(f"{folder}: the run holds no measurement; start it again")
        print_run(console(), evidence, baseline or ())
    return DONE


def report(
    folders: RunFolders, charts: Annotated[bool | None, Option("--charts/--no-charts", help=IF_NONE)] = None
) -> int:
    """Write one page of a run that needs no network.

    DIR/report.html: verdict, tables, charts, machine, method.
    """
    for folder in folders:
        if folder.is_file():
            raise UsageError(
                f"{folder}: is a file; report takes run folders (x.json: table, chart, verdict, explain, compare)"
            )
        evidence = evidence_of(folder)
        with status(late=True) as say:
            say(f"writing the page of {folder}")
            from bench.charts.draw import draw, for_phones
            from bench.report.pages.page import chart_files, write

            wanted = charts or (charts is None and not chart_files(folder))
            empty = wanted and not draw(evidence)
            page = write(evidence, for_phones(evidence) if charts is not False and chart_files(folder) else None)
        if empty:
            print(f"{folder}: nothing to draw, the page has no charts", file=sys.stderr)
        print(page)
    return DONE
