"""The tutorial as a person runs it: a whole `python` that imports, makes its data and trains 500 iterations."""

from __future__ import annotations

import sys
from time import perf_counter

from bench.device import open_device, wait_for
from bench.problem import TUTORIAL_ITERATIONS
from bench.worker import Job


def main() -> None:
    """Train once from cold and print the seconds of transfer and loop; the parent times the whole process."""
    job = Job.load(sys.stdin.read())
    problem = job.case.problem
    train = job.style.train
    device = open_device(job.case.framework, job.case.device, job.case.precision)
    arrays = problem.arrays()
    start = perf_counter()
    loop = train(*[device.put(array, problem.dtype) for array in arrays], problem.learning_rate, TUTORIAL_ITERATIONS)
    for loss in loop:
        device.read(loss)  # the tutorial prints it
    wait_for(device)
    print(perf_counter() - start)


if __name__ == "__main__":
    main()
