"""What a table says of styles that start several iterations at once."""

from __future__ import annotations

import pandas as pd

from bench.cases.measurement import AT_ONCE
from bench.report.sheet import Cell
from bench.tables.by_case import cases_in
from bench.words import microseconds

A_LAUNCH = "iterations a launch"


def launch_cell(rows: pd.DataFrame) -> dict[str, Cell]:
    """How many iterations a case starts at once; empty where each is started alone."""
    most = float(rows[AT_ONCE].max())
    return {A_LAUNCH: Cell(f"{most:.0f}", sort=most) if most > 1 else Cell("")}


def at_once_notes(rows: pd.DataFrame) -> list[str]:
    """Of each case that starts several at once, how long its losses are waited for and what it counts by."""
    return [
        f"{case.label}: {int(of_case[AT_ONCE].iloc[0])} iterations a launch, whose losses become known together: "
        f"{_middle(of_case, 'first_loss_us')} us until the first, {_middle(of_case, 'launched_us')} us an iteration "
        "with all of them read; it counts by throughput and in whole loops, not by iteration"
        for case, of_case in cases_in(rows[rows[AT_ONCE] > 1])
    ]


def _middle(rows: pd.DataFrame, column: str) -> str:
    return microseconds(float(rows[column].median()))
