"""What an iteration on a CPU is made of, each part measured alone in the process that timed the case."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from time import perf_counter
from typing import Any, TypeAlias

from bench.cases.measurement import Job, Value
from bench.cases.problem import Size
from bench.machine.core_speed import Gauge
from bench.machine.device import Device, device_kind
from bench.worker._passes import Put, Seen, watch
from bench.worker.ceilings import product
from bench.worker.clock import Loop, time_call
from bench.worker.heap import faulting
from bench.worker.loops import ENDLESS, Timed
from implementations import Train

Values: TypeAlias = dict[str, Value]

TINY = Size(2, 2, 2, 2)  # arrays so small that an iteration is nothing but its calls
COMPILES_S = 5.0  # a first call that takes longer compiles, and would again for the tiny arrays
LEAST, MOST = 6, 4000  # samples, of which the first half is not used


@dataclass(slots=True)
class Bench:
    """Where parts are measured: the case's job, style and device, and the core's speed if it is read."""

    job: Job
    train: Train
    device: Device
    gauge: Gauge | None = None
    usual_us: float = math.nan  # of the reference product while the case was timed
    read_us: float = math.nan  # of it when it was read last
    work: Callable[[], Any] = lambda: None  # of an iteration at the case's size, as far as it is known

    def us(self, call: Callable[[], Any], before: Callable[[], Any] = lambda: None) -> float:
        """The median of what a call takes, each after `before`, at the speed of the core while the case was timed."""
        seconds, samples, spent = self.job.rule.parts_s or 0.0, list[float](), 0.0
        while len(samples) < LEAST or (spent < seconds and len(samples) < MOST):
            start = perf_counter()
            before()
            one, _ = time_call(call, self.device)
            samples.append(one)
            spent += perf_counter() - start
        us = median(samples[len(samples) // 2 :]) * 1e6
        if self.gauge is None:
            return us
        before_us, self.read_us = self.read_us, self.gauge().us
        return us * self.usual_us / math.sqrt(before_us * self.read_us)

    def loop(self, size: Size, put: Put | None = None) -> Loop:
        """The style's own loop at a size."""
        problem = replace(self.job.case.problem, **size._asdict())
        inputs = [(put or self.device.put)(array, problem.dtype) for array in problem.arrays()]
        return self.train(*inputs, problem.learning_rate, ENDLESS)


def measure_parts(job: Job, train: Train, device: Device, timed: Timed, gauge: Gauge | None, first_s: float) -> Values:
    """The columns, when the case's own times are taken; none on an accelerator, empty what cannot be measured.

    `products_us`: the products of an iteration in the style's library, of the operands that the style gives them but
    into arrays that are there already. `passes_us`: what all its operations in their order, products with them, take
    more than these: what the others do, which read and write `passes_bytes`, and what they leave the products of the
    caches. Both are less the same at 2 x 2. `calls_us`: an iteration of the same style on arrays of 2 x 2, its loss
    read, right after all those operations, which leave the caches as its own work does. `fault_us`: a page that is
    given, written to and taken back, less the writing.
    """
    if device_kind(job.case.device) != "cpu" or job.rule.parts_s is None:
        return {}
    place = Bench(job, train, device)
    if gauge is not None and timed.readings:
        place.gauge, place.usual_us = gauge, median(one.us for one in timed.readings)
        place.read_us = gauge().us
    found: Values = {}
    watched = [] if job.style.compiled else [_work, *([] if first_s > COMPILES_S else [_calls])]
    for measure in (*watched, _fault):
        try:
            found |= measure(place)
        except Exception:  # the case is measured: what explains it may be missing
            continue
    return {name: value for name, value in found.items() if isinstance(value, float) and 0 <= value < math.inf}


def _work(place: Bench) -> Values:
    size, cycle = place.job.case.problem.size, place.job.style.period
    (products, work, moved), (product_calls, work_calls, _) = (_done_again(place, one) for one in (size, TINY))
    products_us = max(0.0, place.us(products) - place.us(product_calls))
    work_us = place.us(work) - place.us(work_calls)
    place.work = work
    return {
        "products_us": products_us / cycle,
        "passes_us": max(0.0, work_us - products_us) / cycle,
        "passes_bytes": moved / cycle,
    }


def _calls(place: Bench) -> Values:
    loop, cycle = place.loop(TINY), place.job.style.period

    def a_cycle() -> None:
        for _ in range(cycle):
            place.device.read(next(loop))

    us = place.us(a_cycle, before=place.work) / cycle
    loop.close()
    return {"calls_us": us}


def _done_again(place: Bench, size: Size) -> tuple[Callable[[], None], Callable[[], None], int]:
    """All products of a cycle of the style, and all its operations; and the bytes that all but the products move."""
    import numpy as np

    seen, case = _seen(place, size), place.job.case
    outs = [place.device.put(np.zeros((a.shape[0], b.shape[1])), case.problem.dtype) for a, b in seen.products]
    products = [product(case.framework, *sides, out) for sides, out in zip(seen.products, outs, strict=True)]
    return _one_after_another(products), _one_after_another(seen.operations), seen.passed_bytes


def _seen(place: Bench, size: Size) -> Seen:
    """What a cycle of the style does, once its optimiser has made its state."""
    seen, cycle = Seen(), place.job.style.period
    put, watching = watch(place.job.case.framework, place.device.put, seen)
    with watching:
        loop = place.loop(size, put)
        for iteration in range(2 * cycle):
            if iteration == cycle:
                seen.products.clear()
                seen.operations.clear()
                seen.passed_bytes = 0
            next(loop)
    loop.close()
    return seen


def _one_after_another(calls: Sequence[Callable[[], Any]]) -> Callable[[], None]:
    """Each result lives until its call comes again, as in a loop the names of an iteration do until the next."""
    results: list[Any] = [None] * len(calls)

    def run() -> None:
        for at, call in enumerate(calls):
            results[at] = call()

    return run


def _fault(place: Bench) -> Values:
    fresh, again, faults = faulting()
    return {"fault_us": (place.us(fresh) - place.us(again)) / faults} if faults else {}
