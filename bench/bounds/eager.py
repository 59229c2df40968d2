"""What eager code reaches of what a card publishes: ranges from published measurements, each with its source."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PATH = Path(__file__).parent / "eager.csv"


@dataclass(frozen=True, slots=True)
class Range:
    """A figure that is not known exactly: 10% lie below `low`, half below `middle`, 90% below `high`."""

    low: float
    middle: float
    high: float
    source: str


@cache
def eager() -> Mapping[str, Range]:
    """The ranges of `eager.csv` by name; us, shares of a card's figure, sides, factors."""
    with PATH.open(encoding="utf-8", newline="") as file:
        return {
            row["name"]: Range(float(row["low"]), float(row["middle"]), float(row["high"]), row["source"])
            for row in csv.DictReader(file)
        }
