"""Processes whose first call takes seconds, beside copies whose first call does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import geometric_mean

from bench.validation_plant import SLOW_FIRST
from bench.validation_table import COPY, read_processes


@dataclass(frozen=True, slots=True)
class SlowFirst:
    """Cases whose first call took seconds, and the copies' geometric mean in the same blocks, (blocks,) each."""

    copies_us: Sequence[float]
    slow_us: Sequence[float]
    copies_iterations: Sequence[int]
    slow_iterations: Sequence[int]
    first_s: Sequence[float]


def read_slow_first(folder: Path) -> SlowFirst:
    """The blocks that hold a slow first call, with the geometric means of their copies."""
    rows = read_processes(folder)
    late = rows[rows["label"] == SLOW_FIRST].set_index("block").sort_index()
    copies = rows[rows["label"].str.startswith(COPY) & rows["block"].isin(late.index)]
    means = copies.groupby("block")["latency_median_us"].agg(lambda one: geometric_mean(one.tolist()))
    late = late.loc[means.index]
    return SlowFirst(
        copies_us=means.tolist(),
        slow_us=late["latency_median_us"].tolist(),
        copies_iterations=copies["iterations"].tolist(),
        slow_iterations=late["iterations"].tolist(),
        first_s=late["first_iteration_seconds"].tolist(),
    )
