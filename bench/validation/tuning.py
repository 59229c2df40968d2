"""How far CPU styles are from their products, both in turns in one process: `python -m bench.validation.tuning`."""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import geometric_mean, median
from time import perf_counter_ns
from typing import Any

from bench.cases.problem import TUTORIAL_SIZE, Problem, Size, stable_learning_rate
from bench.doctor.floors import products_of
from bench.machine.device import cpu_model
from bench.machine.environment import available_cpus
from bench.machine.frameworks import open_device
from bench.machine.process import answer, ask
from bench.status import Say
from bench.tables.csv_files import write_rows
from bench.timing.clock import without_gc
from bench.timing.counters import Counters
from bench.worker.ceilings import large_product
from implementations import find_implementations

SIZES = (TUTORIAL_SIZE, Size(1024, 1024, 1024, 10))
STYLES = ("numpy_in_place", "torch_in_place", "torch_compile", "numba_manual")
ROUNDS, ROUND_S, WARM_S = 150, 0.002, 0.15
LEAST_ROUNDS, LIMIT_S = 15, 0.6
COLUMNS = (
    "style", "dtype", "threads", "size", "processes", "products_us", "iteration_us", "over_products", "low", "high",
    "of_gemm_rate", "faults", "cpu",
)  # fmt: skip


def in_turns(calls: Sequence[Callable[[], Any]]) -> list[list[float]]:
    """The us of each of `calls` in ROUNDS, fewer after LIMIT_S; a round calls each for about ROUND_S, one by one."""
    counts = []
    for call in calls:
        _us(call, 1)  # it may compile
        us, end = _us(call, 1), perf_counter_ns() + int(WARM_S * 1e9)
        while perf_counter_ns() < end:
            us = min(us, _us(call, 1))
        counts.append(max(1, int(ROUND_S * 1e6 / us)))
    found: list[list[float]] = []
    end = perf_counter_ns() + int(LIMIT_S * 1e9)
    while len(found) < ROUNDS and (len(found) < LEAST_ROUNDS or perf_counter_ns() < end):
        found.append([_us(call, count) for call, count in zip(calls, counts, strict=True)])
    return found


def _us(call: Callable[[], Any], count: int) -> float:
    start = perf_counter_ns()
    for _ in range(count):
        call()
    return (perf_counter_ns() - start) / count / 1e3


def measure(style: str, files: Sequence[str], sides: Sequence[int], dtype: str, threads: int) -> Any:
    """Medians over rounds of a style's iteration (its loss read), of its products alone, of the ratio of both.

    And of its products' rate over that of a large square product, which takes turns with the iteration too.
    """
    known = find_implementations(files)[style]
    size = Size(*sides)
    problem = Problem(*size, dtype=dtype, learning_rate=stable_learning_rate(size, known.oracle))
    device = open_device(known.framework, "cpu")
    loop = known.train(*(device.put(array, dtype) for array in problem.arrays()), problem.learning_rate, 10**9)
    each = [call for _, call in products_of(known.framework, device, dtype, problem)]

    def products() -> None:
        for call in each:
            call()

    large, large_flops = large_product(known.framework, device, dtype, threads)
    with without_gc():
        found = in_turns([products, lambda: device.read(next(loop))])
        rates = in_turns([large, lambda: device.read(next(loop))])
        before = Counters.read()
        for _ in range(20):
            next(loop)
        faults = (Counters.read() - before).per_iteration_faults(20)
    loop.close()
    products_us, iteration_us = (median(row[at] for row in found) for at in (0, 1))
    return {
        "products_us": products_us, "iteration_us": iteration_us, "faults": faults,
        "over_products": median(row[1] / row[0] for row in found),
        "of_gemm_rate": median(row[0] / row[1] for row in rates) * problem.product_flops / large_flops,
    }  # fmt: skip


def summed_up(case: Sequence[Any], found: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """A row of COLUMNS: geometric means over processes, and the least and most of the ratio."""
    ratios = [one["over_products"] for one in found]
    style, dtype, threads, size = case
    means = {name: geometric_mean(one[name] for one in found) for name in ("products_us", "iteration_us")}
    return {
        "style": style, "dtype": dtype, "threads": threads, "size": size, "processes": len(found),
        **{name: f"{value:.1f}" for name, value in means.items()},
        "over_products": f"{geometric_mean(ratios):.3f}", "low": f"{min(ratios):.3f}", "high": f"{max(ratios):.3f}",
        "of_gemm_rate": f"{geometric_mean(one['of_gemm_rate'] for one in found):.3f}",
        "faults": f"{median(one['faults'] or 0.0 for one in found):.1f}", "cpu": cpu_model(),
    }  # fmt: skip


def rows(
    cases: Sequence[tuple[str, str, int, Size]], files: Sequence[str], processes: int, say: Say
) -> Iterator[dict[str, Any]]:
    """A row a case, once each has had its processes, in shuffled order; a process that fails is said and left out."""
    found: dict[Any, list[Mapping[str, float]]] = {case: [] for case in cases}
    for turn in range(processes):
        for case in random.Random(turn).sample(cases, len(cases)):
            style, dtype, threads, size = case
            asked = style, files, size, dtype, threads
            answered = ask("bench.validation.tuning", asked, shape=dict[str, float | None], threads=threads)
            if answered.status is None:
                found[case].append(answered.value)
            else:
                say(f"{style}, {threads} threads: {answered.status}: {answered.reason}")
    return (summed_up(case, each) for case, each in found.items() if each)


def main(arguments: Sequence[str]) -> None:
    """Measure, and write the table to the file that is named; with no argument answer one question from stdin."""
    if not arguments or arguments[0].isdigit():
        return answer(lambda asked: measure(*asked))
    parser = argparse.ArgumentParser(prog="python -m bench.validation.tuning", description=__doc__)
    parser.add_argument("out", type=Path, help="the CSV to write")
    parser.add_argument("--style-file", action="append", default=[], help="also the styles of this file (repeatable)")
    parser.add_argument("--style", action="append", default=[], help="only these (repeatable)")
    parser.add_argument("--processes", type=int, default=3, help="a case (default 3)")
    asked = parser.parse_args(arguments)
    files = [str(Path(one).resolve()) for one in asked.style_file]
    known = find_implementations(files)
    own = [name for name, style in known.items() if str(style.source) in files]
    styles = asked.style or [name for name in (*STYLES, *own) if not known[name].missing]
    threads = sorted({1, available_cpus()})
    cases = [(style, "float32", count, size) for size in SIZES for style in styles for count in threads]
    write_rows(asked.out, COLUMNS, rows(cases, files, asked.processes, partial(print, file=sys.stderr)))
    return None


if __name__ == "__main__":
    main(sys.argv[1:])
