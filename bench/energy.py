"""What a GPU's own meter says of the energy it used; empty where there is no meter."""

from __future__ import annotations

from collections.abc import Callable

from bench.device import device_kind

READING_S = 0.1  # NVML renews its counter about ten times a second

Meter = Callable[[], int]


def open_meter(device: str) -> Meter | None:
    """A function that reads the millijoules a CUDA device has used since its driver was loaded; None without one.

    NVML's nvmlDeviceGetTotalEnergyConsumption (Volta and later), for the device that CUDA calls `device`.
    """
    if device_kind(device) != "cuda":
        return None
    try:
        import pynvml
        import torch

        pynvml.nvmlInit()
        uuid = torch.cuda.get_device_properties(device).uuid
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except Exception:  # every way in which a machine can lack a meter means an empty cell
        return None
    return lambda: int(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle))


def per_iteration_mj(used_mj: int | None, seconds: float, iterations: int) -> tuple[float | None, float | None]:
    """Millijoules an iteration and their resolution: one reading's worth of the mean power, over the iterations.

    (None, None) for an unknown energy, or a span of less than two readings.
    """
    if used_mj is None or iterations < 1 or seconds < 2 * READING_S:
        return None, None
    return used_mj / iterations, used_mj / seconds * READING_S / iterations
