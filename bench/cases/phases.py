"""How long each phase of a measurement lasts, in iterations and seconds (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, lcm


@dataclass(frozen=True, slots=True)
class Rule:
    """How long each phase lasts: iterations, and seconds on the host's clock.

    `limit_s` caps the latency phase and the throughput phase, each; `floor_iterations` are run whatever
    the cap. `settle_iterations` start the timed loop before its first sample.
    """

    warmup_iterations: int = 100
    warmup_s: float = 0.3
    accelerator_warmup_s: float = 1.0
    warmup_limit_s: float = 3.0
    warmup_floor: int = 3
    settle_iterations: int = 10
    latency_iterations: int = 50
    latency_s: float = 0.2
    latency_most: int = 500
    segment_iterations: int = 5  # samples between two readings of the core's speed, where it is read
    segment_s: float = 0.01
    launches: int = 26  # of a style that starts several iterations at once: x changes before half of them
    batch_iterations: int = 50
    batches: int = 3  # the median of three: one burst of a neighbour cannot move it
    batches_s: float = 0.05  # all of them together
    parts_s: float | None = 0.05  # each part of an iteration that is measured by itself; None: none is
    limit_s: float = 10.0
    floor_iterations: int = 7


@dataclass(frozen=True, slots=True)
class Stretch:
    """Iterations of the timed loop in a row: from `first` on some that are no samples, then some that are.

    These are each timed alone, or as one batch.
    """

    first: int
    untimed: int
    timed: int
    batch: bool = False

    @property
    def count(self) -> int:
        """All its iterations."""
        return self.untimed + self.timed

    @property
    def read(self) -> list[int]:
        """The iterations whose loss is read: of a batch the last, of all others each."""
        each = range(self.first, self.first + (self.untimed if self.batch else self.count))
        return [*each, self.first + self.count - 1] if self.batch else list(each)


@dataclass(frozen=True, slots=True)
class Counts:
    """Iterations of each phase of the timed loop, fixed before it starts so that time cannot choose n."""

    settle: int
    latency: int
    batch: int
    batches: int = 1
    segment: int = 0  # samples between two readings of the core's speed; 0 where it is not read
    resettle: int = 0  # iterations untimed after such a reading

    @property
    def segments(self) -> list[int]:
        """How many samples each stretch between two readings holds."""
        if not self.segment:
            return [self.latency]
        whole, rest = divmod(self.latency, self.segment)
        return [self.segment] * whole + [rest] * (rest > 0)

    @property
    def sampling(self) -> int:
        """Iterations of the latency phase, those untimed after a reading among them."""
        return self.latency + self.resettle * len(self.segments)

    @property
    def stretches(self) -> list[Stretch]:
        """The whole timed loop in order: settling, the segments, the batches."""
        shapes = [(self.settle, 0, False), *((self.resettle, samples, False) for samples in self.segments)]
        shapes += [(self.resettle, self.batch, True)] * self.batches
        found: list[Stretch] = []
        for untimed, timed, batch in shapes:
            found.append(Stretch(found[-1].first + found[-1].count if found else 0, untimed, timed, batch))
        return found

    @property
    def steps(self) -> int:
        """All iterations of the timed loop."""
        return self.settle + self.sampling + (self.resettle + self.batch) * self.batches


def plan_counts(rule: Rule, iteration_ns: float, cycle: int = 1, *, referenced: bool = False, ahead: int = 1) -> Counts:
    """How many iterations to time when one takes about `iteration_ns`.

    Samples are of whole cycles of a style, two at least, and so are a batch and a segment; there are segments where the
    core's speed is `referenced`. Every stretch begins where the style starts iterations, `ahead` of them at once.
    """
    cycle = lcm(cycle, ahead)
    each_s = max(iteration_ns, 1.0) / 1e9
    latency = max(rule.latency_iterations, ceil(rule.latency_s / each_s))
    batch = _cap(rule, max(rule.batch_iterations, ceil(rule.batches_s / rule.batches / each_s)), each_s)
    batch = _whole(batch, cycle)
    segment = _whole(max(rule.segment_iterations, ceil(rule.segment_s / each_s)), cycle)
    launched = rule.launches * ahead if ahead > 1 else 0
    samples = max(_cap(rule, max(min(latency, rule.latency_most), launched), each_s), 2 * cycle)
    return Counts(
        settle=_whole(max(1, min(rule.settle_iterations, int(rule.limit_s / each_s / 5))), ahead),
        latency=_whole(samples, cycle),
        batch=batch,
        batches=rule.batches if rule.batches * batch * each_s <= rule.limit_s / 2 else 1,
        segment=segment if referenced else 0,
        resettle=_whole(max(1, min(rule.settle_iterations, segment // 5)), ahead) if referenced else 0,
    )


def _whole(count: int, of: int) -> int:
    """`count` and as many more as a multiple of `of` needs."""
    return count + -count % of


def _cap(rule: Rule, iterations: int, each_s: float) -> int:
    return max(rule.floor_iterations, min(iterations, int(rule.limit_s / each_s)))


REHEARSAL_STEPS = 50  # at the tutorial's size
AFFORDED_FLOPS = 60e9  # what checking one process may cost, a second or two
TOO_DEAR_FLOPS = 200e9  # an iteration beyond this is too dear for even two of the oracle's


def affordable_steps(flops: float, steps: int) -> int:
    """How many of `steps` iterations of `flops` operations the oracle can follow: all, the first few, or none."""
    if steps * flops <= AFFORDED_FLOPS:
        return steps
    return 0 if flops > TOO_DEAR_FLOPS else min(steps, max(2, int(AFFORDED_FLOPS / flops)))
