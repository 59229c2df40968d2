"""What `validate` runs inside other processes: plants in the pool's, in its own the clock next to other timers."""

from __future__ import annotations

import importlib.util
import json
import time
import timeit
from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import islice
from pathlib import Path
from statistics import median
from time import perf_counter_ns
from typing import Any

import numpy as np

from bench.cases.problem import Problem, Size, stable_learning_rate
from bench.machine.core_speed import open_reference
from bench.machine.device import Device
from bench.machine.frameworks import open_device
from bench.machine.process import answer
from bench.timing import clock
from bench.timing.heap import scatter
from implementations import Train, find_implementations

STYLE = "numpy_in_place"
ENDLESS = 10**9
SLOW_FIRST, WRAPPER, SPIN_0, WORK = "slow-first", "wrapper", "spin-0", "work"
SLOW_FIRST_S = 2.0
PRODUCT_SIDE = 32  # of the matrices that a plant multiplies: 12 KiB, the loop's own arrays stay in their caches
PRODUCTS = 2_000
ROUNDS, TURN, TURN_SETTLE = 150, 6, 2  # of the plants; iterations of a turn, and untimed ones before it
NOOP_SAMPLES = 20_000
REPEATS = 15
WARMUP_ITERATIONS = 1_000
BATCH = 50
SETTLE = 5  # iterations before each batch, so that no clock is charged for the one before it
_once: set[str] = set()  # what may happen a single time in a process, and has
_kept: list[bytearray] = []


def planted(
    train: Train, given: Sequence[Any], steps: int, plant: str, products: int, answer_file: str
) -> Generator[Any, None, Any]:
    """`train` with a plant in every iteration; when the process's timed loop has ended, its true size in a file.

    The truth comes from the very process whose time goes into the pool: the same arrays in the same places of the
    same heap, the same core, and now the bare loop and the loop with its plant in turns of milliseconds. Hence
    what a run finds between processes differs from it only by what the harness adds, and by the copies' noise.
    The cold loop has no end and the rehearsal comes later: the first loop that ends is the timed one.
    """
    bare = train(*given, ENDLESS)
    loop = plant_in(bare, plant, products)
    yield from islice(loop, steps)
    weights = given[2].copy(), given[3].copy()  # the style trains in place, and the turns go on from here
    if "truth" not in _once:
        _once.add("truth")
        Path(answer_file).write_text(json.dumps(in_turns(bare, loop)), encoding="utf-8")
    return weights


def plant_in(bare: Iterator[Any], plant: str, products: int) -> Generator[Any, None, None]:
    """`bare`, each iteration followed by a plant.

    `work` is so many products of a small matrix, which like the loop itself take longer where the core is slow;
    `spin-0` waits for the clock, but for no time; `wrapper` is what wrapping a loop costs.
    """
    if plant == WRAPPER:
        for loss in bare:
            yield loss
    elif plant == SPIN_0:
        for loss in bare:
            until = perf_counter_ns()
            while perf_counter_ns() < until:
                pass
            yield loss
    left, right, out = np.ones((3, PRODUCT_SIDE, PRODUCT_SIDE), np.float32)
    for loss in bare:
        for _ in range(products):
            np.dot(left, right, out=out)
        yield loss


def in_turns(
    bare: Iterator[Any],
    loop: Iterator[Any],
    rounds: int = ROUNDS,
    open_speed: Callable[[], Callable[[], float]] = open_reference,
) -> dict[str, float]:
    """Medians over rounds: us of a bare iteration and of the reference next to it, and the plant's ratio to it.

    Within a round both loops had the same core at the same speed; who goes first alternates.
    """
    device, reference = open_device("numpy", "cpu"), open_speed()
    seen: list[tuple[float, float, float]] = []
    for number in range(rounds):
        core_us = reference()
        us = {}
        for side in (bare, loop) if number % 2 else (loop, bare):
            clock.time_latency(side, device, TURN_SETTLE)  # type: ignore[arg-type]
            us[side] = median(clock.time_latency(side, device, TURN).elapsed_ns) / 1e3  # type: ignore[arg-type]
        seen.append((us[bare], core_us, us[loop] / us[bare]))
    return dict(zip(("base_us", "reference_us", "ratio"), map(median, zip(*seen, strict=True)), strict=True))


def slow_first(train: Train, given: Sequence[Any], steps: int) -> Generator[Any, None, Any]:
    """`train`, the first iteration in this process two seconds late: what a compiler or a driver costs."""
    if "sleep" not in _once:
        _once.add("sleep")
        time.sleep(SLOW_FIRST_S)
    return (yield from train(*given, steps))


def noop() -> Generator[float, None, None]:
    """A loop that does nothing: whatever is timed is the clock."""
    while True:
        yield 0.0


def make_loop(size: Sequence[int]) -> tuple[Any, Device]:
    """A warm, endless loop of the validated style, laid out as a worker's, and its device."""
    _kept.extend(scatter())
    sides = Size(*size)
    problem = Problem(*sides, "float32", stable_learning_rate(sides))
    device = open_device("numpy", "cpu")
    inputs = [device.put(array, problem.dtype) for array in problem.arrays()]
    loop = find_implementations()[STYLE].train(*inputs, problem.learning_rate, ENDLESS)
    for _ in range(WARMUP_ITERATIONS):
        next(loop)
    return loop, device


def clock_cost() -> dict[str, float]:
    """us of a no-op sample (both readings and the loss read), and of what lies untimed between samples."""
    device, loop = open_device("numpy", "cpu"), noop()
    clock.time_latency(loop, device, NOOP_SAMPLES)
    timed, untimed = [], []
    for _ in range(REPEATS):
        start = perf_counter_ns()
        found = clock.time_latency(loop, device, NOOP_SAMPLES)
        wall = perf_counter_ns() - start
        timed.append(median(found.elapsed_ns) / 1e3)
        untimed.append((wall - sum(found.elapsed_ns)) / NOOP_SAMPLES / 1e3)
    return {"timed_us": median(timed), "untimed_us": median(untimed), "n": NOOP_SAMPLES * REPEATS}


def product_share(size: Sequence[int]) -> float:
    """What one product of a `work` plant takes, as a share of an iteration."""
    loop, device = make_loop(size)
    working = plant_in(noop(), WORK, PRODUCTS)
    shares = []
    for _ in range(REPEATS):
        each = median(clock.time_latency(loop, device, BATCH).elapsed_ns)
        shares.append(clock.time_latency(working, device, 1).elapsed_ns[0] / PRODUCTS / each)
    return median(shares)


def agreement(size: Sequence[int], rounds: int) -> dict[str, list[float]]:
    """us an iteration by timeit and torch.utils.benchmark, if there, over ours, on one loop in turns: of each round."""
    loop, device = make_loop(size)
    by_timeit = timeit.Timer("next(loop)", globals={"loop": loop})
    timers: dict[str, Callable[[], float]] = {
        "ours": lambda: clock.time_batch(loop, device, BATCH)[0].mean_us,
        "timeit": lambda: by_timeit.timeit(BATCH) / BATCH * 1e6,
    }
    if importlib.util.find_spec("torch") is not None:
        from torch.utils.benchmark import Timer

        by_torch = Timer("next(loop)", globals={"loop": loop}, num_threads=1)
        timers["torch"] = lambda: float(by_torch.timeit(BATCH).median) * 1e6
    seen: list[dict[str, float]] = []
    order = list(timers)
    for number in range(rounds):
        us = {}
        for name in order[number % len(order) :] + order[: number % len(order)]:
            for _ in range(SETTLE):
                next(loop)
            us[name] = timers[name]()
        seen.append(us)
    return {name: [us[name] / us["ours"] for us in seen] for name in order if name != "ours"}


QUESTIONS: dict[str, Callable[..., Any]] = {"clock": clock_cost, "product": product_share, "agreement": agreement}


def main() -> None:
    """Answer one of QUESTIONS: its name, then what it is about."""
    with clock.without_gc():
        answer(lambda asked: QUESTIONS[asked[0]](*asked[1:]))


if __name__ == "__main__":
    main()
