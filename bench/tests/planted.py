"""Tables and machine.json of runs that were never measured: times from a known launch + work cost, with known noise."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.cases.presets import SWEEP_SIZES
from bench.cases.problem import Problem, Size
from bench.tables.columns import MEASUREMENT_COLUMNS

CPU_FLOPS_PER_US = 1e5
SIDES: Mapping[tuple[str, str, str, int], tuple[float, float]] = {
    # (style, device, dtype, threads): (launch us, operations a us)
    ("numpy_manual", "cpu", "float64", 1): (0.0, CPU_FLOPS_PER_US / 5),
    ("numpy_in_place", "cpu", "float64", 1): (0.0, CPU_FLOPS_PER_US / 2),
    ("numpy_in_place", "cpu", "float32", 1): (0.0, CPU_FLOPS_PER_US),
    ("torch_tensors", "cpu", "float32", 1): (0.0, CPU_FLOPS_PER_US * 0.8),
    ("torch_tensors", "cuda:0", "float32", 1): (100.0, CPU_FLOPS_PER_US * 200),
    ("torch_autograd", "cuda:0", "float32", 1): (200.0, CPU_FLOPS_PER_US * 200),
}
MACHINE: dict[str, Any] = {
    "run_id": "planted0",
    "cpu_model": "A CPU",
    "cpus": 2,
    "devices": {"cpu": {"model": "A CPU"}, "cuda:0": {"model": "A GPU"}},
    "environment": "clean",
    "plan": {"seed": 0, "blocks": 5},
    "ceilings": [
        {"kind": "gemm", "framework": "numpy", "device": "cpu", "dtype": "float32", "precision": "ieee",
         "threads": 1, "gflops": 250.0},
        {"kind": "gemm", "framework": "torch", "device": "cuda:0", "dtype": "float32", "precision": "ieee",
         "threads": 1, "gflops": 50_000.0},
    ],
}  # fmt: skip


def planted_us(side: tuple[str, str, str, int], size: Size) -> float:
    """The planted time of an iteration."""
    launch_us, flops_per_us = SIDES[side]
    return launch_us + Problem(*size).flops / flops_per_us


def planted(
    sides: Iterable[tuple[str, str, str, int]] = tuple(SIDES),
    sizes: Sequence[Size] = SWEEP_SIZES,
    blocks: int = 5,
    noise: float = 0.002,
    seed: int = 0,
) -> pd.DataFrame:
    """A table of measurements, each time off by a normal factor of sd `noise`."""
    draw = np.random.default_rng(seed)
    rows = [
        planted_row(side, size, block, planted_us(side, size) * float(np.exp(noise * draw.standard_normal())))
        for block in range(blocks)
        for size in sizes
        for side in sides
    ]
    return pd.DataFrame(rows, columns=list(MEASUREMENT_COLUMNS))


def planted_row(side: tuple[str, str, str, int], size: Size, block: int, latency_us: float) -> dict[str, Any]:
    """One row: the loop and the whole program spend 2 s on a GPU's start, 0.1 s on a CPU's."""
    style, device, dtype, threads = side
    model = "A CPU" if device == "cpu" else "A GPU"
    n, d_in, hidden, d_out = size
    start = 0.1 if device == "cpu" else 2.0
    return {
        "run_id": "planted0", "block": block, "order": block, "style": style, "oracle": "sgd",
        "framework": style.partition("_")[0], "device": device, "device_model": model,
        "dtype": dtype, "precision": "ieee", "threads": threads, "n": n, "d_in": d_in, "hidden": hidden,
        "d_out": d_out,
        "learning_rate": 1e-6, "seed": 0, "environment": "clean", "status": "ok", "reason": "", "attempts": 1,
        "noisy": False, "import_seconds": start, "transfer_seconds": 0.0, "setup_seconds": start,
        "first_iteration_seconds": latency_us / 1e6 + start / 10, "latency_median_us": latency_us,
        "throughput_us": latency_us * 0.9, "loop_seconds": start / 10 + latency_us * 500e-6,
        "program_seconds": start * 1.1 + latency_us * 500e-6, "flops": Problem(*size).flops, "blas": "",
    }  # fmt: skip


def write_run(folder: Path, measurements: pd.DataFrame, machine: Mapping[str, Any] = MACHINE) -> Path:
    """A run folder with measurements.csv and machine.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "machine.json").write_text(json.dumps(machine))
    measurements.to_csv(folder / "measurements.csv", index=False, lineterminator="\n")
    return folder
