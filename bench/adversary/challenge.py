"""What an x that changes and a witness cost the timed loop: stretches with both and with neither, in turns."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter_ns

from bench.cases.case import Case
from bench.cases.phases import Counts, Rule, Stretch, plan_counts
from bench.cases.problem import TUTORIAL_SIZE, Problem, Size, stable_learning_rate
from bench.checks import Check
from bench.errors import UsageError
from bench.machine import process
from bench.machine.device import Device, cpu_model
from bench.machine.frameworks import open_device
from bench.machine.line import witness_here
from bench.machine.process import answer
from bench.machine.witness import Record, Witness
from bench.status import Say
from bench.tables.csv_files import read_as, write_as
from bench.timing import clock
from bench.timing.heap import scatter
from bench.timing.loops import Course
from bench.words import counted
from implementations import find_implementations

TABLE = "challenge.csv"
SIZES = (TUTORIAL_SIZE, Size(16, 250, 25, 5))
STYLES = ("numpy_manual", "numpy_in_place", "torch_tensors", "torch_in_place", "numba_manual")
ROUNDS = 240  # of 60 one and the same style gave -0.5 to +2.4% by chance, of 120 up to +2.2%
MOST = 0.02
WARM, ENDLESS = 2_000, 10**9


@dataclass(frozen=True, slots=True)
class Cost:
    """What the challenge adds to an iteration, as a share of it, the median of `rounds`.

    To the median of samples, to their mean, to a batch's mean, and outside the clock, flips and the witness's answers,
    to what a stretch of `iterations` takes.
    """

    style: str
    size: str
    iteration_us: float
    samples: float
    mean: float
    batch: float
    untimed: float
    iterations: int
    rounds: int
    threads: int = 1

    @property
    def most(self) -> float:
        """Of what is reported as a time."""
        return max(self.samples, self.batch)


def cost(style: str, size: Sequence[int], threads: int, rounds: int, witness: Witness) -> dict[str, float]:
    """In this process, see `Cost`: a stretch as a worker runs it and one that nobody watches, in turns."""
    scatter()
    sides = Size(*size)
    declared = find_implementations()[style]
    problem = Problem(*sides, "float32", stable_learning_rate(sides))
    case = Case(style, "cpu", problem, threads=threads, framework=declared.framework)
    device = open_device(case.framework, "cpu")
    inputs = [device.put(array, case.problem.dtype) for array in case.problem.arrays()]
    loop = declared.train(*inputs, case.problem.learning_rate, ENDLESS)
    each_ns = median(clock.time_latency(loop, device, WARM).elapsed_ns)
    counts = plan_counts(Rule(), each_ns, referenced=case.one_core)
    course, at = Course(case, device, loop, inputs[0], witness, None), 0
    found: list[list[float]] = []
    for number in range(rounds):
        ns: dict[bool, tuple[float, ...]] = {}
        for watched in (True, False) if number % 2 else (False, True):
            ns[watched] = _both(course if watched else None, loop, device, counts, at)
            at += 2 * counts.resettle + counts.segments[0] + counts.batch
        found.append([one / other - 1 for one, other in zip(ns[True], ns[False], strict=True)])
    samples, mean, batch, untimed = map(median, zip(*found, strict=True))
    return {
        "iteration_us": each_ns / 1e3, "samples": samples, "mean": mean, "batch": batch, "untimed": untimed,
        "iterations": counts.segments[0],
    }  # fmt: skip


def _both(course: Course | None, loop: clock.Loop, device: Device, counts: Counts, at: int) -> tuple[float, ...]:
    """ns of an iteration: median and mean of samples, mean of a batch; and of both stretches, clock or no clock."""
    untimed, timed, batched = counts.resettle, counts.segments[0], counts.batch
    start = perf_counter_ns()
    if course is not None:
        before = len(course.elapsed_ns)
        course.run(Stretch(at, untimed, timed))
        course.run(Stretch(at + untimed + timed, untimed, batched, batch=True))
        samples, batch = course.elapsed_ns[before:], course.batches[-1]
    else:
        clock.time_latency(loop, device, untimed)
        samples = clock.time_latency(loop, device, timed).elapsed_ns
        clock.time_latency(loop, device, untimed)
        batch, _ = clock.time_batch(loop, device, batched)
    wall = perf_counter_ns() - start
    return median(samples), sum(samples) / timed, batch.elapsed_ns / batched, wall / (2 * untimed + timed + batched)


def measure_cost(style: str, size: Size, threads: int = 1, rounds: int = ROUNDS) -> Cost:
    """In a process of its own, watched by this one. Raises UsageError where it fails."""
    asked = [style, list(size), threads, rounds]
    ended = process.ask("bench.adversary.challenge", asked, threads=threads, record=Record(0))
    if ended.status is not None:
        raise UsageError(f"{style} at {size}: {ended.status}: {ended.reason}")
    found = {name: round(value, 2 if name == "iteration_us" else 5) for name, value in ended.value.items()}
    return Cost(style, str(size), rounds=rounds, threads=threads, **found)


def read_costs(folder: Path) -> list[Cost]:
    """What challenge.csv of a folder holds. Raises TableError."""
    return read_as(folder / TABLE, Cost, later=("threads",))


def measure_costs(
    folder: Path, say: Say, styles: Sequence[str] = STYLES, threads: int = 1, rounds: int = ROUNDS
) -> list[Cost]:
    """challenge.csv of a folder, one row after another; those that it holds are not measured again."""
    found = read_costs(folder)
    done = {(one.style, one.size, one.threads) for one in found}
    for size in SIZES:
        for style in styles:
            missing = find_implementations()[style].missing
            if (style, str(size), threads) not in done and not missing:
                say(f"what an x that changes costs {style} at {size} on {counted(threads, 'thread')}")
                found.append(measure_cost(style, size, threads, rounds))
                write_as(folder / TABLE, Cost, found)
    return found


def judge_costs(found: Sequence[Cost]) -> Check:
    """No reported time may be longer for the challenge than without it, by more than MOST."""
    name, must = "an x that changes, a witness: what they add to a time", f"<= {MOST:.0%}"
    if not found:
        return Check(name, must, "", None, 0, "not measured; see python -m bench.adversary.challenge")
    worst = max(found, key=lambda one: one.most)
    where = f"{worst.style} at {worst.size}" + (f" on {worst.threads} threads" if worst.threads > 1 else "")
    note = f"{where}; outside the clock at most {max(one.untimed for one in found):.1%}"
    return Check(name, must, f"{worst.most:+.1%}", worst.most <= MOST, sum(one.rounds for one in found), note)


def main() -> None:
    """Without a question on its command line challenge.csv into --out; as the process that is asked, answer."""
    if not sys.argv[1:] or sys.argv[1].startswith("-"):
        parser = argparse.ArgumentParser(prog="python -m bench.adversary.challenge", description=__doc__)
        parser.add_argument("--rounds", type=int, default=ROUNDS)
        parser.add_argument("--threads", type=int, default=1, help="of the CPU")
        parser.add_argument("--style", action="append", help="may be repeated")
        parser.add_argument("--out", type=Path, default=Path("results/validation-cpu"), help="folder to write")
        given = parser.parse_args()
        given.out.mkdir(parents=True, exist_ok=True)
        say = partial(print, file=sys.stderr)
        check = judge_costs(measure_costs(given.out, say, given.style or STYLES, given.threads, given.rounds))
        words = f"{check.experiment}: {check.got}, must be {check.must_reach} ({check.note}; {cpu_model()})"
        sys.stdout.write(f"{words}\n")
        return
    witness = witness_here(sys.argv[1:]) or Record(0)
    with clock.without_gc():
        answer(lambda asked: cost(asked[0], asked[1], asked[2], asked[3], witness))


if __name__ == "__main__":
    main()
