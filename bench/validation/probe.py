"""What the clock costs, and the same loop timed by others in the same process; run as a process, answers in JSON."""

from __future__ import annotations

import importlib.util
import timeit
from collections.abc import Callable, Generator
from random import Random
from statistics import median
from time import perf_counter_ns
from typing import Any

from bench.cases.problem import Problem, stable_learning_rate
from bench.machine.device import Device
from bench.machine.frameworks import open_device
from bench.machine.process import answer
from bench.validation.plants import STYLE, with_spin
from bench.worker import clock
from bench.worker.heap import scatter
from implementations import find_implementations

NOOP_SAMPLES = 20_000
REPEATS = 15
PLAIN = ""
KEPT: list[bytearray] = []
ROUNDS, TURN, TURN_SETTLE = 150, 6, 2  # of the plants; iterations of a turn, and untimed ones before it
WARMUP_ITERATIONS = 1_000
BATCH = 50
SETTLE = 5  # iterations before each batch, so that no clock is charged for the one before it


def noop() -> Generator[float, None, None]:
    """A loop that does nothing: whatever is timed is the clock."""
    while True:
        yield 0.0


def make_loop(size: tuple[int, int, int, int]) -> tuple[Any, Device]:
    """A warm, endless loop of the validated style, laid out as a worker's, and its device."""
    KEPT.extend(scatter())
    problem = Problem(*size, "float32", stable_learning_rate(size))
    device = open_device("numpy", "cpu")
    inputs = [device.put(array, problem.dtype) for array in problem.arrays()]
    loop = find_implementations()[STYLE].train(*inputs, problem.learning_rate, 10**9)
    for _ in range(WARMUP_ITERATIONS):
        next(loop)
    return loop, device


def clock_cost(samples: int = NOOP_SAMPLES, repeats: int = REPEATS) -> dict[str, float]:
    """us of a no-op sample (both readings and the loss read), and of what lies untimed between samples."""
    device = open_device("numpy", "cpu")
    loop = noop()
    clock.time_latency(loop, device, samples)
    timed, untimed = [], []
    for _ in range(repeats):
        start = perf_counter_ns()
        found = clock.time_latency(loop, device, samples)
        wall = perf_counter_ns() - start
        timed.append(median(found.elapsed_ns) / 1e3)
        untimed.append((wall - sum(found.elapsed_ns)) / samples / 1e3)
    return {"timed_us": median(timed), "untimed_us": median(untimed), "n": samples * repeats}


def plant_ratios(size: tuple[int, int, int, int], spins_ns: dict[str, int], rounds: int = ROUNDS) -> dict[str, float]:
    """How many times as long an iteration takes with each spin: medians over rounds in which all took turns.

    All wrap one and the same loop, so arrays, caches and, within the milliseconds of a round, the core's speed are
    the same for all.
    """
    loop, device = make_loop(size)
    loops = {PLAIN: loop} | {label: with_spin(loop, spin_ns) for label, spin_ns in spins_ns.items()}
    ratios: dict[str, list[float]] = {label: [] for label in spins_ns}
    order, shuffled = list(loops), Random(0)
    for _ in range(rounds):
        shuffled.shuffle(order)
        seen: dict[str, float] = {}
        for label in order:
            clock.time_latency(loops[label], device, TURN_SETTLE)
            seen[label] = median(clock.time_latency(loops[label], device, TURN).elapsed_ns)
        for label, values in ratios.items():
            values.append(seen[label] / seen[PLAIN])
    return {label: median(values) for label, values in ratios.items()}


def agreement(size: tuple[int, int, int, int], rounds: int) -> dict[str, float]:
    """Time of one iteration by each foreign timer over ours, medians over rounds in which all took turns."""
    loop, device = make_loop(size)
    theirs = foreign_timers(loop)
    ratios: dict[str, list[float]] = {name: [] for name in theirs}
    order = ["ours", *theirs]
    for number in range(rounds):
        seen: dict[str, float] = {}
        for name in order[number % len(order) :] + order[: number % len(order)]:
            for _ in range(SETTLE):
                next(loop)
            if name == "ours":
                seen[name] = clock.time_batch(loop, device, BATCH)[0].mean_us
            else:
                seen[name] = theirs[name]() * 1e6
        for name, values in ratios.items():
            values.append(seen[name] / seen["ours"])
    return {name: median(values) for name, values in ratios.items()}


def foreign_timers(loop: Any) -> dict[str, Callable[[], float]]:
    """Seconds an iteration in a batch, as timeit and, where there is torch, torch.utils.benchmark take them."""
    by_timeit = timeit.Timer("next(loop)", globals={"loop": loop})
    timers: dict[str, Callable[[], float]] = {"timeit": lambda: by_timeit.timeit(BATCH) / BATCH}
    if importlib.util.find_spec("torch") is not None:
        from torch.utils.benchmark import Timer

        by_torch = Timer("next(loop)", globals={"loop": loop}, num_threads=1)
        timers["torch"] = lambda: float(by_torch.timeit(BATCH).median)
    return timers


def main() -> None:
    """Answer what was asked for: the clock's cost, what plants cost, how others time the same loop."""
    with clock.without_gc():
        answer(find)


def find(asked: dict[str, Any]) -> dict[str, Any]:
    """`clock`, `plants` and `agreement`, each where it was asked for."""
    found: dict[str, Any] = {}
    if "clock" in asked:
        found["clock"] = clock_cost()
    if "plants_ns" in asked:
        found["plants"] = plant_ratios(tuple(asked["size"]), asked["plants_ns"])
    if "rounds" in asked:
        found["agreement"] = agreement(tuple(asked["size"]), asked["rounds"])
    return found


if __name__ == "__main__":
    main()
