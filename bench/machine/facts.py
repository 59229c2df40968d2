"""What machine this is: processor, memory, versions, devices, and what may disturb it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import UsageError
from bench.machine.device import cpu_model
from bench.machine.environment import available_cpus, cgroup_quota, distorting, is_altered
from bench.machine.process import ask

PACKAGES = ("numpy", "torch", "scipy", "pandas", "matplotlib", "cupy", "jax", "numba", "triton")
ASSUMED_FREE = 0.8  # of the memory that is free now; the rest is for everybody else


def probe_devices() -> dict[str, Any]:
    """What `bench.machine.probe` sees in a fresh process, so that this one never imports torch. Raises UsageError."""
    found = ask("bench.machine.probe", None, shape=dict[str, Any])
    if found.status is not None:
        raise UsageError(f"cannot find devices: {found.reason}")
    return {**found.value, "seconds": found.seconds}


def as_grid_machine(probe: Mapping[str, Any]) -> Machine:
    """What the grid has to know of a probe's findings."""
    free = {"cpu": available_memory()}
    for name, device in probe["devices"].items():
        if "free_bytes" in device:
            free[name] = int(device["free_bytes"] * ASSUMED_FREE)
    return Machine(available_cpus(), frozenset(probe["devices"]), dict(probe["missing"]), free, is_altered(os.environ))


def available_memory() -> int:
    """Bytes that a process may still take: free memory or what the cgroup leaves, less a reserve."""
    import psutil

    try:
        free = int(psutil.virtual_memory().available)
    except (OSError, psutil.Error):  # without /proc nobody knows; what does not fit ends as `oom`
        return 2**63 - 1
    try:
        limit, current = (
            int(Path("/sys/fs/cgroup", name).read_text("ascii")) for name in ("memory.max", "memory.current")
        )
        free = min(free, limit - current)
    except (OSError, ValueError):
        pass
    return int(free * ASSUMED_FREE)


def describe(probe: Mapping[str, Any], *, keep_env: bool = False) -> dict[str, Any]:
    """For machine.json: what explains a number later. No host or user name."""
    # a value that is a path may name a person
    removed = {name: "(a path)" if os.sep in value else value for name, value in distorting(os.environ).items()}
    return {
        "cpu_model": cpu_model(),
        "cpus": available_cpus(),
        "cores": os.cpu_count(),
        "cpu_quota": cgroup_quota(),
        "memory_bytes": _memory(),
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "system": platform.system(),
        "release": platform.release(),
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "devices": {name: dict(device) for name, device in probe["devices"].items()},
        "missing": dict(probe["missing"]),
        "environment": "kept" if keep_env and removed else "clean",
        "distorting_variables": removed,
    }


def _memory() -> int | None:
    import psutil

    try:
        return int(psutil.virtual_memory().total)
    except (OSError, psutil.Error):  # no /proc
        return None


def _version(package: str) -> str | None:
    for name in (package, f"{package}-cuda12x", f"{package}-cuda13x"):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text("ascii").strip()
    except OSError:
        return None


@dataclass(frozen=True, slots=True)
class Machine:
    """What the grid has to know: cores, devices, the reason why each kind is out of reach, free bytes.

    `altered`: workers run without variables that the shell has.
    """

    cpus: int
    devices: frozenset[str]
    missing: Mapping[str, str]  # kind -> reason
    free_bytes: Mapping[str, int]  # device name -> bytes; "cpu" is the host
    altered: bool = False
