"""What the samples are worth once the core's clock is taken out of them (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench.gate import Timed
from bench.measurement import Value
from bench.noise import by_cycle
from bench.reference import beside


@dataclass(frozen=True, slots=True)
class Steady:
    """The timed loop over the reference product beside it: what is left is not the core's clock, unitless.

    `usual_us` is the median reading of the reference.
    """

    usual_us: float
    cycles: list[float]
    batch: float

    @classmethod
    def of(cls, timed: Timed, timed_us: Sequence[float], cycle: int) -> Steady | None:
        """From the samples in us and the readings between them; None where there are none."""
        if not timed.readings_us:
            return None
        references = beside(timed.readings_us)
        segments = timed.counts.segments
        each = [us for us, samples in zip(references, segments, strict=False) for _ in range(samples)]
        samples = [sample / us for sample, us in zip(timed_us, each, strict=True)]
        batches = [one.mean_us / us for one, us in zip(timed.batches, references[len(segments) :], strict=True)]
        return cls(median(timed.readings_us), by_cycle(samples, cycle), median(batches))

    def values(self) -> dict[str, Value]:
        """Its columns of measurements.csv."""
        return {
            "reference_us": self.usual_us,
            "latency_per_reference": median(self.cycles),
            "throughput_per_reference": self.batch,
        }
