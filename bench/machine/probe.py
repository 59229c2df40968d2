"""What a fresh process sees: which devices torch reaches, and how fast this machine starts and multiplies."""

from __future__ import annotations

import importlib.util
from time import perf_counter
from typing import Any

from bench.machine.device import KINDS, cpu_model
from bench.machine.environment import available_cpus
from bench.machine.frameworks import torch_missing
from bench.machine.process import answer

ROUNDS = 40


def probe() -> dict[str, Any]:
    """Devices with model and free bytes, the reason for each that is missing, seconds of imports, GFLOP/s."""
    start = perf_counter()
    gflops = _gflops()
    found: dict[str, Any] = {
        "numpy_seconds": perf_counter() - start,
        "gflops": gflops,
        "cpus": available_cpus(),
        "devices": {"cpu": {"model": cpu_model()}},
        "missing": {},
    }
    if importlib.util.find_spec("torch") is None:
        found["missing"] = {kind: "torch is not installed" for kind in KINDS if kind != "cpu"}
        return found
    start = perf_counter()
    import torch

    torch.ones(2).mul_(2)
    found["torch_seconds"] = perf_counter() - start
    found["torch"] = torch.__version__
    for kind in KINDS[1:]:
        reason = torch_missing(kind)
        if reason is not None:
            found["missing"][kind] = reason
        elif kind == "cuda":
            found["devices"] |= _cuda_devices()
        else:
            found["devices"][kind] = {"model": kind}
    found["probe_seconds"] = perf_counter() - start
    return found


def _gflops() -> float:
    """Of one float64 product at the tutorial's size, the best of a few; only for estimating a plan's time."""
    import numpy as np

    a, b = np.ones((64, 1000)), np.ones((1000, 100))
    best = float("inf")
    for _ in range(ROUNDS):
        start = perf_counter()
        a.dot(b)
        best = min(best, perf_counter() - start)
    return 2 * 64 * 1000 * 100 / best / 1e9


def _cuda_devices() -> dict[str, dict[str, Any]]:
    import torch

    found = {}
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        model = torch.cuda.get_device_name(index)
        found[f"cuda:{index}"] = {
            "model": model,
            "free_bytes": free,
            "memory_bytes": total,
            "capability": ".".join(map(str, torch.cuda.get_device_capability(index))),
            "cuda": torch.version.cuda,
        }
    return found


if __name__ == "__main__":
    answer(lambda _question: probe())
