"""What an iteration on a CPU is made of, each part measured by itself in the process that timed the case."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from time import perf_counter
from typing import Any, TypeAlias

from bench.cases.measurement import Job, Value
from bench.cases.problem import Size
from bench.machine.device import Device, device_kind
from bench.worker._passes import Put, Seen, watch
from bench.worker.ceilings import product
from bench.worker.clock import Loop, time_call
from bench.worker.counters import Counters
from bench.worker.heap import faulting
from bench.worker.loops import ENDLESS, Timed
from bench.worker.noise import by_cycle
from implementations import Train

Values: TypeAlias = dict[str, Value]
Call: TypeAlias = Callable[[], Any]

TINY = Size(2, 2, 2, 2)  # arrays so small that an iteration is nothing but its calls
COMPILES_S = 5.0  # a first call that takes longer compiles, and would again for the tiny arrays
PARTS = 6  # that are timed, each for about the rule's `parts_s`
LEAST, MOST = 2, 2000  # rounds
IN_A_ROW, LONG_US, LONG_IN_A_ROW = 4, 5000.0, 2  # calls in a round, of which the first is not used; of a long iteration
FAULTS_OVER, OF_A_FAULT = 5, 30  # calls


@dataclass(frozen=True, slots=True)
class Bench:
    """Where parts are measured: the case's job, style and device."""

    job: Job
    train: Train
    device: Device

    def loop(self, size: Size, put: Put | None = None) -> Loop:
        """The style's own loop at a size."""
        problem = replace(self.job.case.problem, **size._asdict())
        inputs = [(put or self.device.put)(array, problem.dtype) for array in problem.arrays()]
        return self.train(*inputs, problem.learning_rate, ENDLESS)

    def cycle(self, loop: Loop) -> Call:
        """What runs a cycle of a loop, its losses read."""

        def run() -> None:
            for _ in range(self.job.style.period):
                self.device.read(next(loop))

        return run

    def us(self, call: Call) -> float:
        """The median of what a call takes."""
        samples = [time_call(call, self.device)[0] for _ in range(OF_A_FAULT)]
        return median(samples) * 1e6

    def in_turns(self, turns: Mapping[str, tuple[Call, Call | None]], in_a_row: int) -> dict[str, list[float]]:
        """Seconds of each call, one after another, in one round after another: the middle of those in a row.

        Each comes right after what its arrays and its code find in the caches: the second of the pair, or itself.
        """
        found: dict[str, list[float]] = {name: [] for name in turns}
        end, rounds = perf_counter() + PARTS * (self.job.rule.parts_s or 0.0), 0
        while rounds < LEAST or (perf_counter() < end and rounds < MOST):
            for name, (call, before) in turns.items():
                samples = []
                for _ in range(in_a_row):
                    if before is not None:
                        before()
                    samples.append(time_call(call, self.device)[0])
                found[name].append(median(samples[1:]))
            rounds += 1
        return found


def measure_parts(job: Job, train: Train, device: Device, timed: Timed, first_s: float) -> Values:
    """The columns, when the case's own times are taken; none on an accelerator, empty what cannot be measured.

    `products_us`: the products of an iteration in the style's library, of the operands that the style gives them but
    into arrays that are there already. `passes_us`: what all its operations in their order, products with them, take
    more than these: what the others do, which read and write `passes_bytes`, and what they leave the products of the
    caches. Both are less the same at 2 x 2. `calls_us`: an iteration of the same style on arrays of 2 x 2, its loss
    read, right after all those operations, which leave the caches as its own work does. `fault_us`: a page that is
    given, written to and taken back, less the writing.

    The first three are measured in turns with whole iterations, so that no drift of the machine lies between: each is
    the median of its share of the iteration in its round, of the time that the case has (without its page faults, as
    far as there are none in these rounds).
    """
    if device_kind(job.case.device) != "cpu" or job.rule.parts_s is None:
        return {}
    place, found = Bench(job, train, device), Values()
    for measure in (_fault, *([] if job.style.compiled or first_s > COMPILES_S else [_shares])):
        try:
            found |= measure(place, timed, max(0.0, float(found.get("fault_us") or 0.0)))
        except Exception:  # the case is measured: what explains it may be missing
            continue
    return {name: value for name, value in found.items() if isinstance(value, float) and 0 <= value < math.inf}


def _fault(place: Bench, _timed: Timed, _us: float) -> Values:
    fresh, again, faults = faulting()
    return {"fault_us": (place.us(fresh) - place.us(again)) / faults} if faults else {}


def _shares(place: Bench, timed: Timed, fault_us: float) -> Values:
    size, cycle = place.job.case.problem.size, place.job.style.period
    products, work, moved = _done_again(place, size)
    product_calls, work_calls, _ = _done_again(place, TINY)
    loops = [place.loop(size), place.loop(TINY)]
    iteration, calls = map(place.cycle, loops)
    usual_us = median(by_cycle(timed.elapsed_ns, cycle)) / 1e3
    found = place.in_turns({
        "iteration": (iteration, None),
        "calls": (calls, work),
        "work": (work, None),
        "work calls": (work_calls, work),
        "products": (products, work),
        "product calls": (product_calls, work),
    }, IN_A_ROW if usual_us * cycle < LONG_US else LONG_IN_A_ROW)  # fmt: skip
    own, again = _faults(iteration), _faults(work)
    for loop in loops:
        loop.close()
    more_faults = (timed.counters.per_iteration_faults(timed.counts.sampling) or 0.0) - own / cycle
    usual_us = max(0.0, usual_us - max(0.0, more_faults) * fault_us)

    def share(name: str, less: str = "") -> float:
        each = zip(found[name], found[less] if less else [0.0] * len(found[name]), found["iteration"], strict=True)
        return median((part - calls) / whole for part, calls, whole in each)

    products_share = max(0.0, share("products", "product calls"))
    passes_us = (share("work", "work calls") - products_share) * usual_us - again / cycle * fault_us
    return {
        "products_us": products_share * usual_us,
        "passes_us": max(0.0, passes_us),
        "passes_bytes": moved / cycle,
        "calls_us": share("calls") * usual_us,
    }


def _faults(call: Call) -> float:
    """Page faults of a call; 0 where the system counts none."""
    before = Counters.read()
    for _ in range(FAULTS_OVER):
        call()
    return (Counters.read() - before).per_iteration_faults(FAULTS_OVER) or 0.0


def _done_again(place: Bench, size: Size) -> tuple[Call, Call, int]:
    """All products of a cycle of the style, and all its operations; and the bytes that all but the products move."""
    import numpy as np

    seen, case = _seen(place, size), place.job.case
    outs = [place.device.put(np.zeros((a.shape[0], b.shape[1])), case.problem.dtype) for a, b in seen.products]
    products = [product(case.framework, *sides, out) for sides, out in zip(seen.products, outs, strict=True)]
    return _one_after_another([products]), _one_after_another(seen.operations), seen.passed_bytes


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
            seen.operations.append([])
            next(loop)
    loop.close()
    return seen


def _one_after_another(iterations: Sequence[Sequence[Call]]) -> Call:
    """Each result lives until one takes its place in the next iteration, as those that a loop's names hold do."""
    results: list[Any] = [None] * max(map(len, iterations))

    def run() -> None:
        for calls in iterations:
            for at, call in enumerate(calls):
                results[at] = call()

    return run
