"""The claim's own networks, measured on a CPU and on a GPU, beside what their source measured in 2017 (pure)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bench.cases.request import PRECISIONS
from bench.errors import UsageError, known
from bench.tables.columns import MEASUREMENTS, NETWORKS, NETWORKS_LATER
from bench.tables.csv_files import read_table
from bench.verdict.claim import OFTEN, REFUTED, SUPPORTED, TUTORIAL_CLAIM, UNDECIDED, UNTESTED, Verdict, verdict_on
from bench.verdict.published.cited_source import (
    CPU_CORES,
    CPU_FLOPS_A_CYCLE,
    CPU_GHZ,
    CPU_SOCKETS,
    HEADLINE_CARD,
    ratios,
    read_figures,
)
from bench.verdict.ratios.intervals import Ratio, paired_ratio, time_ratio

CUDNN = "5.1"  # of the source's cells the fastest on its headline's card
THEIR_PEAK_GFLOPS = CPU_SOCKETS * CPU_CORES * CPU_GHZ * CPU_FLOPS_A_CYCLE
TEXTS = ("network", "status", "noise", "cpu_model", "torch")
NO_PASS = "{path}: holds no pass of a network of the source on a CPU; make some with: fiftyx advise --preset cnn"
NUMBERS = ("block", "batch", "threads", "latency_us", "forward_us", "backward_us", "flops", "peak_gflops")


@dataclass(frozen=True, slots=True)
class OnGpu:
    """A network on a device in a precision: its pass and step as ratios to 1 ms, and this CPU's times over them."""

    device: str
    model: str
    precision: str
    pass_ms: Ratio
    step_ms: Ratio
    ratio: Ratio
    step_ratio: Ratio
    peak_gflops: float
    noisy: int


@dataclass(frozen=True, slots=True)
class Beside:
    """A network at one thread count: our pass and training step in ms, the source's CPU and card, shares of peaks.

    `pass_ms` and `step_ms` are as ratios to 1 ms. Our peak is the fastest product measured here, theirs is by the base
    clock. `at_equal_shares` is the source's ratio if its CPU had reached our share of its peak. `gpus` are what was
    measured in the same blocks.
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
    gpus: tuple[OnGpu, ...] = ()

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

    @property
    def verdict(self) -> Verdict:
        """Is the claim true of half of these networks, a pass in float32 over that on the fastest of thread counts?"""
        each = [_of_network([row for row in self.rows if row.network == name]) for name in self.networks]
        if set(each) == {UNTESTED}:
            some = any(row.gpus for row in self.rows)
            return Verdict(UNTESTED, f"no GPU was measured{' in float32' if some else ''}")
        yes, no, needed = each.count(SUPPORTED), each.count(REFUTED), OFTEN * len(each)
        outcome = SUPPORTED if yes >= needed else REFUTED if len(each) - no < needed else UNDECIDED
        return Verdict(outcome, f"{yes} of {len(each)} networks reach {TUTORIAL_CLAIM.threshold:g}x, {no} do not")

    @property
    def networks(self) -> list[str]:
        """Each once."""
        return list(dict.fromkeys(row.network for row in self.rows))


def _of_network(rows: Sequence[Beside]) -> str:
    """The outcome for one network on its best device: there the ratio over the fastest thread count is the least."""
    on: dict[str, set[str]] = {}
    for gpu in (gpu for row in rows for gpu in row.gpus if gpu.precision == "ieee"):
        on.setdefault(gpu.device, set()).add(verdict_on(gpu.ratio, TUTORIAL_CLAIM.threshold).outcome)
    least = {next(one for one in (REFUTED, UNDECIDED, SUPPORTED) if one in outcomes) for outcomes in on.values()}
    return next((one for one in (SUPPORTED, UNDECIDED, REFUTED) if one in least), UNTESTED)


def is_of_networks(folder: Path) -> bool:
    """Whether a folder holds networks rather than a run of the tutorial's."""
    return (folder / NETWORKS).is_file() and not (folder / MEASUREMENTS).exists()


def read_cnn(folder: Path) -> Cnn:
    """What a folder of `fiftyx advise --preset cnn` holds. Raises UsageError (TableError)."""
    path = folder / NETWORKS
    theirs = _of_headline()
    names = read_table(path, NUMBERS[:1])  # networks of one's own may have no operations that were counted
    if missing := [name for name in TEXTS if name not in names.columns]:
        raise UsageError(f"{path}: has no column {missing[0]!r}; was it written by another version?")
    if not theirs.index.isin(_networks(names)).any():
        raise UsageError(NO_PASS.format(path=path))
    table = read_table(path, NUMBERS)
    for name, before in NETWORKS_LATER.items():
        table[name] = table[name].fillna(before) if name in table.columns else before
    known("precision", table["precision"], PRECISIONS)
    table = table.assign(network=_networks(table))
    ok = table[(table["status"] == "ok") & table["forward_us"].notna() & table["network"].isin(theirs.index)]
    cpu, gpu = ok[ok["device"] == "cpu"], ok[ok["device"] != "cpu"]
    if cpu.empty:
        raise UsageError(NO_PASS.format(path=path))
    rows = [
        _beside(same, gpu[gpu["network"] == name], theirs)
        for (name, _threads), same in cpu.groupby(["network", "threads"], sort=False)
    ]
    bad = table[table["status"] != "ok"]
    first = table.iloc[0]
    return Cnn(
        folder.resolve().name,
        f"{first['cpu_model']}; torch {first['torch']}",
        tuple(sorted(rows, key=lambda one: (one.gflop, one.threads))),
        tuple(zip(bad["reason"].astype(str), bad["network"] + _on(bad), strict=True))
        + tuple(("no CPU row of it", name) for name in sorted(set(gpu["network"]) - set(cpu["network"]))),
    )


def _of_headline() -> pd.DataFrame:
    found = ratios(read_figures())
    return found[(found["card"] == HEADLINE_CARD) & (found["cudnn"] == CUDNN)].set_index("network")


def _networks(rows: pd.DataFrame) -> list[str]:
    """As the source writes them."""
    return [str(name).replace("_", "-") for name in rows["network"]]


def _on(rows: pd.DataFrame) -> list[str]:
    return ["" if device == "cpu" else f" {device}" for device in rows["device"]]


def _beside(same: pd.DataFrame, gpu: pd.DataFrame, theirs: pd.DataFrame) -> Beside:
    first = same.iloc[0]
    network = str(first["network"])
    return Beside(
        network,
        int(first["batch"]),
        int(first["threads"]),
        float(first["flops"]) / 1e9,
        time_ratio(_pass_us(same), 1e3),
        time_ratio(list(same["latency_us"]), 1e3),
        float(same["peak_gflops"].max()),
        int(same["noise"].notna().sum()),
        float(theirs["cpu_ms"][network]),
        float(theirs["gpu_ms"][network]),
        tuple(_on_gpu(same, mine) for _, mine in gpu.groupby(["device", "precision"], sort=False)),
    )


def _on_gpu(cpu: pd.DataFrame, gpu: pd.DataFrame) -> OnGpu:
    first = gpu.iloc[0]
    both = cpu.merge(gpu, on="block", suffixes=("_cpu", "_gpu"))
    unknown = [math.nan] * len(both)  # what drifts on a CPU does not on a GPU
    return OnGpu(
        str(first["device"]),
        str(first["device_model"]),
        str(first["precision"]),
        time_ratio(_pass_us(gpu), 1e3),
        time_ratio(list(gpu["latency_us"]), 1e3),
        paired_ratio(_pass_us(both, "_cpu"), _pass_us(both, "_gpu"), drift=unknown),
        paired_ratio(list(both["latency_us_cpu"]), list(both["latency_us_gpu"]), drift=unknown),
        float(gpu["peak_gflops"].max()),
        int(gpu["noise"].notna().sum()),
    )


def _pass_us(rows: pd.DataFrame, side: str = "") -> list[float]:
    return list(rows[f"forward_us{side}"] + rows[f"backward_us{side}"])
