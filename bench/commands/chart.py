"""The command `chart`: draws the charts of a run, PNG and SVG, from its CSV alone."""

from __future__ import annotations

import sys

from bench.commands._common import DONE, USAGE, Folders, evidence_of, status


def chart(folders: Folders) -> int:
    """Draw the charts of a run, PNG and SVG, from its CSV alone."""
    code = DONE
    for folder in folders:
        evidence = evidence_of(folder)
        with status() as say:
            say(f"drawing the charts of {folder}")
            from bench.charts.draw import draw, why_nothing

            paths = draw(evidence)
        for path in paths:
            print(path)
        if not paths:
            print(f"fiftyx: {why_nothing(evidence.run)}", file=sys.stderr)
            code = USAGE
    return code
