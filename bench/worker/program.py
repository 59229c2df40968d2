"""The tutorial as a person runs it: a whole `python` that imports, makes its data and trains 500 iterations."""

from __future__ import annotations

from time import perf_counter

from bench.cases.measurement import Job
from bench.cases.problem import TUTORIAL_ITERATIONS
from bench.machine.frameworks import open_device, wait_for
from bench.machine.process import answer
from bench.plain import from_plain
from bench.worker.heap import SCRIPT, as_printed, make_heap


def main() -> None:
    """Train once from cold and answer the seconds of transfer and loop; the parent times the whole process."""
    answer(lambda raw: loop_seconds(from_plain(Job, raw)), tear_down=True)


def loop_seconds(job: Job) -> float:
    """Seconds of the transfer and of the tutorial's 500 iterations, each loss read."""
    problem, heap = job.case.problem, make_heap(job.style.heap)
    train = job.style.train
    device = open_device(job.case.framework, job.case.device, job.case.precision)
    read = as_printed(device).read if heap == SCRIPT else device.read
    arrays = problem.arrays()
    start = perf_counter()
    loop = train(*[device.put(array, problem.dtype) for array in arrays], problem.learning_rate, TUTORIAL_ITERATIONS)
    for loss in loop:
        read(loss)  # the tutorial prints it
    wait_for(device)
    return perf_counter() - start


if __name__ == "__main__":
    main()
