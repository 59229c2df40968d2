"""The two loops of a process: the cold one, and the timed one whose length is fixed beforehand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.cases.case import Case
from bench.cases.phases import Counts
from bench.machine.core_speed import Gauge, Reading
from bench.machine.device import Device
from bench.worker import clock
from bench.worker.counters import Counters
from implementations import Train

if TYPE_CHECKING:
    from bench.worker import oracle
from collections.abc import Sequence

from bench.cases.measurement import Job, Value
from bench.worker.counters import Meters, per_iteration_mj


class WrongStyleError(Exception):
    """A style that is not the training run it should be; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Timed:
    """The timed loop: its phases, and the losses and weights that prove what it did.

    `readings` are of the core's speed, before the first segment or batch and after each; none where it is not read.
    """

    counts: Counts
    latency: clock.Latency
    batches: tuple[clock.Batch, ...]
    readings: tuple[Reading, ...]
    trained: oracle.Trained
    counters: Counters


def run_timed(
    case: Case,
    train: Train,
    device: Device,
    arrays: Any,
    counts: Counts,
    gauge: Gauge | None = None,
    settling: Device | None = None,
) -> Timed:
    """A second, warm loop from the same start, whose length is fixed before it begins and which runs to its end.

    The losses of the first iterations, which are not timed, are read by `settling` if there is such a device.
    """
    problem = case.problem
    loop = train(*[device.put(a, problem.dtype) for a in arrays], problem.learning_rate, counts.steps)
    try:
        settle = clock.time_latency(loop, settling or device, counts.settle)
        before = Counters.read()
        sampling = clock.time_segments(loop, device, counts, gauge)
        counters = Counters.read() - before
        timed, readings = [], sampling.readings
        for _ in range(counts.batches):
            clock.time_latency(loop, device, counts.resettle)
            timed.append(clock.time_batch(loop, device, counts.batch))
            if gauge is not None:
                readings.append(gauge())
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
    from bench.worker import oracle

    if not isinstance(weights, tuple | list) or not weights:
        raise WrongStyleError("returned no weights: end with `return w1, w2`")
    for weight in weights:
        if not hasattr(weight, "shape"):
            raise WrongStyleError(f"returned a {type(weight).__name__} among its weights, expected arrays")
        check_kind(case, device, weight, "returned weights")
    return oracle.Trained(losses, tuple(device.fetch(weight) for weight in weights))


ENDLESS = 10**9


@dataclass(frozen=True, slots=True)
class Cold:
    """The first loop of the process: its data's transfer, the cold call, the warm-up and what the GPU's meters said."""

    transfer_seconds: float
    warm: clock.Latency
    used_mj: int | None
    sm_clock_mhz: int | None

    def values(self) -> dict[str, Value]:
        """Its columns of measurements.csv."""
        elapsed = self.warm.elapsed_ns
        energy_mj, resolution_mj = per_iteration_mj(self.used_mj, sum(elapsed[1:]) / 1e9, len(elapsed) - 1)
        return {
            "transfer_seconds": self.transfer_seconds,
            "first_iteration_seconds": elapsed[0] / 1e9,
            "warmup_iterations": len(elapsed) - 1,
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
        warm = clock.warm_up(loop, device, job.rule, first_done=lambda: readings.append(meters.energy_mj()))
    except StopIteration:
        raise WrongStyleError("stopped before its steps were used up") from None
    before, after = readings[0], meters.energy_mj()
    used_mj = None if before is None or after is None else after - before
    sm_clock_mhz = meters.sm_clock_mhz()
    loop.close()
    return Cold(transfer_seconds, warm, used_mj, sm_clock_mhz)
