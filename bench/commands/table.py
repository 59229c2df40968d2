"""The command `table`: prints the table of a run again, from its CSV alone."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from bench.commands._common import DONE, Folders, Names, console, evidence_of

NAMES = "tutorial, tutorial-1, numpy-1, numpy-all, best-cpu, own"


def table(folders: Folders, baseline: Annotated[Names, Option(metavar="NAME", help=NAMES)] = None) -> int:
    """Print the table of a run again, against the baselines you name."""
    from bench.errors import UsageError, known
    from bench.report.run_tables import print_run
    from bench.verdict.speedup import BASELINES

    known("baseline", baseline or (), BASELINES)
    for folder in folders:
        evidence = evidence_of(folder)
        if evidence.run.measurements.empty:
            raise UsageError(f"{folder}: the run holds no measurement; start it again")
        print_run(console(), evidence, baseline or ())
    return DONE
