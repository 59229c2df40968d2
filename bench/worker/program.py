"""The tutorial as a person runs it: a whole `python` that imports, makes its data and trains 500 iterations."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from time import perf_counter_ns
from typing import Any

from bench.cases.challenge import program_flips
from bench.cases.measurement import Job
from bench.cases.problem import TUTORIAL_ITERATIONS
from bench.machine.frameworks import open_device, wait_for
from bench.machine.line import witness_here
from bench.machine.process import answer
from bench.machine.witness import Record, Witness
from bench.plain import from_plain, to_plain
from bench.timing.clock import Loop, TooManyStepsError, finish
from bench.timing.heap import as_printed, make_heap
from bench.timing.loops import ProgramTimes, flip_sign


def main() -> None:
    """Train once from cold and answer how long transfer and loop took; the parent times the whole process."""
    witness = witness_here(sys.argv[1:])
    answer(lambda raw: to_plain(time_program(from_plain(Job, raw), witness)), tear_down=True)


def time_program(job: Job, witness: Witness | None = None) -> ProgramTimes:
    """The transfer and the tutorial's 500 iterations, each loss printed, though to nobody.

    What came of them goes to the `witness`, which says with what data.
    """
    problem, steps = job.case.problem, TUTORIAL_ITERATIONS
    witness = witness or Record(problem.seed)
    make_heap(job.style.heap)
    train = job.style.train
    device = open_device(job.case.framework, job.case.device, job.case.precision)
    arrays = replace(problem, seed=witness.seed()).arrays()
    flips = {flip.step: flip for flip in program_flips(job.case, steps, witness.open(0, steps))}
    losses: list[float] = []
    elapsed_ns: list[int] = []
    flipping_ns = 0
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        read = as_printed(device, nowhere).read
        start = perf_counter_ns()
        inputs = [device.put(array, problem.dtype) for array in arrays]
        loop = train(*inputs, problem.learning_rate, steps)
        before = perf_counter_ns()
        for step in range(steps):
            if step in flips:
                flip_sign(device, inputs[0], flips[step])
                wait_for(device)
                flipped = perf_counter_ns()
                flipping_ns += flipped - before
                before = flipped
            loss = next(loop, None)
            if loss is None:
                break
            losses.append(read(loss))
            now = perf_counter_ns()
            elapsed_ns.append(now - before)
            before = now
            if step == 0 and job.style.compiled:
                witness.mark()  # until here its compiler may have had help
        weights = _returned(loop)
        wait_for(device)
        seconds = (perf_counter_ns() - start - flipping_ns) / 1e9
    witness.shut(losses)
    witness.end()
    for weight in weights:
        witness.keep(device.fetch(weight))
    return ProgramTimes(seconds, tuple(elapsed_ns), flipping_ns / 1e9)


def _returned(loop: Loop) -> tuple[Any, ...]:
    """Its weights; none of a loop that ended too early or goes on."""
    try:
        return tuple(finish(loop) or ())
    except TooManyStepsError:
        return ()


if __name__ == "__main__":
    main()
