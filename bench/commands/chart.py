"""The commands `chart` and `share`: pictures of a run, from its CSV alone."""

from __future__ import annotations

import sys

from bench.commands._common import DONE, USAGE, Folders, RunFolders, evidence_of, status
from bench.errors import UsageError


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


def share(folders: RunFolders) -> int:
    """One picture of a run and a small JSON, to show it to others."""
    for folder in folders:
        if folder.is_file():
            raise UsageError(f"{folder}: is a file; share takes run folders")
        evidence = evidence_of(folder)
        if evidence.rows.empty:
            raise UsageError(f"{folder}: nothing to share: no case of this run could be measured")
        with status() as say:
            say(f"drawing the picture of {folder}")
            from bench.charts.draw import save_card
            from bench.report.pages.card import PICTURE, Card, write_card

            card = Card.of(evidence)
            written = [write_card(card, folder), save_card(evidence, card.headline, folder / PICTURE)]
        for path in written:
            print(path)
    return DONE
