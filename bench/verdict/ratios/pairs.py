"""The times of two cases, paired by block, as arrays: in pandas the pairs would take most of a report's time (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.cases.case import CaseKey
from bench.tables.by_case import cases_in
from bench.verdict.ratios.intervals import Ratio, paired_ratio
from bench.verdict.ratios.one_speed import BLOCK_SPEED

SCOPES = {
    "iteration": "latency_median_us",
    "throughput": "throughput_us",
    "loop": "loop_seconds",
    "program": "program_seconds",
}


@dataclass(frozen=True, slots=True)
class Pair:
    """Times (2, blocks) of a baseline and a contender, which blocks are noisy, and how slow the core was in each.

    `slowness` is ln of the reference product's mean time in the block, NaN where nobody read it.
    """

    times: NDArray[np.float64]
    noisy: NDArray[np.bool_]
    slowness: NDArray[np.float64]

    @property
    def blocks(self) -> int:
        """How many both sides have."""
        return int(self.times.shape[1])

    def ratio(self, confidence: float, *, mixed: bool) -> Ratio:
        """Their ratio; `mixed` where only one side is on the CPU, whose clock an accelerator does not share."""
        drift = self.slowness if mixed else None
        return paired_ratio(self.times[0], self.times[1], confidence, drift=drift)


@dataclass(frozen=True, slots=True)
class Side:
    """The blocks of a case in order, as arrays (blocks,): in pandas the pairs would take most of a report's time."""

    blocks: NDArray[Any]
    times: Mapping[str, NDArray[np.float64]]  # by scope
    noisy: NDArray[np.bool_]
    slowness: NDArray[np.float64]
    oracle: str
    environment: str

    @classmethod
    def of(cls, rows: pd.DataFrame) -> Side:
        """From the rows of one case."""
        blocks = rows["block"].to_numpy()
        order = np.argsort(blocks)
        return cls(
            blocks=blocks[order],
            times={scope: rows[column].to_numpy(float)[order] for scope, column in SCOPES.items()},
            noisy=rows["noisy"].to_numpy(bool)[order],
            slowness=(rows[BLOCK_SPEED] if BLOCK_SPEED in rows else rows["block"] * np.nan).to_numpy(float)[order],
            oracle=str(rows["oracle"].iloc[0]),
            environment=str(rows["environment"].iloc[0]),
        )

    def paired(self, other: Side, scope: str) -> Pair:
        """The blocks where both were measured; noisy is a block that is so on either side."""
        _, mine, theirs = np.intersect1d(self.blocks, other.blocks, assume_unique=True, return_indices=True)
        times = np.array([self.times[scope][mine], other.times[scope][theirs]])
        measured = ~np.isnan(times).any(axis=0)
        noisy = self.noisy[mine] | other.noisy[theirs]
        return Pair(times[:, measured], noisy[measured], self.slowness[mine][measured])


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a case testifies to nothing, or not to all: its worst status, the reason, in how many of its blocks."""

    status: str
    reason: str
    blocks: int
    of: int

    @property
    def words(self) -> str:
        """`crashed in 2 of 10 blocks: killed by signal 11`."""
        share = f" in {self.blocks} of {self.of} blocks" if self.of > 1 else ""
        return f"{self.status}{share}" + (f": {self.reason}" if self.reason else "")


def troubles(measurements: pd.DataFrame) -> dict[CaseKey, Trouble]:
    """Every case with a row that is not `ok`; `wrong` outweighs all else."""
    found = {}
    for case, rows in cases_in(measurements):
        bad = rows[rows["status"] != "ok"]
        if len(bad):
            wrong = bad[bad["status"] == "wrong"]
            worst = (wrong if len(wrong) else bad).iloc[0]
            found[case] = Trouble(str(worst["status"]), str(worst["reason"]), len(bad), len(rows))
    return found
