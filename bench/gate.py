"""The equality gate: runs a style under the clock and beside the oracle, and says what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from bench import clock
from bench.case import Case
from bench.counters import Counters
from bench.device import Device
from bench.problem import (
    TUTORIAL_LEARNING_RATE,
    TUTORIAL_SIZE,
    Problem,
    stable_learning_rate,
    work_flops,
)
from bench.reference import Reference
from bench.rule import Counts
from implementations import Train

if TYPE_CHECKING:
    from bench import oracle  # imported where it is used: it brings numpy, whose import is timed


PACE_ITERATIONS = 20


class WrongStyleError(Exception):
    """A style that is not the training run it should be; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Timed:
    """The timed loop: its phases, and the losses and weights that prove what it did.

    `readings_us` are of the core's speed, before the first segment or batch and after each; none where it is not read.
    """

    counts: Counts
    latency: clock.Latency
    batches: tuple[clock.Batch, ...]
    readings_us: tuple[float, ...]
    trained: oracle.Trained
    counters: Counters


def run_timed(
    case: Case, train: Train, device: Device, arrays: Any, counts: Counts, reference: Reference | None = None
) -> Timed:
    """A second, warm loop from the same start, whose length is fixed before it begins and which runs to its end."""
    problem = case.problem
    loop = train(*[device.put(a, problem.dtype) for a in arrays], problem.learning_rate, counts.steps)
    try:
        settle = clock.time_latency(loop, device, counts.settle)
        before = Counters.read()
        sampling = clock.time_segments(loop, device, counts, reference)
        counters = Counters.read() - before
        timed, readings = [], sampling.readings_us
        for _ in range(counts.batches):
            clock.time_latency(loop, device, counts.resettle)
            timed.append(clock.time_batch(loop, device, counts.batch))
            if reference is not None:
                readings.append(reference())
        weights = clock.finish(loop)
    except StopIteration:
        raise WrongStyleError(f"stopped before its {counts.steps} steps") from None
    except clock.TooManyStepsError as error:
        raise WrongStyleError(str(error)) from None
    last = timed[-1][1]
    check_kind(case, device, last, "yielded a loss")
    losses = dict(enumerate([*settle.losses, *sampling.losses]))
    losses[counts.steps - 1] = device.read(last)
    batches = tuple(batch for batch, _ in timed)
    trained = as_trained(case, device, losses, weights)
    return Timed(counts, sampling.latency, batches, tuple(readings), trained, counters)


def rehearse(case: Case, train: Train, device: Device) -> list[float]:
    """Follow the oracle for 50 iterations of the tutorial's size at its learning rate: the losses.

    Raises WrongStyleError.
    """
    from bench import oracle

    rate = TUTORIAL_LEARNING_RATE if case.oracle == "sgd" else stable_learning_rate(TUTORIAL_SIZE, case.oracle)
    problem = Problem(*TUTORIAL_SIZE, case.problem.dtype, rate, case.problem.seed)
    arrays = problem.arrays()
    steps = oracle.REHEARSAL_STEPS
    loop = train(*[device.put(a, problem.dtype) for a in arrays], rate, steps)
    losses = {}
    try:
        for t in range(steps):
            loss = next(loop)
            check_kind(case, device, loss, "yielded a loss")
            losses[t] = device.read(loss)
        weights = clock.finish(loop)
    except StopIteration:
        raise WrongStyleError(f"stopped before its {steps} steps") from None
    except clock.TooManyStepsError as error:
        raise WrongStyleError(str(error)) from None
    trained = as_trained(case, device, losses, weights)
    expected = oracle.reference(case.oracle, arrays, rate, steps)
    reason = oracle.disagreement(trained, expected, tolerance(case))
    if reason:
        raise WrongStyleError(reason)
    return [losses[t] for t in range(steps)]


def check_timed(case: Case, arrays: Any, timed: Timed) -> int:
    """Compare the timed run with the oracle as far as that is affordable; how many of its losses were compared."""
    from bench import oracle

    steps = timed.counts.steps
    checked = oracle.affordable_steps(work_flops(case.problem, case.oracle), steps)
    expected = oracle.reference(case.oracle, arrays, case.problem.learning_rate, checked)
    if checked == steps:
        reason = oracle.disagreement(timed.trained, expected, tolerance(case), end=True)
    else:
        losses = timed.trained.losses
        reason = oracle.first_losses_disagreement(losses, expected.losses, tolerance(case))
        reason = reason or oracle.standstill(losses, min(checked, tolerance(case).losses), tolerance(case))
    final = timed.trained.losses[steps - 1]
    if reason or not abs(final) < float("inf"):
        raise WrongStyleError(f"in the timed run: {reason or f'loss became {final}'}")
    return sum(t < checked for t in timed.trained.losses)


def check_pace(endless: clock.Latency, timed: Timed) -> None:
    """Raises WrongStyleError for a style that is fast only when it knows how many iterations there will be.

    Such a one does the work ahead of the clock. An honest median is not under half of the least time that
    any iteration of the endless warm-up took, given PACE_ITERATIONS of them.
    """
    if len(endless.elapsed_ns) <= PACE_ITERATIONS:
        return
    least, middle = min(endless.elapsed_ns[1:]), median(timed.latency.elapsed_ns)
    if middle < least / 2:
        raise WrongStyleError(
            f"an iteration takes {middle / 1e3:.1f} us where the number of steps is known beforehand, and at least "
            f"{least / 1e3:.1f} us where it is not: the work is done ahead of the clock"
        )


def check_kind(case: Case, device: Device, value: Any, did: str) -> None:
    """Raises WrongStyleError unless an array or loss has the case's dtype and is on the case's device."""
    dtype, place = device.describe(value)
    if dtype not in (case.problem.dtype, ""):
        raise WrongStyleError(f"{did} of dtype {dtype}, expected {case.problem.dtype}")
    if place != case.device:
        raise WrongStyleError(f"{did} on {place}, expected on {case.device}")
    if getattr(value, "requires_grad", False):
        raise WrongStyleError(f"{did} that still requires grad: yield loss.detach()")


def as_trained(case: Case, device: Device, losses: dict[int, float], weights: Any) -> oracle.Trained:
    """What the style did, on the host in float64. Raises WrongStyleError for weights of another kind."""
    from bench import oracle

    if not isinstance(weights, tuple | list) or not weights:
        raise WrongStyleError("returned no weights: end with `return w1, w2`")
    for weight in weights:
        if not hasattr(weight, "shape"):
            raise WrongStyleError(f"returned a {type(weight).__name__} among its weights, expected arrays")
        check_kind(case, device, weight, "returned weights")
    return oracle.Trained(losses, tuple(device.fetch(weight) for weight in weights))


def tolerance(case: Case) -> oracle.Tolerance:
    """How far this case's dtype and precision may stray."""
    from bench import oracle

    return oracle.TOLERANCES[case.problem.dtype, case.precision]
