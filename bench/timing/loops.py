"""The two loops of a process: the cold one, and the timed one whose length is fixed beforehand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Any

from bench.cases.case import Case
from bench.cases.challenge import Flip, flips, pieces
from bench.cases.measurement import Job, Value
from bench.cases.phases import Counts, Stretch
from bench.machine.core_speed import Gauge, Reading
from bench.machine.device import Device
from bench.machine.witness import Witness
from bench.timing import clock
from bench.timing.counters import Counters, Meters, per_iteration_mj
from bench.timing.given import WrongStyleError, as_trained, check_loss, say_why_unread
from implementations import Train


@dataclass(frozen=True, slots=True)
class Timed:
    """What was timed of the timed loop, each phase in order.

    `untimed_ns` are the iterations of each stretch that are no samples, together and with what lies between them;
    `outside_ns` what lies between its samples, and before them where x changes. `readings` are of the core's speed,
    before the first segment or batch and after each; none where it is not read.
    """

    counts: Counts
    elapsed_ns: tuple[int, ...]
    untimed_ns: tuple[int, ...]
    outside_ns: tuple[int, ...]
    batches: tuple[clock.Batch, ...]
    readings: tuple[Reading, ...]
    counters: Counters


@dataclass(frozen=True, slots=True)
class ProgramTimes:
    """What was timed of a whole program: transfer and loop but for the flips of x; each iteration; those flips."""

    seconds: float
    elapsed_ns: tuple[int, ...]
    flipping_seconds: float


@dataclass(slots=True)
class Course:
    """A loop under a witness, which draws the flips of x for each stretch and hears its losses at once."""

    case: Case
    device: Device
    loop: clock.Loop
    x: Any
    witness: Witness
    gauge: Gauge | None
    elapsed_ns: list[int] = field(default_factory=list)
    untimed_ns: list[int] = field(default_factory=list)
    outside_ns: list[int] = field(default_factory=list)
    batches: list[clock.Batch] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)

    def run(self, stretch: Stretch, device: Device | None = None) -> None:
        """One stretch, its losses read by another `device` if there is one, and then a reading of the core's speed.

        Raises StopIteration when the loop ends before.
        """
        device = device or self.device
        drawn = flips(self.case, stretch, self.witness.open(stretch.first, stretch.count))
        middle, end = stretch.first + stretch.untimed, stretch.first + stretch.count
        began = perf_counter_ns()
        untimed = clock.time_pieces(self.loop, device, self._pieces(drawn, stretch.first, middle))
        self.untimed_ns.append(perf_counter_ns() - began)
        if stretch.untimed and stretch.timed:
            self.witness.mark()
        timed_pieces = self._pieces(drawn, middle, end)
        began = perf_counter_ns()
        if stretch.batch:
            batch, last = clock.time_batch_pieces(self.loop, device, timed_pieces)
            self.outside_ns.append(perf_counter_ns() - began - batch.elapsed_ns)
            check_loss(self.case, device, last)
            losses = [device.read(last)]
            self.batches.append(batch)
        else:
            timed = clock.time_pieces(self.loop, device, timed_pieces)
            self.outside_ns.append(perf_counter_ns() - began - sum(timed.elapsed_ns))
            losses = timed.losses
            self.elapsed_ns += timed.elapsed_ns
        self.witness.shut([*untimed.losses, *losses])
        if self.gauge is not None:
            self.readings.append(self.gauge())
            self.witness.heard(self.readings[-1])

    def _pieces(self, drawn: Sequence[Flip], first: int, end: int) -> Iterator[int]:
        """The lengths between the flips from `first` on and before `end`; a flip is made when its length is asked."""
        for flip, length in pieces(drawn, first, end):
            if flip is not None:
                flip_sign(self.device, self.x, flip)
            yield length


def run_timed(
    case: Case,
    train: Train,
    device: Device,
    arrays: Any,
    counts: Counts,
    witness: Witness,
    gauge: Gauge | None = None,
    settling: Device | None = None,
) -> tuple[Timed, tuple[Any, ...]]:
    """A second, warm loop from the same start, whose length is fixed before it begins; and the weights at its end.

    The losses of the first iterations, which are not timed, are read by `settling` if there is such a device.
    """
    inputs = [device.put(a, case.problem.dtype) for a in arrays]
    loop = train(*inputs, case.problem.learning_rate, counts.steps)
    course = Course(case, device, loop, inputs[0], witness, gauge)
    first, *stretches = counts.stretches
    try:
        course.run(first, settling or device)
        before = Counters.read()
        for stretch in stretches:
            if not stretch.batch:
                course.run(stretch)
        counters = Counters.read() - before
        for stretch in stretches:
            if stretch.batch:
                course.run(stretch)
        weights = clock.finish(loop)
    except StopIteration:
        raise WrongStyleError(f"stopped before its {counts.steps} steps") from None
    except clock.TooManyStepsError as error:
        raise WrongStyleError(str(error)) from None
    witness.end()
    timed = Timed(
        counts, tuple(course.elapsed_ns), tuple(course.untimed_ns), tuple(course.outside_ns),
        tuple(course.batches), tuple(course.readings), counters,
    )  # fmt: skip
    return timed, as_trained(case, device, {}, weights).weights


def flip_sign(device: Device, x: Any, flip: Flip) -> None:
    """Make a flip of x, where arrays can be written to."""
    if device.negate is not None:
        for _ in range(flip.times):
            device.negate(x, flip.place)


ENDLESS = 10**9


@dataclass(frozen=True, slots=True)
class Cold:
    """The first loop of the process: its data's transfer, the cold call, the warm-up and what the GPU's meters said."""

    transfer_seconds: float
    warm: clock.Latency
    used_mj: int | None
    sm_clock_mhz: int | None
    ahead: int = 1  # iterations that are started at once: the cold call's, of which the rest is read, are not warm

    @property
    def warm_ns(self) -> list[int]:
        """Of each iteration after those that the cold call started."""
        return self.warm.elapsed_ns[self.ahead :]

    def values(self) -> dict[str, Value]:
        """Its columns of measurements.csv."""
        elapsed, warm = self.warm.elapsed_ns, self.warm_ns
        energy_mj, resolution_mj = per_iteration_mj(self.used_mj, sum(warm) / 1e9, len(warm))
        return {
            "transfer_seconds": self.transfer_seconds,
            "first_iteration_seconds": elapsed[0] / 1e9,
            "warmup_iterations": len(warm),
            "gpu_energy_mj": energy_mj,
            "gpu_energy_resolution_mj": resolution_mj,
            "sm_clock_warm_mhz": self.sm_clock_mhz,
        }


def run_cold(job: Job, train: Train, device: Device, arrays: Sequence[Any], meters: Meters) -> Cold:
    """Bring the data to the device, make the first call, and go on until the loop is warm."""
    problem = job.case.problem
    transfer_seconds, inputs = clock.time_call(lambda: [device.put(a, problem.dtype) for a in arrays], device)
    loop = train(*inputs, problem.learning_rate, ENDLESS)
    readings: list[int | None] = []
    try:
        ahead, say = job.style.ahead, lambda: readings.append(meters.energy_mj())
        warm = clock.warm_up(loop, device, job.rule, first_done=say, ahead=ahead)
    except StopIteration:
        raise WrongStyleError("stopped before its steps were used up") from None
    except (TypeError, ValueError, AttributeError):
        say_why_unread(job.case, device, loop)
        raise
    before, after = readings[0], meters.energy_mj()
    used_mj = None if before is None or after is None else after - before
    sm_clock_mhz = meters.sm_clock_mhz()
    loop.close()
    return Cold(transfer_seconds, warm, used_mj, sm_clock_mhz, ahead)
