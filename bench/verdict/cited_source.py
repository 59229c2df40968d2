"""The audit of the source that the claim cites: GPU against CPU, network by network, from its own figures (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pandas as pd

from bench.errors import UsageError
from bench.tables.csv_files import read_table

FIGURES = Path(__file__).resolve().parents[2] / "results" / "published" / "cnn_benchmarks_2017.csv"
SOURCE = "github.com/jcjohnson/cnn-benchmarks, as of 2017"
HEADLINE = "The Pascal Titan X with cuDNN is 49x to 74x faster than dual Xeon E5-2630 v3 CPUs"
HEADLINE_RANGE = (49, 74)
TEXTS, NUMBERS = ("device", "model", "cudnn"), ("batch_size", "total_ms")
CARDS = {"TITAN X": "Pascal Titan X", "GeForce GTX TITAN X": "Maxwell Titan X"}
HEADLINE_CARD = "Pascal Titan X"
CPU = "cpu"
NO_CUDNN = "none"

GPU_PEAK_GFLOPS = 10_160.0  # float32, the source's own table of cards
CPU_SOCKETS, CPU_CORES, CPU_GHZ = 2, 8, 2.4  # two Xeon E5-2630 v3, base clock
CPU_FLOPS_A_CYCLE = 32  # Haswell: two 256-bit fused multiply-adds, 8 float32 each, 2 operations


@dataclass(frozen=True, slots=True)
class Cell:
    """One network on one card: mean ms of a forward and a backward pass on each side, and their ratio."""

    card: str
    cudnn: str
    network: str
    cpu_ms: float
    gpu_ms: float

    @property
    def ratio(self) -> float:
        """How many times as fast as the CPUs."""
        return self.cpu_ms / self.gpu_ms


@dataclass(frozen=True, slots=True)
class Group:
    """All networks of one card with one cuDNN version, in the order of their ratios."""

    card: str
    cudnn: str
    cells: tuple[Cell, ...]

    @property
    def lowest(self) -> Cell:
        """The network that gains least."""
        return self.cells[0]

    @property
    def highest(self) -> Cell:
        """The network that gains most."""
        return self.cells[-1]

    def reaching(self, threshold: float) -> int:
        """How many networks reach `threshold`."""
        return sum(cell.ratio >= threshold for cell in self.cells)


@dataclass(frozen=True, slots=True)
class Twice:
    """A cell that was run more than once, and the mean ms that counts: the lowest."""

    card: str
    cudnn: str
    network: str
    runs_ms: tuple[float, ...]

    @property
    def used_ms(self) -> float:
        """The run that counts."""
        return min(self.runs_ms)


@dataclass(frozen=True, slots=True)
class Audit:
    """What the source's figures say: ratios by card and cuDNN, cells run twice, networks without a CPU time."""

    groups: tuple[Group, ...]
    twice: tuple[Twice, ...]
    without_cpu: tuple[str, ...]

    def group(self, card: str, cudnn: str) -> Group | None:
        """The ratios of one card with one cuDNN version such as "5.1", or None."""
        return next((group for group in self.groups if (group.card, group.cudnn) == (card, cudnn)), None)

    def of_headline_card(self) -> tuple[Group, ...]:
        """The headline's card with any cuDNN: what the headline can be about."""
        return tuple(one for one in self.groups if one.card == HEADLINE_CARD and one.cudnn != NO_CUDNN)

    def rounding_to(self, ratio: int) -> tuple[Cell, ...]:
        """The cells of any card whose ratio rounds to `ratio`."""
        return tuple(cell for group in self.groups for cell in group.cells if round(cell.ratio) == ratio)


def read_figures(path: Path = FIGURES) -> pd.DataFrame:
    """The source's figures, one row a run. Raises UsageError (TableError)."""
    frame = read_table(path, NUMBERS)
    for name in TEXTS:
        if name not in frame.columns:
            raise UsageError(f"{path}: has no column {name!r}; restore the file with: git checkout -- {path.name}")
    if not (frame["total_ms"] > 0).all():
        raise UsageError(f"{path}: column 'total_ms' holds a time that is not above 0")
    return frame.astype(dict.fromkeys(TEXTS, str))


def audit(figures: pd.DataFrame) -> Audit:
    """GPU against CPU per network, for each card and cuDNN version. Times are means of the source's passes.

    Of several runs of a cell the one with the lowest mean total counts, on both sides.
    """
    named = figures.assign(
        card=[CARDS.get(name, name.removeprefix("GeForce ")) for name in figures["device"]],
        cudnn=[cudnn_version(code) for code in figures["cudnn"]],
    )
    runs = named.groupby(["card", "cudnn", "model"], sort=True)["total_ms"]
    best = runs.min()
    cpu = best.loc[CPU, NO_CUDNN] if CPU in best.index else pd.Series(dtype=float)
    groups = []
    for key, times in best.groupby(["card", "cudnn"], sort=True):
        card, cudnn = cast(tuple[str, str], key)
        networks = times.droplevel(["card", "cudnn"])
        both = [name for name in networks.index if name in cpu.index] if card != CPU else []
        cells = [Cell(card, cudnn, name, float(cpu[name]), float(networks[name])) for name in both]
        if cells:
            groups.append(Group(card, cudnn, tuple(sorted(cells, key=lambda cell: cell.ratio))))
    twice = [Twice(*cast(tuple[str, str, str], key), tuple(times)) for key, times in runs if len(times) > 1]
    missing = sorted(set(named["model"]) - set(cpu.index))
    return Audit(tuple(sorted(groups, key=lambda one: -one.highest.ratio)), tuple(twice), tuple(missing))


def cudnn_version(code: str) -> str:
    """`5105` -> `5.1`, as the source speaks of it; `none` stays."""
    return f"{int(code) // 1000}.{int(code) // 100 % 10}" if code.isdigit() else code


def peak_ratio() -> float:
    """By peak float32 FLOP/s: the headline's card over its CPUs."""
    return GPU_PEAK_GFLOPS / (CPU_SOCKETS * CPU_CORES * CPU_GHZ * CPU_FLOPS_A_CYCLE)


def headline_words(found: Audit) -> list[str]:
    """What of the headline's "49x to 74x" stands in the source's tables of that card, in sentences."""
    cells = [cell for group in found.of_headline_card() for cell in group.cells]
    if not cells:
        return [f"The figures hold no {HEADLINE_CARD} with cuDNN: the headline cannot be checked."]
    low, high = HEADLINE_RANGE
    lowest = min(cells, key=lambda cell: cell.ratio)
    words = []
    if any(round(cell.ratio) == low for cell in cells):
        words.append(f'The headline\'s "{low}x" is in the tables of that card.')
    else:
        words.append(
            f"The headline's \"{low}x\" stands in no current table of the {HEADLINE_CARD}: that card's lowest is "
            f"{lowest.ratio:.1f}x ({lowest.network}, cuDNN {lowest.cudnn})."
        )
        words += [f"{cell.ratio:.1f}x is there for another card: {_where(cell)}." for cell in found.rounding_to(low)]
    near = [cell for cell in cells if int(cell.ratio) == high]
    words += [f'"{high}x" is {cell.ratio:.1f}x: {cell.network}, cuDNN {cell.cudnn}.' for cell in near]
    return words


def _where(cell: Cell) -> str:
    return f"{cell.card}, {cell.network}, {'no cuDNN' if cell.cudnn == NO_CUDNN else f'cuDNN {cell.cudnn}'}"


def group_rows(found: Sequence[Group], threshold: float) -> list[tuple[str, ...]]:
    """Card, cuDNN, lowest-highest ratio, how many networks reach `threshold`."""
    return [
        (
            group.card,
            group.cudnn,
            f"{group.lowest.ratio:.1f}-{group.highest.ratio:.1f}x",
            f"{group.reaching(threshold)} of {len(group.cells)}",
        )
        for group in found
    ]
