"""What a planted spin really costs: with and without it in turns, in one process, once beside every block."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bench.speedup import Ratio, paired_ratio
from bench.validation_table import COST_COLUMNS, COSTS, append_rows, read_rows
from bench.validation_tools import ToolError, ask


def measure_costs(folder: Path, block: int, size: tuple[int, int, int, int], spins_ns: Mapping[str, int]) -> None:
    """One process, unless the block has had its own: its rows of plants.csv; where it fails a row says why."""
    if any(int(row["block"]) == block for row in read_costs(folder)):
        return
    try:
        found = ask({"plants_ns": dict(spins_ns), "size": size})["plants"]
        rows = [{"block": block, "label": label, "ratio": f"{ratio:.6f}"} for label, ratio in found.items()]
    except ToolError as error:
        rows = [{"block": block, "label": label, "note": str(error)} for label in spins_ns]
    append_rows(folder / COSTS, COST_COLUMNS, rows)


def read_costs(folder: Path) -> list[dict[str, str]]:
    """The rows of plants.csv; none where there is no such table. Raises TableError."""
    return read_rows(folder / COSTS, COST_COLUMNS) if (folder / COSTS).exists() else []


def slowdowns(folder: Path) -> dict[str, Ratio]:
    """How many times as long an iteration takes with each plant: geometric mean over blocks, with its 95% interval.

    Not the cost of the spin around a loop that does nothing: in a loop that fills the caches and heats the core a
    pause of 1% cost 0.9 to 2.1% (spin-1 in results/validation-cpu/plants.csv). Hence beside the
    blocks, and in the loop.
    Raises TableError, and ValueError for what is no number.
    """
    found: dict[str, list[float]] = {}
    for row in read_costs(folder):
        if row["ratio"]:
            found.setdefault(row["label"], []).append(float(row["ratio"]))
    return {label: paired_ratio(ratios, [1.0] * len(ratios)) for label, ratios in found.items()}
