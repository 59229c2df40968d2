"""The audit of the source that the claim cites: GPU against CPU, network by network, from its own figures (pure)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bench.errors import UsageError
from bench.tables.csv_files import read_table

FIGURES = "cnn_benchmarks_2017.csv"
SOURCE = "github.com/jcjohnson/cnn-benchmarks, as of 2017"
HEADLINE = "The Pascal Titan X with cuDNN is 49x to 74x faster than dual Xeon E5-2630 v3 CPUs"
HEADLINE_RANGE = (49, 74)
HEADLINE_CARD = "Pascal Titan X"
TEXTS, NUMBERS = ("device", "model", "cudnn"), ("batch_size", "total_ms")
CARDS = {"TITAN X": "Pascal Titan X", "GeForce GTX TITAN X": "Maxwell Titan X"}
CPU = "cpu"
NO_CUDNN = "none"

GPU_PEAK_GFLOPS = 10_160.0  # float32, the source's own table of cards
CPU_SOCKETS, CPU_CORES, CPU_GHZ = 2, 8, 2.4  # two Xeon E5-2630 v3, base clock
CPU_FLOPS_A_CYCLE = 32  # Haswell: two 256-bit fused multiply-adds, 8 float32 each, 2 operations

GROUP, CELL = ["card", "cudnn"], ["card", "cudnn", "network"]


def published(name: str) -> Path:
    """A file of published figures: a clone has them next to the package, an installed copy below it."""
    below, near = (above / "results" / "published" / name for above in Path(__file__).resolve().parents[2:4])
    return below if below.exists() else near


def read_figures(path: Path | None = None) -> pd.DataFrame:
    """The source's figures, a row a run of a network on a card with a cuDNN version. Raises UsageError (TableError).

    `total_ms` is the mean of the source's passes, forward and backward; `card` and `cudnn` are as the source speaks
    of them.
    """
    path = path or published(FIGURES)
    frame = read_table(path, NUMBERS)
    for name in TEXTS:
        if name not in frame.columns:
            raise UsageError(f"{path}: has no column {name!r}; restore the file with: git checkout -- {path.name}")
    if not (frame["total_ms"] > 0).all():
        raise UsageError(f"{path}: column 'total_ms' holds a time that is not above 0")
    return frame.astype(dict.fromkeys(TEXTS, str)).assign(
        card=lambda rows: [CARDS.get(name, name.removeprefix("GeForce ")) for name in rows["device"]],
        cudnn=lambda rows: [cudnn_version(code) for code in rows["cudnn"]],
        network=lambda rows: rows["model"],
    )


def cudnn_version(code: str) -> str:
    """`5105` -> `5.1`; `none` stays."""
    return f"{int(code) // 1000}.{int(code) // 100 % 10}" if code.isdigit() else code


def ratios(figures: pd.DataFrame) -> pd.DataFrame:
    """A row a network, card and cuDNN version with a time on both sides: `cpu_ms`, `gpu_ms`, `ratio`, `highest`.

    Of several runs of a cell the one with the lowest mean counts, on both sides. `highest` is the highest ratio of
    its card and version; these come in its order, each from its lowest ratio to its highest.
    """
    best = figures.groupby(CELL)["total_ms"].min().rename("gpu_ms").reset_index()
    cpu = best[best["card"] == CPU].set_index("network")["gpu_ms"]
    both = best[(best["card"] != CPU) & best["network"].isin(cpu.index)]
    both = both.assign(cpu_ms=both["network"].map(cpu)).assign(ratio=lambda rows: rows["cpu_ms"] / rows["gpu_ms"])
    both = both.assign(highest=both.groupby(GROUP)["ratio"].transform("max"))
    return both.sort_values(["highest", *GROUP, "ratio"], ascending=[False, True, True, True], ignore_index=True)


def groups(found: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """A row a card and cuDNN version of `ratios`: `low`, `high`, how many `networks`, how many `reaching`."""
    reaching = found.assign(reaching=found["ratio"] >= threshold).groupby(GROUP, sort=False)
    return reaching.agg(
        low=("ratio", "min"), high=("ratio", "max"), networks=("ratio", "size"), reaching=("reaching", "sum")
    ).reset_index()


def run_twice(figures: pd.DataFrame) -> pd.DataFrame:
    """A row a cell that was run more than once: `runs_ms` in the file's order, and the mean ms `used`, the lowest."""
    times = figures.groupby(CELL)["total_ms"].agg(runs_ms=tuple, used="min").reset_index()
    return times[times["runs_ms"].map(len) > 1]


def without_cpu(figures: pd.DataFrame) -> list[str]:
    """The networks without a time on the CPU, so without a ratio."""
    return sorted(set(figures["network"]) - set(figures.loc[figures["card"] == CPU, "network"]))


def peak_ratio() -> float:
    """By peak float32 FLOP/s: the headline's card over its CPUs."""
    return GPU_PEAK_GFLOPS / (CPU_SOCKETS * CPU_CORES * CPU_GHZ * CPU_FLOPS_A_CYCLE)
