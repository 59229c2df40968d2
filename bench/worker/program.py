"""The tutorial as a person runs it: a whole `python` that imports, makes its data and trains 500 iterations."""

from __future__ import annotations

import os
from time import perf_counter

from bench.cases.measurement import Job
from bench.cases.problem import TUTORIAL_ITERATIONS
from bench.machine.frameworks import open_device, wait_for
from bench.machine.process import answer
from bench.plain import from_plain
from bench.worker.heap import as_printed, make_heap


def main() -> None:
    """Train once from cold and answer the seconds of transfer and loop; the parent times the whole process."""
    answer(lambda raw: loop_seconds(from_plain(Job, raw)), tear_down=True)


def loop_seconds(job: Job) -> float:
    """Seconds of the transfer and of the tutorial's 500 iterations, each loss printed, though to nobody."""
    problem = job.case.problem
    make_heap(job.style.heap)
    train = job.style.train
    device = open_device(job.case.framework, job.case.device, job.case.precision)
    arrays = problem.arrays()
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        read = as_printed(device, nowhere).read
        start = perf_counter()
        inputs = [device.put(array, problem.dtype) for array in arrays]
        for loss in train(*inputs, problem.learning_rate, TUTORIAL_ITERATIONS):
            read(loss)
        wait_for(device)
        return perf_counter() - start


if __name__ == "__main__":
    main()
