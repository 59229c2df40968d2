"""The claim's own networks, measured on a CPU, beside what their source measured in 2017 (pure)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bench.errors import UsageError
from bench.tables.columns import MEASUREMENTS, NETWORKS
from bench.tables.csv_files import read_table
from bench.verdict.cited_source import (
    CPU_CORES,
    CPU_FLOPS_A_CYCLE,
    CPU_GHZ,
    CPU_SOCKETS,
    ratios,
    read_figures,
)
from bench.verdict.intervals import Ratio, paired_ratio

CUDNN = "5.1"  # of the source's cells the fastest on its headline's card
THEIR_PEAK_GFLOPS = CPU_SOCKETS * CPU_CORES * CPU_GHZ * CPU_FLOPS_A_CYCLE
TEXTS = ("network", "status", "noise", "cpu_model", "torch")
NUMBERS = ("block", "batch", "threads", "latency_us", "forward_us", "backward_us", "flops", "peak_gflops")


@dataclass(frozen=True, slots=True)
class Beside:
    """A network at one thread count: our pass and training step in ms, the source's CPU and card, shares of peaks.

    `pass_ms` and `step_ms` are as ratios to 1 ms. Our peak is the fastest product measured here, theirs is by the base
    clock. `at_equal_shares` is the source's ratio if its CPU had reached our share of its peak.
    """

    network: str
    batch: int
    threads: int
    gflop: float
    pass_ms: Ratio
    step_ms: Ratio
    peak_gflops: float
    noisy: int
    their_ms: float
    card_ms: float

    @property
    def our_share(self) -> float:
        """Of the fastest product measured here."""
        return self.gflop / self.pass_ms.value * 1e3 / self.peak_gflops

    @property
    def their_share(self) -> float:
        """Of two E5-2630 v3 at their base clock."""
        return self.gflop / self.their_ms * 1e3 / THEIR_PEAK_GFLOPS

    @property
    def ratio(self) -> float:
        """The source's: its CPU's time over its card's."""
        return self.their_ms / self.card_ms

    @property
    def at_equal_shares(self) -> float:
        """`ratio`, its CPU at our share of its peak."""
        return self.ratio * self.their_share / self.our_share


@dataclass(frozen=True, slots=True)
class Cnn:
    """A folder of measured networks: a row a network and thread count, and what was not measured, with reasons."""

    name: str
    machine: str
    rows: tuple[Beside, ...]
    missing: tuple[tuple[str, str], ...]


def is_of_networks(folder: Path) -> bool:
    """Whether a folder holds networks rather than a run of the tutorial's."""
    return (folder / NETWORKS).is_file() and not (folder / MEASUREMENTS).exists()


def read_cnn(folder: Path) -> Cnn:
    """What a folder of `fiftyx advise --preset cnn` holds. Raises UsageError (TableError)."""
    path = folder / NETWORKS
    table = read_table(path, NUMBERS)
    if missing := [name for name in TEXTS if name not in table.columns]:
        raise UsageError(f"{path}: has no column {missing[0]!r}; was it written by another version?")
    table = table.assign(network=[str(name).replace("_", "-") for name in table["network"]])
    theirs = ratios(read_figures()).query("card == @HEADLINE_CARD and cudnn == @CUDNN").set_index("network")
    ok = table[(table["status"] == "ok") & table["forward_us"].notna() & table["network"].isin(theirs.index)]
    if ok.empty:
        raise UsageError(
            f"{path}: holds no pass of a network of the source; make some with: fiftyx advise --preset cnn"
        )
    rows = [_beside(same, theirs) for _, same in ok.groupby(["network", "threads"], sort=False)]
    bad = table[table["status"] != "ok"]
    first = table.iloc[0]
    return Cnn(
        folder.resolve().name,
        f"{first['cpu_model']}; torch {first['torch']}",
        tuple(sorted(rows, key=lambda one: (one.gflop, one.threads))),
        tuple(zip(bad["reason"].astype(str), bad["network"], strict=True)),
    )


def _beside(same: pd.DataFrame, theirs: pd.DataFrame) -> Beside:
    first = same.iloc[0]
    network = str(first["network"])
    return Beside(
        network,
        int(first["batch"]),
        int(first["threads"]),
        float(first["flops"]) / 1e9,
        _ms(list(same["forward_us"] + same["backward_us"])),
        _ms(list(same["latency_us"])),
        float(same["peak_gflops"].max()),
        int((same["noise"].fillna("") != "").sum()),
        float(theirs["cpu_ms"][network]),
        float(theirs["gpu_ms"][network]),
    )


def _ms(us: Sequence[float]) -> Ratio:
    """A time with its interval, drift and all."""
    return paired_ratio(us, [1e3] * len(us), drift=[math.nan] * len(us))
