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
from bench.timing.clock import Loop, time_call
from bench.timing.counters import Counters
from bench.timing.heap import faulting
from bench.timing.loops import ENDLESS, Timed
from bench.timing.noise import by_cycle
from bench.worker.again import CYCLES, Again, Lives, one_after_another
from bench.worker.ceilings import product
from bench.worker.passes import Put, Seen, Watcher, watch
from implementations import Train

Values: TypeAlias = dict[str, Value]
Call: TypeAlias = Callable[[], Any]
Calls: TypeAlias = Sequence[Call]  # one for each iteration of a cycle

TINY = Size(2, 2, 2, 2)  # arrays so small that an iteration is nothing but its calls
COMPILES_S = 5.0  # a first call that takes longer compiles, and would again for the tiny arrays
PARTS = 6  # that are timed, each for about the rule's `parts_s`
LEAST, MOST = 2, 2000  # rounds
IN_A_ROW, LONG_US, LONG_IN_A_ROW = 4, 5000.0, 2  # calls in a round, of which the first is not used; of a long iteration
FAULTS_OVER, OF_A_FAULT = 5, 30  # calls
WHOLE = "iteration"


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

    def iterations(self, loop: Loop) -> Calls:
        """A cycle of a loop, each iteration's loss read."""
        return [lambda: self.device.read(next(loop))] * self.job.style.period

    def us(self, call: Call) -> float:
        """The median of what a call takes."""
        samples = [time_call(call, self.device)[0] for _ in range(OF_A_FAULT)]
        return median(samples) * 1e6

    def in_turns(self, turns: Mapping[str, Calls], after: Calls, in_a_row: int) -> dict[str, list[float]]:
        """Seconds of a cycle of each, one after another, in one round after another: the middle of those in a row.

        But for whole iterations, each call comes right `after` one that leaves the caches as an iteration does. These
        have only themselves for that: as many more of them come before those that count.
        """
        found: dict[str, list[float]] = {name: [] for name in turns}
        end, rounds = perf_counter() + PARTS * (self.job.rule.parts_s or 0.0), 0
        while rounds < LEAST or (perf_counter() < end and rounds < MOST):
            for name, calls in turns.items():
                before = [None] * len(calls) if name == WHOLE else after
                first = in_a_row if name == WHOLE else 1
                samples = [self._cycle_s(calls, before) for _ in range(first + in_a_row - 1)]
                found[name].append(median(samples[first:]))
            rounds += 1
        return found

    def _cycle_s(self, calls: Calls, after: Sequence[Call | None]) -> float:
        seconds = 0.0
        for call, before in zip(calls, after, strict=True):
            if before is not None:
                before()
            seconds += time_call(call, self.device)[0]
        return seconds


def measure_parts(job: Job, train: Train, device: Device, timed: Timed, first_s: float) -> Values:
    """The columns, when the case's own times are taken; none on an accelerator, empty what cannot be measured.

    `products_us`: the products of an iteration in the style's library, of the operands that the style gives them but
    into arrays that are there already. `passes_us`: what all its operations in their order, products with them, take
    more than these: what the others do, which read and write `passes_bytes`, and what they leave the products of the
    caches; done again they go on from their own results, which live as long as in the loop. Both are less the same at
    2 x 2. `calls_us`: an iteration of the same style on arrays of 2 x 2, its loss read, right after all those
    operations, which leave the caches as its own work does. `fault_us`: a page that is given, written to and taken
    back, less the writing.

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
    iterations, calls = map(place.iterations, loops)
    usual_us = median(by_cycle(timed.elapsed_ns, cycle)) / 1e3
    found = place.in_turns({
        WHOLE: iterations,
        "calls": calls,
        "work": work,
        "work calls": work_calls,
        "products": products,
        "product calls": product_calls,
    }, work, IN_A_ROW if usual_us * cycle < LONG_US else LONG_IN_A_ROW)  # fmt: skip
    own, again = _faults(iterations), _faults(work)
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


def _faults(calls: Calls) -> float:
    """Page faults of a cycle; 0 where the system counts none."""
    before = Counters.read()
    for call in [*calls] * FAULTS_OVER:
        call()
    return (Counters.read() - before).per_iteration_faults(FAULTS_OVER) or 0.0


def _done_again(place: Bench, size: Size) -> tuple[Calls, Calls, int]:
    """All products of an iteration of the style, and all its operations, of a cycle; what all but products move."""
    import numpy as np

    (seen, lives), case = _seen(place, size), place.job.case

    def again(left: Any, right: Any) -> Again:
        out = place.device.put(np.zeros((left.shape[0], right.shape[1])), case.problem.dtype)
        call = product(case.framework, left, right, out)
        return lambda _: call()

    products = one_after_another([[again(*sides) for sides in one.products] for one in seen])
    releases = lives.releases(sum(len(one.operations) for one in seen))
    operations = one_after_another([one.operations for one in seen], releases)
    return products, operations, sum(one.passed_bytes for one in seen)


def _seen(place: Bench, size: Size) -> tuple[Sequence[Seen], Lives]:
    """What each iteration of a cycle of the style does, once its optimiser has made its state, and what it frees when.

    In two loops, since who keeps an operation to do it again keeps its arrays alive.
    """
    cycle, lives = place.job.style.period, Lives()
    seen = [Seen() for _ in range(cycle)]
    for watchers in ([lives] * (CYCLES * cycle), seen):
        now: list[Watcher] = [Lives()]
        put, watching = watch(place.job.case.framework, place.device.put, now)
        with watching:
            loop = place.loop(size, put)
            for one in (*[Lives()] * cycle, *watchers):
                now.append(one)
                next(loop)
        loop.close()
    return seen, lives
