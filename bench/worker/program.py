"""The tutorial as a person runs it: a whole `python` that imports, makes its data and trains 500 iterations."""

from __future__ import annotations

import os
import sys
from time import perf_counter

from bench.cases.measurement import Job
from bench.cases.problem import TUTORIAL_ITERATIONS
from bench.machine.frameworks import open_device, wait_for
from bench.machine.process import die_with_parent


def main() -> None:
    """Train once from cold and print the seconds of transfer and loop; the parent times the whole process."""
    die_with_parent()
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a style prints is not the answer
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
    answer.write(f"{perf_counter() - start}\n")
    answer.close()


if __name__ == "__main__":
    main()
