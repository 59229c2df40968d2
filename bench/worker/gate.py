"""The equality gate: holds what a style did beside the oracle, and says what is wrong with it."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from bench.cases.case import Case
from bench.cases.problem import TUTORIAL_LEARNING_RATE, TUTORIAL_SIZE, Problem, stable_learning_rate, work_flops
from bench.machine.device import Device
from bench.worker import clock
from implementations import Train

if TYPE_CHECKING:
    from bench.worker import oracle
from bench.cases.phases import affordable_steps
from bench.worker.loops import Timed, WrongStyleError, as_trained, check_kind

PACE_ITERATIONS = 20


def rehearse(case: Case, train: Train, device: Device) -> list[float]:
    """Follow the oracle for 50 iterations of the tutorial's size at its learning rate: the losses.

    Raises WrongStyleError.
    """
    from bench.worker import oracle

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
    from bench.worker import oracle

    steps = timed.counts.steps
    checked = affordable_steps(work_flops(case.problem, case.oracle), steps)
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


def tolerance(case: Case) -> oracle.Tolerance:
    """How far this case's dtype and precision may stray."""
    from bench.worker import oracle

    return oracle.TOLERANCES[case.problem.dtype, case.precision]
