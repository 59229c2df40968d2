"""Reads what the examination judges: load, limits, clocks, libraries and variables of this machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from time import perf_counter_ns
from typing import Any, TypeVar

from bench.doctor.findings import BUSY_WARN, Readings
from bench.machine.device import cpu_model
from bench.machine.environment import available_cpus, cgroup_quota, distorting
from bench.machine.facts import available_memory
from bench.machine.process import ask

PROBE_TIMEOUT_S = 120.0
TIMER_READS = 20_000
BUSIEST = 3  # processes that are named
IDLE_PID = 0  # on Windows the name of the time in which nobody works
T = TypeVar("T")


def read_machine_now(watch_s: float = 1.0) -> Readings:
    """Everything at once; watches the other processes for `watch_s` seconds."""
    busy_cores, busiest = busy(watch_s)
    resolution_ns, cost_us = timer()
    affine = hasattr(os, "sched_getaffinity")
    return Readings(
        usable_cpus=available_cpus(),
        cores=os.cpu_count() or 1,
        affinity=len(os.sched_getaffinity(0)) if affine else os.cpu_count() or 1,
        quota=cgroup_quota(),
        throttled_periods=throttled_periods(),
        load_average=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        busy_cores=busy_cores,
        busiest=busiest,
        free_bytes=available_memory(),
        governor=_read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        clock_source=_read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        cpu_model=cpu_model(),
        cpu_flags=cpu_flags(_read("/proc/cpuinfo") or ""),
        variables=distorting(os.environ),
        timer_resolution_ns=resolution_ns,
        timer_cost_us=cost_us,
        probe=probe_libraries(),
    )


def who_is_busy(watch_s: float = 0.5) -> str:
    """What else keeps this machine busy, `1.03 of 2 cores (python[812] 101%)`; empty where it is quiet."""
    cores, busiest = busy(watch_s)
    usable = available_cpus()
    if cores <= BUSY_WARN * usable:
        return ""
    return f"{cores:.2f} of {usable} cores at work" + (f" ({busiest})" if busiest else "")


def busy(watch_s: float) -> tuple[float, str]:
    """Cores at work in the whole machine while this process sleeps, and its busiest processes, `python[812] 99%`."""
    import psutil

    own = os.getpid()
    others = [one for one in psutil.process_iter() if one.pid not in (own, IDLE_PID)]
    for one in others:
        _asked(one.cpu_percent, 0.0)
    share = psutil.cpu_percent(interval=watch_s) / 100
    used = sorted(((_asked(one.cpu_percent, 0.0), one) for one in others), key=lambda pair: pair[0])
    # a sandbox may show no use of the whole machine, or no processes of others: the larger of the two counts
    cores = max(share * (psutil.cpu_count() or 1), sum(percent for percent, _ in used) / 100)
    busiest = [(percent, _asked(one.name, ""), one.pid) for percent, one in used[::-1][:BUSIEST] if percent >= 5]
    return cores, ", ".join(f"{name}[{pid}] {percent:.0f}%" for percent, name, pid in busiest if name)


def _asked(call: Callable[[], T], otherwise: T) -> T:
    """Of a process that ended meanwhile, or that may not be read, what it would say `otherwise`."""
    import psutil

    try:
        return call()
    except psutil.Error:
        return otherwise


def timer(reads: int = TIMER_READS) -> tuple[int, float]:
    """Smallest step of the clock in ns, and what one reading costs in us."""
    stamps = [perf_counter_ns() for _ in range(reads)]
    steps = [after - before for before, after in pairwise(stamps) if after > before]
    return min(steps, default=0), (stamps[-1] - stamps[0]) / (reads - 1) / 1e3


def throttled_periods() -> int | None:
    """How often the cgroup's quota has stopped this container, None where that is not counted."""
    found = _value(_read("/sys/fs/cgroup/cpu.stat") or "", " ", "nr_throttled")
    return int(found) if found else None


def cpu_flags(cpuinfo: str) -> frozenset[str]:
    """The features that /proc/cpuinfo lists, empty where it has none."""
    return frozenset(_value(cpuinfo, ":", "flags", "Features").split())


def _value(text: str, separator: str, *names: str) -> str:
    """What stands after the first of these names at the beginning of a line; empty where none does."""
    lines = (line.partition(separator) for line in text.splitlines())
    return next((value for name, _, value in lines if name.strip() in names), "")


def probe_libraries() -> dict[str, Any]:
    """What `bench.doctor.libraries` sees in a worker's environment for one thread, or its `error`."""
    found = ask("bench.doctor.libraries", None, shape=dict[str, Any], timeout_s=PROBE_TIMEOUT_S)
    return found.value if found.status is None else {"error": found.reason}


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text("utf-8").strip()
    except OSError:
        return None
