"""What the system counted while a process was timed, and how many threads its libraries run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from time import perf_counter, process_time
from typing import Any

from bench.cases.case import Case
from bench.machine.device import device_kind
from bench.machine.environment import available_cpus

OWN_POOL = 1.5


@dataclass(frozen=True, slots=True)
class Counters:
    """A reading, or a difference of two: seconds, and counts that are None where the system has none."""

    wall_s: float
    cpu_s: float
    minor_faults: int | None
    involuntary_switches: int | None
    peak_rss_bytes: int | None

    @classmethod
    def read(cls) -> Counters:
        """This process now."""
        try:
            import resource
        except ImportError:  # Windows
            return cls(perf_counter(), process_time(), None, None, None)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        unit = 1 if sys.platform == "darwin" else 1024
        peak = _peak_of_this_program() or usage.ru_maxrss * unit
        return cls(perf_counter(), process_time(), usage.ru_minflt, usage.ru_nivcsw, peak)

    def __sub__(self, before: Counters) -> Counters:
        return Counters(
            self.wall_s - before.wall_s,
            self.cpu_s - before.cpu_s,
            _difference(self.minor_faults, before.minor_faults),
            _difference(self.involuntary_switches, before.involuntary_switches),
            self.peak_rss_bytes,
        )

    @property
    def cpu_utilisation(self) -> float | None:
        """CPU seconds per wall second; None where the span is too short for the system's resolution."""
        return self.cpu_s / self.wall_s if self.wall_s > 0.01 else None

    def per_iteration_faults(self, iterations: int) -> float | None:
        """Minor page faults an iteration."""
        return None if self.minor_faults is None else self.minor_faults / iterations


def _peak_of_this_program() -> int | None:
    """Bytes, from Linux: getrusage's figure survives exec, and so may be the launcher's."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as lines:
            return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)
    except OSError:
        return None


def _difference(after: int | None, before: int | None) -> int | None:
    return None if after is None or before is None else after - before


def threads_in_use(case: Case) -> str:
    """The BLAS and OpenMP libraries loaded here, as text. Raises RuntimeError when one runs more threads than asked."""
    from threadpoolctl import threadpool_info

    pools = threadpool_info()
    for pool in pools:
        if pool["num_threads"] != case.threads and case.device == "cpu":
            raise RuntimeError(f"{pool['internal_api']} runs {pool['num_threads']} threads, asked for {case.threads}")
    torch = sys.modules.get("torch")
    if torch is not None and case.device == "cpu" and torch.get_num_threads() != case.threads:
        raise RuntimeError(f"torch runs {torch.get_num_threads()} threads, asked for {case.threads}")
    names = {
        " ".join(filter(None, (pool["internal_api"], pool.get("version"), pool.get("architecture")))) for pool in pools
    }
    return "; ".join(sorted(names))


@contextmanager
def every_core(case: Case) -> Iterator[None]:
    """All cores for the oracle of a case on an accelerator: its clock has stopped, and its one thread takes seconds.

    A case on the CPU has its own threads: its own products run there too while it is checked.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(case.threads if case.device == "cpu" else available_cpus(), user_api="blas"):
        yield


def cores_in_use(case: Case, counters: Counters) -> None:
    """Raises RuntimeError when a case on the CPU ran on many more cores than its threads: a pool of its own."""
    used = counters.cpu_utilisation
    if case.device == "cpu" and used is not None and used > OWN_POOL * case.threads + 0.5:
        raise RuntimeError(f"used {used:.1f} cores, asked for {case.threads} threads: it runs a pool of its own")


READING_S = 0.1  # NVML renews its counter about ten times a second

Meter = Callable[[], int | None]


@dataclass(frozen=True, slots=True)
class Meters:
    """What NVML says of a GPU: millijoules used since its driver was loaded, and its SM clock in MHz now."""

    energy_mj: Meter
    sm_clock_mhz: Meter


def open_meters(device: str) -> Meters:
    """The meters of a CUDA device; each gives None where there is none, and without NVML."""
    none = Meters(lambda: None, lambda: None)
    if device_kind(device) != "cuda":
        return none
    try:
        import pynvml as nvml

        nvml.nvmlInit()
        gpu = _handle(nvml, device)
    except Exception:  # every way in which a machine can lack a meter means an empty cell
        return none
    energy = partial(nvml.nvmlDeviceGetTotalEnergyConsumption, gpu)
    return Meters(_meter(energy), _meter(partial(nvml.nvmlDeviceGetClockInfo, gpu, nvml.NVML_CLOCK_SM)))


def _handle(nvml: Any, device: str) -> Any:
    """NVML's handle of what CUDA calls `device`; where NVML sees one GPU it is that, without asking torch."""
    if nvml.nvmlDeviceGetCount() == 1:
        return nvml.nvmlDeviceGetHandleByIndex(0)
    import torch

    return nvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")


def _meter(ask: Callable[[], Any]) -> Meter:
    def read() -> int | None:
        try:
            return int(ask())
        except Exception:  # this GPU or its driver does not have it
            return None

    return read


def per_iteration_mj(used_mj: int | None, seconds: float, iterations: int) -> tuple[float | None, float | None]:
    """Millijoules an iteration and their resolution: one reading's worth of the mean power, over the iterations.

    (None, None) for an unknown energy, or a span of less than two readings.
    """
    if used_mj is None or iterations < 1 or seconds < 2 * READING_S:
        return None, None
    return used_mj / iterations, used_mj / seconds * READING_S / iterations
