"""The last screen of a run: the fastest cases, the answer, where everything is, and what to do next."""

from __future__ import annotations

from rich.console import Console

from bench.cases.problem import TUTORIAL_SIZE
from bench.report.run_tables import best_sheet, noise_words
from bench.report.sheet import print_sheet, print_words
from bench.verdict.evidence import Evidence

MEASURED = (
    ("verdict {folder}", "is it 50x here?"),
    ("report {folder}", "all of it as a page"),
)
SHARPER = ("run --preset tutorial", "sharper intervals")  # at its size
NOT_MEASURED = (
    ("list", "what is missing, and why"),
    ("doctor", "is this machine fit to measure on?"),
)


def print_end(
    console: Console,
    evidence: Evidence,
    headline: str,
    program: str,
    folder: str,
    *,
    drawn: bool,
    busiest: str = "",
    above: bool = False,
) -> None:
    """At most 24 lines of 80 columns; `headline` is the answer, `program` our name, `folder` as commands take it.

    With `above` table and answer stand right above, as in a file, and are not said again.
    """
    measured = len(evidence.rows) > 0
    if not above:
        if measured:
            console.print()
            print_sheet(console, best_sheet(evidence))
        console.print()
        print_words(console, headline)
    if noisy := noise_words(evidence.run.measurements, busiest):
        print_words(console, noisy)
    print_words(console, f"tables: {folder}/")
    if drawn:
        print_words(console, f"charts: {folder}/charts/")
    print_words(console, "next:")
    further = [SHARPER] if measured and evidence.shown_size == TUTORIAL_SIZE else []
    for command, what in (*MEASURED, *further) if measured else NOT_MEASURED:
        line = f"  {program} {command.format(folder=folder)}"
        more = f"  # {what}"
        print_words(console, line + more * (len(line + more) <= console.width))
