"""The command `share`: one picture and a small JSON of a run, to show it to others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.commands._common import DONE, status
from bench.errors import UsageError


def share(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="run folders")],
) -> int:
    """One picture of a run and a small JSON, to show it to others."""
    for folder in folders:
        if folder.is_file():
            raise UsageError(f"{folder}: is a file; share takes run folders")
        with status() as say:
            say(f"drawing the picture of {folder}")
            written = _written(folder)
        for path in written:
            print(path)
    return DONE


def _written(folder: Path) -> list[Path]:
    from bench.charts.draw import save_card
    from bench.report.card import PICTURE, Card, write_card
    from bench.tables.run import read_run
    from bench.verdict.evidence import Evidence

    evidence = Evidence.of(read_run(folder))
    if evidence.rows.empty:
        raise UsageError(f"{folder}: nothing to share: no case of this run could be measured")
    card = Card.of(evidence)
    return [write_card(card, folder), save_card(evidence, card.headline, folder / PICTURE)]
