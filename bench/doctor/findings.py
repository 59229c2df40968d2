"""What is found when a machine is examined, and whether numbers can be taken on it (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

OK, WARN, BAD = "ok", "warn", "bad"
BUSY_WARN, BUSY_BAD = 0.10, 0.50  # cores' worth of other work, per usable core
TIMER_WARN_US, TIMER_BAD_US = 0.15, 1.0  # one clock reading; an iteration is timed by two
RESOLUTION_WARN_NS = 1000
STEADY = 1.02  # slowest over fastest product on a core whose clock does not move
LITTLE_MEMORY_BYTES = 2**30
SLOW_CLOCKS = ("hpet", "acpi_pm", "jiffies")
# OpenBLAS names of kernels without AVX-512, and of those without AVX2.
BEFORE_AVX2 = ("Sandybridge", "Nehalem", "Westmere", "Core2", "Penryn", "Dunnington", "Prescott", "Katmai", "Generic",
               "Barcelona", "Bulldozer", "Piledriver")  # fmt: skip
BEFORE_AVX512 = ("Haswell", "Zen", *BEFORE_AVX2)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the examination: what was examined, ok / warn / bad, what was seen, the cure unless ok."""

    name: str
    state: str
    seen: str
    cure: str = ""


@dataclass(frozen=True, slots=True)
class Readings:
    """What the system shows, in plain values; None is unknown. `probe` is what `bench.doctor.libraries` printed."""

    usable_cpus: int
    cores: int
    affinity: int
    quota: float | None
    throttled_periods: int | None
    load_average: float | None
    busy_cores: float
    busiest: str
    free_bytes: int
    governor: str | None
    clock_source: str | None
    cpu_model: str
    cpu_flags: frozenset[str]
    variables: Mapping[str, str]
    timer_resolution_ns: int
    timer_cost_us: float
    probe: Mapping[str, Any]


def judge(readings: Readings) -> list[Finding]:
    """Every line about the host, in the order in which a person would examine them."""
    return [
        judge_load(readings),
        judge_quota(readings),
        judge_affinity(readings),
        judge_memory(readings),
        judge_governor(readings.governor),
        judge_variables(readings.variables),
        *judge_libraries(readings),
        *judge_core_speed(readings.probe),
        judge_timer(readings),
    ]


def worst(findings: Iterable[Finding]) -> str:
    """bad before warn before ok."""
    states = {finding.state for finding in findings}
    return next((state for state in (BAD, WARN) if state in states), OK)


def judge_load(readings: Readings) -> Finding:
    """Work of others now, as a share of the cores that a run may use; the load average is only shown."""
    share = readings.busy_cores / readings.usable_cpus
    load = "" if readings.load_average is None else f", load average {readings.load_average:.2f}"
    busiest = f" (most: {readings.busiest})" if readings.busiest and share > BUSY_WARN else ""
    seen = f"{readings.busy_cores:.2f} of {readings.usable_cpus} cores busy{busiest}{load}"
    state = BAD if share > BUSY_BAD else WARN if share > BUSY_WARN else OK
    return Finding("load", state, seen, "" if state == OK else "stop what else runs, or wait until it ends")


def judge_quota(readings: Readings) -> Finding:
    """A cgroup's quota stops every thread for the rest of a period once it is used up."""
    quota, throttled = readings.quota, readings.throttled_periods
    stopped = f", stopped {throttled:,} times so far" if throttled else ""
    if quota is None:
        return Finding("quota", OK, "no limit on CPU time")
    seen = f"{quota:g} cores' worth of CPU time{stopped}"
    if quota < 1:
        return Finding("quota", BAD, seen, "give the container at least one whole core (--cpus 2)")
    if quota < readings.affinity:
        cure = f"give the container {readings.affinity} cores, or pin it to {int(quota)} (--cpuset-cpus)"
        return Finding("quota", WARN, f"{seen}, but {readings.affinity} cores are visible", cure)
    if throttled:
        return Finding("quota", WARN, seen, "raise the container's CPU limit, or measure with fewer --threads")
    return Finding("quota", OK, seen)


def judge_affinity(readings: Readings) -> Finding:
    """How many cores this process may use; with one, the worker shares it with everything else."""
    seen = f"may use {readings.affinity} of {readings.cores} cores"
    if min(readings.cores, readings.affinity) >= 2:
        return Finding("affinity", OK, seen)
    cure = "measure where there are two cores" if readings.cores < 2 else "allow two cores (taskset, --cpuset-cpus)"
    return Finding("affinity", WARN, seen, f"{cure}: the system needs one too")


def judge_memory(readings: Readings) -> Finding:
    """Free memory: too little and pages are written to disk while something is timed."""
    seen = f"{readings.free_bytes / 2**30:,.1f} GiB may be used"
    if readings.free_bytes < LITTLE_MEMORY_BYTES:
        return Finding("memory", WARN, seen, "end what holds memory; large sizes will be skipped")
    return Finding("memory", OK, seen)


def judge_governor(governor: str | None) -> Finding:
    """Who sets the processor's clock rate."""
    if governor is None:
        return Finding("governor", OK, "not visible here (usual in a virtual machine)")
    if governor == "performance":
        return Finding("governor", OK, governor)
    return Finding("governor", WARN, governor, "sudo cpupower frequency-set -g performance")


def judge_variables(variables: Mapping[str, str]) -> Finding:
    """Variables that choose kernels, allocators or threads, and so the winner."""
    if not variables:
        return Finding("variables", OK, "none that distorts")
    seen = ", ".join(f"{name}={value}" for name, value in variables.items())
    return Finding("variables", OK, f"{seen}: in the shell alone, every measured process runs without")


def judge_libraries(readings: Readings) -> list[Finding]:
    """Threads and BLAS as a worker for one thread sees them."""
    probe = readings.probe
    if "error" in probe:
        cure = "make `python -c 'import numpy, threadpoolctl'` work in this environment"
        return [Finding("libraries", BAD, f"a worker cannot start: {probe['error']}", cure)]
    pools: Sequence[Mapping[str, Any]] = probe["pools"]
    found = [judge_threads(pools, probe.get("torch_threads"))]
    found += [judge_blas(pool, readings.cpu_flags) for pool in pools if pool["user_api"] == "blas"]
    if not any(pool["user_api"] == "blas" for pool in pools):
        found.append(Finding("BLAS", WARN, "not recognised, so its threads cannot be checked", "pip install numpy"))
    if probe.get("torch_mkl") and "AMD" in readings.cpu_model:
        seen = "multiplies with MKL, slow on AMD; a verdict is against the fastest CPU style of any library"
        found.append(Finding("torch", OK, seen))
    return found


def judge_threads(pools: Sequence[Mapping[str, Any]], torch_threads: int | None) -> Finding:
    """Whether a worker that shall use one thread does."""
    every = [(pool["internal_api"], int(pool["num_threads"])) for pool in pools]
    live = dict.fromkeys([*every, *([] if torch_threads is None else [("torch", torch_threads)])])
    seen = "asked for 1: " + (", ".join(f"{name} {count}" for name, count in live) or "no library seen")
    if all(count == 1 for _name, count in live):
        return Finding("threads", OK, seen)
    return Finding("threads", BAD, seen, "find what sets the thread count after start (sitecustomize, a .pth file)")


def judge_blas(pool: Mapping[str, Any], flags: frozenset[str]) -> Finding:
    """Vendor, version and core type; kernels older than the processor halve its speed."""
    architecture = pool.get("architecture") or ""
    words = (str(pool["internal_api"]), str(pool.get("version") or ""), architecture and f"for {architecture}")
    seen = " ".join(filter(None, words))
    lacks = None
    if "avx512f" in flags and architecture in BEFORE_AVX512:
        lacks = "AVX-512"
    elif "avx2" in flags and architecture in BEFORE_AVX2:
        lacks = "AVX2"
    if lacks is None:
        return Finding("BLAS", OK, seen)
    cure = "upgrade numpy; a newer OpenBLAS knows this processor"
    return Finding("BLAS", WARN, f"{seen}: kernels without {lacks}, which this processor has", cure)


def judge_core_speed(probe: Mapping[str, Any]) -> list[Finding]:
    """How far the clock of a core that works without a break moves."""
    if "core_us" not in probe:
        return []
    least, most = probe["core_us"]
    seen = f"a fixed product takes {least:.1f} to {most:.1f} us: {most / least - 1:.1%} spread"
    if most <= STEADY * least:
        return [Finding("core speed", OK, seen)]
    cure = "measure more blocks of cases with several threads; those with one are corrected for it"
    return [Finding("core speed", WARN, seen, cure)]


def judge_timer(readings: Readings) -> Finding:
    """Resolution and cost of `perf_counter_ns`, and the kernel's source behind it."""
    source = f", from {readings.clock_source}" if readings.clock_source else ""
    cost, resolution = readings.timer_cost_us, readings.timer_resolution_ns
    seen = f"resolves {resolution} ns, a reading costs {cost:.3f} us{source}"
    cure = "boot with clocksource=tsc"
    if readings.clock_source == "tsc":
        cure = "measure on the bare machine, or sizes whose iteration takes long against it"
    if readings.clock_source in SLOW_CLOCKS or cost > TIMER_BAD_US:
        return Finding("timer", BAD, seen, cure)
    if cost > TIMER_WARN_US or resolution > RESOLUTION_WARN_NS:
        return Finding("timer", WARN, seen, cure)
    return Finding("timer", OK, seen)
