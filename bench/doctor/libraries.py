"""What a worker for one thread sees of its libraries; run as a process, answers in JSON."""

from __future__ import annotations

import importlib.util
from time import perf_counter
from typing import Any

from bench.machine.core_speed import open_reference
from bench.machine.process import answer

WATCH_S = 0.5


def core_us() -> tuple[float, float]:
    """Between which times of the reference product nine of ten readings lie, read for WATCH_S."""
    read, end = open_reference(), perf_counter() + WATCH_S
    readings = [read()]
    while perf_counter() < end:
        readings.append(read())
    readings.sort()
    return readings[len(readings) // 20], readings[-1 - len(readings) // 20]


def probe() -> dict[str, Any]:
    """The core's speed; thread pools after a product in each library; torch's threads and MKL, if it is installed."""
    import numpy as np
    from threadpoolctl import threadpool_info

    a = np.ones((64, 64), np.float32)
    a.dot(a)
    found: dict[str, Any] = {"core_us": core_us()}
    if importlib.util.find_spec("torch") is not None:
        import torch

        torch.ones(64, 64).mm(torch.ones(64, 64))
        found["torch_threads"] = torch.get_num_threads()
        found["torch_mkl"] = bool(torch.backends.mkl.is_available())  # type: ignore[no-untyped-call]
    wanted = ("user_api", "internal_api", "version", "architecture", "num_threads")
    found["pools"] = [{name: pool.get(name) for name in wanted} for pool in threadpool_info()]
    return found


if __name__ == "__main__":
    answer(lambda _question: probe())
