"""Which charts a run folder gets, and where they are saved."""

from __future__ import annotations

from pathlib import Path


def draw(folder: Path) -> list[Path]:
    """Draw every chart that the tables of `folder` hold data for into `folder/charts/`; the files written."""
    raise NotImplementedError(folder)
