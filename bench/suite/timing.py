"""One benchmark: the equality gate, then our clock, whose samples become pytest-benchmark's rounds."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, lru_cache, partial
from typing import Any

from bench.cases.case import Case
from bench.cases.measurement import ANEW, Job, Measurement, or_anew
from bench.cases.problem import TUTORIAL_ITERATIONS, Problem
from bench.machine.device import Device
from bench.machine.frameworks import open_device
from bench.timing import clock
from bench.timing.counters import every_core
from bench.timing.given import WrongStyleError, as_trained
from bench.timing.noise import by_cycle
from bench.verification.expected import Expected
from bench.verification.gate import followed, rehearse, timed_deviations
from bench.worker.measure import describe_error, examine
from implementations import Train

CLOCK = "bench.timing.clock"  # who timed the rounds, in place of pytest-benchmark's `pedantic`
LOOP_ROUNDS = 3
CHECK_ITERATIONS = 3
# In a process that measured others before, these say nothing about the case: they stay empty.
OF_A_FRESH_PROCESS = (
    "import_seconds", "setup_seconds", "first_iteration_seconds", "peak_rss_bytes", "peak_device_bytes",
)  # fmt: skip


class Unfit(Exception):  # noqa: N818  a style that is no benchmark, rather than an error of the suite
    """A case without a time: a status of the table, and the reason."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(f"{status}: {reason}")
        self.status, self.reason = status, reason


@contextmanager
def told_as_unfit() -> Iterator[None]:
    """Raises Unfit for whatever a style raises inside, which is a reason."""
    try:
        yield
    except (WrongStyleError, clock.TooManyStepsError) as error:
        raise Unfit("wrong", str(error)) from None
    except Exception as error:
        raise Unfit("oom" if "out of memory" in str(error).lower() else "failed", describe_error(error)) from error


@told_as_unfit()
def gate(job: Job) -> tuple[Train, Device]:
    """The style's generator and its device, once it followed the oracle. Raises Unfit."""
    case = job.case
    train = job.style.train
    device = open_device(case.framework, case.device, case.precision)
    rehearse(case, train, device)
    return train, device


def time_iterations(benchmark: Any, job: Job) -> Measurement:
    """Each round one iteration, its loss read on the host, exactly as a worker of `run` times it. Raises Unfit.

    Of a style whose control flow has a cycle a round is the mean over one cycle, as in `run`'s median.
    """
    gate(job)
    found = or_anew(job, examine)
    if found.status != "ok":
        raise Unfit(found.status, found.reason)
    record(benchmark, (us / 1e6 for us in by_cycle(found.timed_us, job.style.cycle)))
    values = {name: value for name, value in found.values.items() if name not in OF_A_FRESH_PROCESS}
    return Measurement.of(replace(found, values=values, first_us=None, losses=()), job.case, 0, 0, 1)


def time_loops(benchmark: Any, job: Job) -> None:
    """Each round the transfer and the tutorial's 500 iterations, every loss read and held against the oracle.

    Raises Unfit.
    """
    train, device = gate(job)
    record(benchmark, [followed_loop(job, train, device, TUTORIAL_ITERATIONS, at) for at in range(LOOP_ROUNDS)])


def check_once(benchmark: Any, job: Job) -> None:
    """What a disabled benchmark does: the gate, and a few iterations at the case's own size. Raises Unfit."""
    train, device = gate(job)
    benchmark(followed_loop, job, train, device, CHECK_ITERATIONS)


@told_as_unfit()
def followed_loop(job: Job, train: Train, device: Device, steps: int, at: int = 0) -> float:
    """Seconds of a transfer and `steps` iterations that follow the oracle, on data of its own for each round `at`.

    Who strays from it is asked on other data, as often as in a run. Raises Unfit.
    """
    from bench.verification.deviation import reason  # not before this process has its threads

    case, why = job.case, None
    for turn in range(1 + ANEW):
        problem = replace(case.problem, seed=_seed(at + turn * LOOP_ROUNDS))
        right = _expected(case.oracle, problem, case.precision, steps)
        loop = partial(whole_loop, job, train, device, right.arrays, steps)
        with clock.without_gc():
            seconds, (losses, weights) = clock.time_call(loop, device)
        trained = as_trained(case, device, losses, weights)
        with every_core(case):
            why = reason(timed_deviations(right, trained, steps))
        if why is None:
            return seconds
    raise WrongStyleError(f"in {steps} iterations: {why}")


@cache
def _seed(_at: int) -> int:
    """Of data that nobody knew before, the same for every style: an oracle is then that of all of them."""
    return secrets.randbits(32)


@lru_cache(maxsize=LOOP_ROUNDS * 4)
def _expected(oracle: str, problem: Problem, precision: str, steps: int) -> Expected:
    """What `steps` iterations come to; nobody writes into its data."""
    case = Case("", "cpu", problem, framework="", oracle=oracle, precision=precision)
    return followed(case, problem.arrays(), steps, ())


def whole_loop(job: Job, train: Train, device: Device, arrays: Any, steps: int) -> tuple[dict[int, float], Any]:
    """Transfer, then `steps` iterations with each loss read: the losses, and what the loop returned."""
    problem = job.case.problem
    loop = train(*[device.put(array, problem.dtype) for array in arrays], problem.learning_rate, steps)
    losses = {}
    for step in range(steps):
        loss = next(loop, None)
        if loss is None:
            raise WrongStyleError(f"stopped before its {steps} steps")
        losses[step] = device.read(loss)
    return losses, clock.finish(loop)


def record(benchmark: Any, samples_s: Iterable[float]) -> None:
    """Hand samples to pytest-benchmark as its rounds.

    Its own loop would choose the number of rounds from one cold call and spend microseconds between two
    samples, so it only gets what our clock read. `_make_stats` is what its `pedantic` calls to report.
    """
    stats = benchmark._make_stats(1)
    for sample_s in samples_s:
        stats.update(sample_s)
    benchmark._mode = CLOCK
