"""The command `share`: one picture and a small JSON of a run, to show it to others."""

from __future__ import annotations

from bench.commands._common import DONE, Folders, evidence_of, status
from bench.errors import UsageError


def share(folders: Folders) -> int:
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
            from bench.report.card import PICTURE, Card, write_card

            card = Card.of(evidence)
            written = [write_card(card, folder), save_card(evidence, card.headline, folder / PICTURE)]
        for path in written:
            print(path)
    return DONE
