"""Two published comparisons of GPUs with CPUs by others: a CPU core, or a whole CPU, against a GPU (pure)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bench.errors import UsageError
from bench.tables.csv_files import read_table
from bench.verdict.published.cited_source import published

PYHPC, DEEPBENCH = "pyhpc_benchmarks.csv", "deepbench_gemm_train.csv"
PYHPC_SOURCE = "github.com/dionhaefner/pyhpc-benchmarks, commit d438ef8 of 2024-10-08"
DEEPBENCH_SOURCE = "github.com/baidu-research/DeepBench, commit da81ba7 of 2020-08-11"
LARGEST = 4_194_304  # elements, the largest size of every kernel of pyhpc
TWO_DIGITS_S = 0.010  # its times are printed to 1 ms: what is below has one digit, of which no ratio can be taken
GEMM = ["m", "n", "k", "a_transposed", "b_transposed"]
XEON_PHI = "IA_KNL7250"
ONE_CORE, NUMPY = "CPU", "numpy"


def pyhpc_ratios(path: Path | None = None) -> pd.DataFrame:
    """A row a host and kernel at LARGEST: its fastest GPU backend over numpy and over the fastest, on one core each.

    `gpu` and `cpu` name the backends; `over_numpy` and `over_best` are NaN where the GPU's time has one digit alone.
    Raises UsageError.
    """
    path = path or published(PYHPC)
    rows = read_table(path, ("size", "mean_s"))
    rows = _with_texts(rows, path, ("host", "benchmark", "device", "backend"))
    rows = rows[(rows["size"] == LARGEST) & (rows["mean_s"] >= 0)]
    found = []
    for (host, kernel), same in rows.groupby(["host", "benchmark"], sort=True):
        on_core = same[same["device"] == ONE_CORE].sort_values("mean_s")
        on_gpu = same[(same["device"] == "GPU") & (same["backend"] != NUMPY)].sort_values("mean_s")
        numpy_s = on_core.loc[on_core["backend"] == NUMPY, "mean_s"]
        if on_gpu.empty or numpy_s.empty:
            continue
        gpu_s, best = float(on_gpu["mean_s"].iloc[0]), on_core.iloc[0]
        known_s = gpu_s if gpu_s >= TWO_DIGITS_S else float("nan")
        found.append(
            {
                "host": host,
                "kernel": kernel,
                "gpu": on_gpu["backend"].iloc[0],
                "gpu_s": gpu_s,
                "cpu": best["backend"],
                "over_numpy": float(numpy_s.iloc[0]) / known_s,
                "over_best": float(best["mean_s"]) / known_s,
            }
        )
    return pd.DataFrame(found)


def deepbench_ratios(path: Path | None = None) -> pd.DataFrame:
    """A row a device and sheet: `low`, `median`, `high` of its ratios over the Xeon Phi in float32, `products` of them.

    Raises UsageError.
    """
    path = path or published(DEEPBENCH)
    rows = read_table(path, ("m", "n", "k", "ms"))
    rows = _with_texts(rows, path, ("device", "sheet", "a_transposed", "b_transposed"))
    if not (rows["ms"] > 0).all():
        raise UsageError(f"{path}: column 'ms' holds a time that is not above 0")
    phi_ms = rows[rows["device"] == XEON_PHI].groupby(GEMM)["ms"].min().rename("phi_ms")
    both = rows[rows["device"] != XEON_PHI].merge(phi_ms, left_on=GEMM, right_index=True)
    both = both.assign(ratio=both["phi_ms"] / both["ms"], half=both["sheet"].str.contains("FP16"))
    grouped = both.groupby(["device", "half", "sheet"])["ratio"]
    found = grouped.agg(low="min", median="median", high="max", products="size").reset_index()
    return found.sort_values("median", ascending=False, ignore_index=True)


def _with_texts(rows: pd.DataFrame, path: Path, names: tuple[str, ...]) -> pd.DataFrame:
    for name in names:
        if name not in rows.columns:
            raise UsageError(f"{path}: has no column {name!r}; restore the file with: git checkout -- {path.name}")
    return rows.astype(dict.fromkeys(names, str))
