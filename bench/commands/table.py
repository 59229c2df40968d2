"""The command `table`: prints the table of a run again, from its CSV alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.commands._common import DONE, console, evidence_of


def table(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="run folders")],
    baseline: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="tutorial, tutorial-1, numpy-1, numpy-all, best-cpu, own")
    ] = None,
) -> int:
    """Print the table of a run again, against the baselines you name."""
    from bench.errors import known
    from bench.report.run_tables import print_run
    from bench.verdict.speedup import BASELINES

    known("baseline", baseline or (), BASELINES)
    for folder in folders:
        print_run(console(), evidence_of(folder), baseline or ())
    return DONE
