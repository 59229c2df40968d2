"""What passes of a loop in no sample: between two of them, and while x changes sign."""

from __future__ import annotations

from statistics import median

from bench.cases.case import Case
from bench.cases.challenge import flips
from bench.cases.measurement import Job
from bench.cases.phases import Stretch
from bench.cases.problem import ITEM_BYTES
from bench.machine.witness import Record, Seen
from bench.timing.loops import Timed
from bench.timing.noise import by_cycle

BETWEEN_S = 2e-6  # between two samples at most; 0.7 to 1.4 us here, of an interpreter whose iterations take 8
WAIT_S = 1e-5  # the same with the wait before each sample on a device that is waited for
LOSS_S = 1e-6  # jax waits for each loss that is known ahead, one by one: 0.2 to 0.6 us
# A change of sign may take so long, and as long as a usual iteration: both find the caches as the last one left them.
# Here 10 us by numpy, 20 by torch, and 110 to 150 after a product in bfloat16
FLIP_S = 5e-6
CPU_RATE, DEVICE_RATE = 4e9, 1e11  # bytes of x a second; one core here changes the sign of 7e9


def flip_s(case: Case, usual_s: float) -> float:
    """Seconds that a sign change of a part of x may take at most, which is a quarter of its numbers.

    `usual_s`: of an iteration by its samples. Who keeps its work for the pauses has samples that allow it none.
    """
    quarter = case.problem.size.n * case.problem.size.d_in * ITEM_BYTES[case.problem.dtype] / 4
    return FLIP_S + usual_s + quarter / (CPU_RATE if case.key.on_cpu else DEVICE_RATE)


def _between_s(case: Case) -> float:
    """Seconds that may pass between two samples."""
    if case.framework == "jax":
        return WAIT_S + LOSS_S * case.ahead
    return BETWEEN_S if case.device == "cpu" else WAIT_S


def granted_s(job: Job, timed: Timed, record: Record) -> dict[Stretch, float]:
    """Seconds of each stretch that passed in none of its samples, as it was timed, and not more than they may take."""
    usual_s = median(by_cycle(timed.elapsed_ns, job.style.period)) / 1e9
    return {
        one: min(ns / 1e9, flip_s(job.case, usual_s) * _flips(job.case, one, seen) + _between_s(job.case) * _waits(one))
        for one, seen, ns in zip(timed.counts.stretches, record.seen, timed.outside_ns, strict=True)
    }


def _waits(one: Stretch) -> int:
    """How often the clock is started in a stretch, but for where x changes."""
    return 1 if one.batch else one.timed


def _flips(case: Case, one: Stretch, seen: Seen) -> int:
    """How often x changes sign in the iterations of a stretch that count."""
    return sum(flip.times for flip in flips(case, one, seen.seed) if flip.step >= one.first + one.untimed)
