"""One measurement in one fresh process: a job comes in as JSON on stdin, what was found goes out on stdout."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

from bench.cases.measurement import Found, Job
from bench.cases.phases import affordable_steps, plan_counts
from bench.cases.problem import work_flops
from bench.machine.core_speed import open_gauge
from bench.machine.device import Device
from bench.machine.frameworks import open_device, wait_for
from bench.machine.process import answer
from bench.machine.witness import Record, Witness, witness_here
from bench.plain import from_plain, to_plain
from bench.worker import clock
from bench.worker.counters import cores_in_use, every_core, open_meters, threads_in_use
from bench.worker.gate import check_opening, check_pace, rehearse
from bench.worker.heap import scatter
from bench.worker.judge import judge
from bench.worker.loops import Cold, Timed, WrongStyleError, run_cold, run_timed
from implementations import Train

KEPT_WARMUP = 100  # rows of the warm-up that go into the table


def main() -> None:
    """Read a job, measure, print one line of JSON; whatever a style prints goes to stderr."""
    witness = witness_here(sys.argv[1:])

    def work(raw: Any) -> Any:
        job = from_plain(Job, raw)
        return to_plain(examine(job) if witness is None else attempt(job, witness))

    answer(work)


def examine(job: Job) -> Found:
    """Measure, check and judge in this process alone."""
    record = Record(job.case.problem.seed if job.data_seed is None else job.data_seed, cpu_s=process_time)
    return judge(job, attempt(job, record), record)


def attempt(job: Job, witness: Witness) -> Found:
    """Measure and check; a failure becomes a status and a reason, never an exception."""
    try:
        return measure(job, witness)
    except WrongStyleError as error:
        return Found("wrong", str(error))
    except MemoryError as error:
        return Found("oom", f"out of memory: {error}".rstrip(": "))
    except Exception as error:  # a style may raise anything, and that is a row
        status = "oom" if "out of memory" in str(error).lower() else "failed"
        return Found(status, describe_error(error))


def measure(job: Job, witness: Witness) -> Found:
    """Everything about one case, in the order that keeps the first iteration cold; see the README."""
    case = job.case
    start = perf_counter()
    gauge = open_gauge() if case.one_core else None
    train = job.style.train
    device = open_device(case.framework, case.device, case.precision)
    wait_for(device)  # an accelerator's context is made by its first call, and belongs to the start
    import_seconds, meters = perf_counter() - start, open_meters(case.device)
    _pads = scatter()  # alive to the end
    arrays = replace(case.problem, seed=witness.seed()).arrays()
    with clock.without_gc():
        cold = run_cold(job, train, device, arrays, meters)
        counts = plan_counts(job.rule, usual_ns(cold), job.style.cycle, referenced=gauge is not None)
        timed, weights = run_timed(case, train, device, arrays, counts, witness, gauge)
        sm_clock_mhz = meters.sm_clock_mhz()
        floor_us = clock.synchronize_floor_us(device)
        peak_bytes = device.peak_bytes() if device.peak_bytes else None
    if affordable_steps(work_flops(case.problem, case.oracle), counts.steps) == counts.steps:
        for weight in weights:
            witness.keep(weight)
    checks = check(job, train, device, arrays, cold, timed)
    return replace(
        checks,
        values={
            **checks.values,
            "device_model": device.model,
            "import_seconds": import_seconds,
            "setup_seconds": import_seconds + cold.transfer_seconds,
            "synchronize_floor_us": floor_us,
            "peak_device_bytes": peak_bytes,
            "sm_clock_timed_mhz": sm_clock_mhz,
            **cold.values(),
        },
        first_us=cold.warm.elapsed_ns[0] / 1e3,
        warmup_us=[ns / 1e3 for ns in cold.warm.elapsed_ns[1 : 1 + KEPT_WARMUP]],
        raw=to_plain(timed),
    )


def check(job: Job, train: Train, device: Device, arrays: Sequence[Any], cold: Cold, timed: Timed) -> Found:
    """Threads, cores, pace, rehearsal and opening. Raises WrongStyleError, or RuntimeError for threads."""
    case = job.case
    blas = threads_in_use(case)
    cores_in_use(case, timed.counters)
    check_pace(cold.warm, timed)
    with every_core(case):
        losses = rehearse(case, train, device)
        check_opening(case, train, device, arrays)
    return Found("ok", values={"blas": blas}, losses=losses)


def usual_ns(cold: Cold) -> float:
    """What an iteration takes once the loop is warm."""
    return median(cold.warm.elapsed_ns[1:][-50:])


def describe_error(error: Exception) -> str:
    """One line: the type, the message, and the place in the style's file where it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    message = " ".join(str(error).split()) or "no message"
    return f"{type(error).__name__}: {message[:300]}{place}"
