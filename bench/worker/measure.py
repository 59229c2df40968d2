"""One measurement in one fresh process: a job comes in as JSON on stdin, what was found goes out on stdout."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median
from time import perf_counter, process_time
from typing import Any, NamedTuple, TypeVar

from bench.cases.measurement import Found, Job, Value
from bench.cases.phases import affordable_steps, plan_counts
from bench.cases.problem import work_flops
from bench.machine.core_speed import Gauge, open_gauge
from bench.machine.device import Device
from bench.machine.frameworks import open_device, wait_for
from bench.machine.line import witness_here
from bench.machine.process import answer
from bench.machine.witness import Record, Witness
from bench.plain import from_plain, to_plain
from bench.timing import clock
from bench.timing.counters import Meters, cores_in_use, every_core, open_meters, threads_in_use
from bench.timing.given import WrongStyleError
from bench.timing.heap import SCRIPT, Reply, as_printed, in_a_copy, make_heap, scatter
from bench.timing.loops import Cold, Timed, run_cold, run_timed
from bench.timing.noise import by_cycle
from bench.verification.gate import check_opening, check_pace, rehearse
from bench.verification.judge import judge
from bench.worker.parts import measure_parts
from bench.worker.whole import imprint, replaced
from implementations import Train

KEPT_WARMUP = 100  # rows of the warm-up that go into the table
T = TypeVar("T")


def main() -> None:
    """Read a job, measure, print one line of JSON; whatever a style prints goes to stderr."""
    witness = witness_here(sys.argv[1:])

    def work(raw: Any) -> Any:
        job = from_plain(Job, raw)
        return to_plain(examine(job) if witness is None else attempt(lambda: measure(job, witness)))

    answer(work)


def examine(job: Job) -> Found:
    """Measure, check and judge in this process alone."""
    record = Record(job.seed, cpu_s=process_time)
    return judge(job, attempt(lambda: measure(job, record)), record)


def attempt(work: Callable[[], T]) -> T | Found:
    """What `work` returns, or what it failed by."""
    try:
        return work()
    except WrongStyleError as error:
        return Found("wrong", str(error), again=error.again)
    except MemoryError as error:
        return Found("oom", f"out of memory: {error}".rstrip(": "))
    except Exception as error:  # a style may raise anything, and that is a row
        status = "oom" if "out of memory" in str(error).lower() else "failed"
        return Found(status, describe_error(error))


def measure(job: Job, witness: Witness) -> Found:
    """Everything about one case, in the order that keeps the first iteration cold; see bench/METHOD.md.

    What was timed stays raw: who judges it loads no style.
    """
    whole = imprint()
    heap, case = make_heap(job.style.heap), job.case
    copy = in_a_copy(lambda: first_loop(job, witness)) if heap == SCRIPT else None
    if copy is not None and not copy.number:
        return from_plain(Found, copy.read())
    place = set_up(job, witness)
    device = place.device
    with clock.without_gc():
        cold, timed, weights = cold_and_timed(job, place, copy, witness)
        sm_clock_mhz = place.meters.sm_clock_mhz()
        floor_us = clock.synchronize_floor_us(device)
        peak_bytes = device.peak_bytes() if device.peak_bytes else None
    if affordable_steps(work_flops(case.problem, case.oracle), timed.counts.steps) == timed.counts.steps:
        for weight in weights:
            witness.keep(weight)
    checked = check(job, place, cold, timed)
    if other := next(replaced(whole), None):
        raise WrongStyleError(f"replaced {other}, a part of what measures it")
    values: dict[str, Value] = {
        "device_model": device.model,
        "heap": heap,
        "import_seconds": place.import_seconds,
        "setup_seconds": place.import_seconds + cold.transfer_seconds,
        "synchronize_floor_us": floor_us,
        "peak_device_bytes": peak_bytes,
        "sm_clock_timed_mhz": sm_clock_mhz,
        **checked.values,
        **cold.values(),
        **measure_parts(job, place.train, device, timed, cold.warm.elapsed_ns[0] / 1e9),
    }
    return replace(
        checked,
        values=values,
        first_us=cold.warm.elapsed_ns[0] / 1e3,
        warmup_us=[ns / 1e3 for ns in by_cycle(cold.warm_ns, cold.ahead)[:KEPT_WARMUP]],
        raw=to_plain(timed),
    )


class Place(NamedTuple):
    """What a process has before its first loop; the pads are alive to the end."""

    train: Train
    device: Device
    arrays: Sequence[Any]
    meters: Meters
    import_seconds: float
    gauge: Gauge | None
    pads: list[bytearray]


def set_up(job: Job, witness: Witness) -> Place:
    """Bind the reference product, import, open the device, scatter the heap, learn which data it is and make them."""
    case, start = job.case, perf_counter()
    gauge = open_gauge() if case.one_core else None  # before the style can reach its product
    train = job.style.train
    device = open_device(case.framework, case.device, case.precision)
    wait_for(device)  # an accelerator's context is made by its first call, and belongs to the start
    import_seconds, meters = perf_counter() - start, open_meters(case.device)
    pads = scatter()
    arrays = replace(case.problem, seed=witness.seed()).arrays()
    return Place(train, device, arrays, meters, import_seconds, gauge, pads)


def first_loop(job: Job, witness: Witness) -> tuple[float, Any]:
    """For a copy of a process: ns of a usual iteration and the cold loop as plain values; 0 and a Found if it fails."""

    def work() -> Cold:
        train, device, arrays, meters, *_ = set_up(job, witness)
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


def cold_and_timed(job: Job, place: Place, copy: Reply | None, witness: Witness) -> tuple[Cold, Timed, tuple[Any, ...]]:
    """The cold loop, here or as the `copy` of this process ran it, and the timed one, as long as that makes it.

    With a copy, the timed loop is the first of this process, and its losses are printed while it settles. Last come the
    weights where the timed loop ended.
    """
    train, device, arrays, meters, *_ = place

    def run_warm(each_ns: float, settling: Device | None = None) -> tuple[Timed, tuple[Any, ...]]:
        referenced, style = place.gauge is not None, job.style
        counts = plan_counts(job.rule, each_ns, style.cycle, referenced=referenced, ahead=style.ahead)
        return run_timed(job.case, train, device, arrays, counts, witness, place.gauge, settling)

    if copy is None:
        cold = run_cold(job, train, device, arrays, meters)
        return cold, *run_warm(usual_ns(cold))
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        timed, weights = run_warm(copy.number, as_printed(device, nowhere))
    return read_cold(copy), timed, weights


def usual_ns(cold: Cold) -> float:
    """What an iteration takes once the loop is warm; not far below the mean, where most of them are empty.

    Without the two longest, which may have lost their core.
    """
    last = sorted(by_cycle(cold.warm_ns, cold.ahead)[-50:])
    return max(median(last), fmean(last[:-2] or last) / 2)


def check(job: Job, place: Place, cold: Cold, timed: Timed) -> Found:
    """Threads, cores, pace, rehearsal and opening. Raises WrongStyleError, or RuntimeError for threads."""
    case = job.case
    blas = threads_in_use(case)
    cores_in_use(case, timed.counters)
    check_pace(cold, timed)
    with every_core(case):
        losses = rehearse(case, place.train, place.device)
        check_opening(case, place.train, place.device, place.arrays)
    return Found("ok", values={"blas": blas}, losses=losses)


def describe_error(error: Exception) -> str:
    """One line: the type, the message, and the place in the style's file where it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    message = " ".join(str(error).split()) or "no message"
    return f"{type(error).__name__}: {message[:300]}{place}"
