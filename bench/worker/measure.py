"""One measurement in one fresh process: a job comes in as JSON on stdin, what was found goes out on stdout."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median
from time import perf_counter
from typing import Any, NamedTuple, TypeVar

from bench.cases.measurement import Found, Job, Value
from bench.cases.phases import plan_counts
from bench.cases.problem import work_flops
from bench.machine.core_speed import open_gauge
from bench.machine.device import Device, device_kind
from bench.machine.frameworks import open_device, wait_for
from bench.machine.process import answer
from bench.plain import from_plain, to_plain
from bench.worker import clock
from bench.worker.counters import Meters, cores_in_use, every_core, open_meters, threads_in_use
from bench.worker.gate import check_pace, check_timed, rehearse
from bench.worker.heap import SCRIPT, Reply, as_printed, in_a_copy, make_heap, scatter
from bench.worker.loops import Cold, Timed, WrongStyleError, run_cold, run_timed
from bench.worker.noise import Sampled, Steady, by_cycle, disturbance
from implementations import Train

KEPT_WARMUP = 100  # rows of the warm-up that go into the table
T = TypeVar("T")


def main() -> None:
    """Read a job, measure, print one line of JSON; whatever a style prints goes to stderr."""
    answer(lambda raw: to_plain(examine(from_plain(Job, raw))))


def examine(job: Job) -> Found:
    """Measure and check; a failure becomes a status and a reason, never an exception."""
    return attempt(lambda: measure(job))


def attempt(work: Callable[[], T]) -> T | Found:
    """What `work` returns, or what it failed by."""
    try:
        return work()
    except WrongStyleError as error:
        return Found("wrong", str(error))
    except MemoryError as error:
        return Found("oom", f"out of memory: {error}".rstrip(": "))
    except Exception as error:  # a style may raise anything, and that is a row
        status = "oom" if "out of memory" in str(error).lower() else "failed"
        return Found(status, describe_error(error))


def measure(job: Job) -> Found:
    """Everything about one case, in the order that keeps the first iteration cold; see the README."""
    heap = make_heap(job.style.heap)
    copy = in_a_copy(lambda: first_loop(job)) if heap == SCRIPT else None
    if copy is not None and not copy.number:
        return from_plain(Found, copy.read())
    place = set_up(job)
    train, device, arrays, meters, import_seconds, _pads = place
    with clock.without_gc():
        cold, timed = cold_and_timed(job, place, copy)
        sm_clock_mhz = meters.sm_clock_mhz()
        floor_us = clock.synchronize_floor_us(device)
        peak_bytes = device.peak_bytes() if device.peak_bytes else None
    checks = check(job, train, device, arrays, cold, timed)
    timed_us = [ns / 1e3 for ns in timed.latency.elapsed_ns]
    cycles = by_cycle(timed_us, job.style.cycle)
    steady = Steady.of(timed, timed_us, job.style.cycle)
    values: dict[str, Value] = {
        "device_model": device.model,
        "heap": heap,
        "import_seconds": import_seconds,
        "setup_seconds": import_seconds + cold.transfer_seconds,
        "synchronize_floor_us": floor_us,
        "peak_device_bytes": peak_bytes,
        "sm_clock_timed_mhz": sm_clock_mhz,
        **checks.values,
        **cold.values(),
        **reduce_timed(job, timed, cycles),
        **(steady.values() if steady else {}),
    }
    noise = disturbance(_sampled(job, timed, cycles, steady)) or ""
    return Found(
        status="ok",
        reason=noise,
        noisy=bool(noise),
        values=values,
        first_us=cold.warm.elapsed_ns[0] / 1e3,
        warmup_us=[ns / 1e3 for ns in cold.warm.elapsed_ns[1 : 1 + KEPT_WARMUP]],
        timed_us=timed_us,
        losses=checks.losses,
    )


class Place(NamedTuple):
    """What a process has before its first loop; the pads are alive to the end."""

    train: Train
    device: Device
    arrays: Sequence[Any]
    meters: Meters
    import_seconds: float
    pads: list[bytearray]


def set_up(job: Job) -> Place:
    """Import, open the device, scatter the heap, make the data."""
    case, start = job.case, perf_counter()
    train = job.style.train
    device = open_device(case.framework, case.device, case.precision)
    wait_for(device)  # an accelerator's context is made by its first call, and belongs to the start
    import_seconds, meters = perf_counter() - start, open_meters(case.device)
    pads = scatter()
    return Place(train, device, case.problem.arrays(), meters, import_seconds, pads)


def first_loop(job: Job) -> tuple[float, Any]:
    """For a copy of a process: ns of a usual iteration and the cold loop as plain values; 0 and a Found if it fails."""

    def work() -> Cold:
        train, device, arrays, meters, *_ = set_up(job)
        with clock.without_gc(), open(os.devnull, "w", encoding="utf-8") as nowhere:
            return run_cold(job, train, as_printed(device, nowhere), arrays, meters)

    cold = attempt(work)
    if isinstance(cold, Found):
        return 0.0, to_plain(cold)
    return usual_ns(cold), to_plain(replace(cold, warm=clock.Latency(cold.warm.elapsed_ns, [])))


def read_cold(copy: Reply) -> Cold:
    """The cold loop that a copy of this process ran. Raises ShapeError, RuntimeError for what no loop takes."""
    cold = from_plain(Cold, copy.read())
    if len(cold.warm.elapsed_ns) < 2 or min(cold.warm.elapsed_ns) < 1:
        raise RuntimeError("the copy of its process that ran the cold loop answers with no times")
    return cold


def cold_and_timed(job: Job, place: Place, copy: Reply | None) -> tuple[Cold, Timed]:
    """The cold loop, here or as the `copy` of this process ran it, and the timed one, as long as that makes it.

    With a copy, the timed loop is the first of this process, and its losses are printed while it settles.
    """
    train, device, arrays, meters, *_ = place

    def run_warm(each_ns: float, settling: Device | None = None) -> Timed:
        gauge = open_gauge() if job.case.one_core else None
        counts = plan_counts(job.rule, each_ns, job.style.cycle, referenced=gauge is not None)
        return run_timed(job.case, train, device, arrays, counts, gauge, settling)

    if copy is None:
        cold = run_cold(job, train, device, arrays, meters)
        return cold, run_warm(usual_ns(cold))
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        timed = run_warm(copy.number, as_printed(device, nowhere))
    return read_cold(copy), timed


def usual_ns(cold: Cold) -> float:
    """What an iteration takes once the loop is warm."""
    return median(cold.warm.elapsed_ns[1:][-50:])


@dataclass(frozen=True, slots=True)
class Checks:
    """What the checks of a process leave behind: columns, and the losses of the rehearsal."""

    values: Mapping[str, Value]
    losses: Sequence[float]


def check(job: Job, train: Train, device: Device, arrays: Sequence[Any], cold: Cold, timed: Timed) -> Checks:
    """Threads, cores, pace, rehearsal and the timed run itself. Raises WrongStyleError, or RuntimeError for threads."""
    case = job.case
    blas = threads_in_use(case)
    cores_in_use(case, timed.counters)
    check_pace(cold.warm, timed)
    with every_core(case):
        losses = rehearse(case, train, device)
        checked = check_timed(case, train, device, arrays, timed)
    return Checks({"blas": blas, "checked_iterations": checked}, losses)


def reduce_timed(job: Job, timed: Timed, cycles: Sequence[float]) -> dict[str, Value]:
    """The columns that the timed loop fills; of a style with a cycle, statistics are over whole cycles' means."""
    ordered = sorted(cycles)
    batch = middle_batch(timed)
    counters = timed.counters
    problem = job.case.problem
    return {
        "iterations": timed.counts.latency,
        "latency_median_us": median(ordered),
        "latency_mean_us": fmean(ordered),
        "latency_min_us": ordered[0],
        "latency_p95_us": ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))],
        "batch_iterations": timed.counts.batch,
        "throughput_us": batch.mean_us,
        "event_us": batch.event_us,
        "flops": work_flops(problem, job.case.oracle),
        "bytes_moved": problem.bytes_moved,
        "minor_faults_per_iteration": counters.per_iteration_faults(timed.counts.sampling),
        "involuntary_switches": counters.involuntary_switches,
        "cpu_utilisation": counters.cpu_utilisation,
        "peak_rss_bytes": counters.peak_rss_bytes,
        "final_loss": timed.trained.losses[timed.counts.steps - 1],
    }


def _sampled(job: Job, timed: Timed, cycles: Sequence[float], steady: Steady | None) -> Sampled:
    """For the noise gates: at one speed of the core where that was read, else as timed."""
    on_cpu, used = device_kind(job.case.device) == "cpu", timed.counters.cpu_utilisation
    if steady is not None:
        return Sampled(steady.cycles, on_cpu, job.case.threads, used, steady.batch)
    return Sampled(cycles, on_cpu, job.case.threads, used, middle_batch(timed).mean_us)


def middle_batch(timed: Timed) -> clock.Batch:
    """The batch whose time is the median of all."""
    return sorted(timed.batches, key=lambda one: one.elapsed_ns)[len(timed.batches) // 2]


def describe_error(error: Exception) -> str:
    """One line: the type, the message, and the place in the style's file where it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    message = " ".join(str(error).split()) or "no message"
    return f"{type(error).__name__}: {message[:300]}{place}"
