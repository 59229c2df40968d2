"""What the samples of one process say against each other: work that is not in the iteration that it belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from bench.cases.challenge import IMMUTABLE, changes, timed_flips
from bench.cases.measurement import Job
from bench.cases.phases import Stretch
from bench.machine.witness import Record, Seen
from bench.timing.loops import Timed
from bench.timing.noise import by_cycle
from bench.verification.memory import (
    Alone,
    Places,
    after_flip,
    after_flip_in_batch,
    batch_pieces,
    lightest_piece,
    over_pause,
)
from bench.verification.outside import granted_s

STRETCH_S = 2e-4  # for the witness's two words of a stretch
FEW_SAMPLES, FEW_CHUNKS = 20, 4
CHUNK = 25  # samples in a row: of a short iteration less than a neighbour's turn on the core
LUMPY_BATCH = 2.0  # the mean of a batch; an honest one reached 1.59 twice, on two cores at a load of 5
STARVED = 0.8  # of its core's time: who had less comes back to cold caches again and again, and may be as lumpy as that
LIGHTEST = 0.5  # of the least sample, a part of a batch; beside other work an honest one reached 0.65
KEEPS = "as long right after x changed: it keeps what it made of x before"
PAUSED = "as long right after x changed as after a pause in which it did not: it keeps what it made of x before"


@dataclass(frozen=True, slots=True)
class Limits:
    """Of the ratios: samples in a row, a batch where nobody reads a loss, an iteration right after x changed.

    `fastest`: the batch over the fastest samples in a row, for a core that was slow in most of them and not in it.
    """

    lumpy: float
    light: float
    remembers: float
    over_pause: float
    fastest: bool = False


# On a machine whose host was busy honest rows reached 1.33, 0.86 and 1.21 (results/honest), and one of quick's 0.73
DOUBTFUL = Limits(1.3, 0.85, 1.25, 1.4)
IMPOSSIBLE = Limits(2.0, 0.6, 1.75, 1.5, fastest=True)


@dataclass(frozen=True, slots=True)
class Shape:
    """Ratios to the middle sample that are about 1 where each iteration does its own work; None where little is known.

    `lump` is the mean of samples in a row, by the clock or by CPU time if that is less, the median of these; `batch`
    the same of the middle batch, `fastest` the middle one of the fastest samples in a row. `after_flip` is the middle
    sample of those right after x changed, over samples of the same place in the style's cycle, `after_flip_in_batch`
    the same of iterations of a batch that were timed alone there, over the others of their batch. `lightest` is the
    least of a batch's pieces over the least sample: on a core that others take too one of them had it for itself.
    `over_pause`, of several threads and accelerators: the middle sample right after x changed over that after as many
    pauses in which it did not, 1 where chance may have made them differ. Which is which was drawn by chance, so that
    whatever else such a machine does comes to both alike; what is left is the data: a mask that no processor has seen
    made honest numpy styles 1.29 times as long. `at_work` is the share of the time that the process had a
    core.
    """

    middle_us: float
    lump: float | None = None
    batch: float | None = None
    after_flip: float | None = None
    after_flip_in_batch: float | None = None
    at_work: float = 1.0
    fastest: float = 1.0
    lightest: float | None = None
    over_pause: float | None = None

    @classmethod
    def of(cls, job: Job, timed: Timed, record: Record) -> Shape:
        """Of several threads, one of which waits for a core and keeps the others at work, and accelerators: little."""
        cycles = by_cycle(timed.elapsed_ns, job.style.period)
        middle_us = median(cycles) / 1e3
        if len(timed.elapsed_ns) < FEW_SAMPLES * job.style.ahead:
            return cls(middle_us)
        pairs = list(zip(timed.counts.stretches, record.seen, strict=True))
        drawn = timed_flips(job.case, timed.counts, [seen.seed for seen in record.seen])
        flipped = {flip.step for flip in changes(drawn)}
        alone = [pair for pair in pairs if pair[0].timed and not pair[0].batch]
        batches = [(one, seen) for one, seen in pairs if one.batch]
        steps = (step for one, _ in alone for step in range(one.first + one.untimed, one.first + one.count))
        places = Places.of(dict(zip(steps, timed.elapsed_ns, strict=True)), job.style.period)
        pieces = list(batch_pieces(job, timed, batches, places))
        if not job.case.one_core:
            at_once = job.case.key.on_cpu and job.case.framework not in IMMUTABLE  # else a batch is enqueued
            begins = {one.first + one.untimed for one, _ in alone}
            lightest = lightest_piece(pieces, places) if at_once else None
            return cls(middle_us, lightest=lightest, over_pause=over_pause(places, drawn, begins))
        at_work, outside_s = _at_work(record.seen), granted_s(job, timed, record)
        each_us = [median(one.mean_us for one in timed.batches)]
        if at_work >= STARVED:  # else its witness may have heard late that samples begin, and counted too little
            each_us += _cpu_us(batches, outside_s)
        return cls(
            middle_us,
            _lump(timed, alone, outside_s, middle_us),
            min(each_us) / middle_us if timed.counts.batch >= FEW_SAMPLES else None,
            after_flip(places, flipped),
            after_flip_in_batch(pieces),
            at_work,
            _fastest(cycles) / 1e3 / middle_us,
            lightest_piece(pieces, places),
        )

    def faults(self, limits: Limits = IMPOSSIBLE) -> Iterator[str]:
        """What no honest loop does, in words; what an honest one may do on a busy machine by DOUBTFUL limits."""
        middle = f"{self.middle_us:.1f} us in the middle"
        lumpy = limits.lumpy if self.at_work >= STARVED else max(limits.lumpy, LUMPY_BATCH)
        if self.lump is not None and self.lump >= lumpy:
            mean = f"{self.lump * self.middle_us:.1f} us in the mean"
            yield f"an iteration takes {middle} and {mean}: its work is not in the iteration that it belongs to"
        if self.batch is not None and self.batch <= limits.light * (self.fastest if limits.fastest else 1.0):
            yield (
                f"an iteration takes {middle} and {self.batch * self.middle_us:.1f} us in a batch, where nobody reads "
                "its loss: the work there is another"
            )
        if limits.fastest and self.lightest is not None and self.lightest <= LIGHTEST:
            yield (
                f"an iteration takes {self.lightest:.2f} times its least in a part of a batch, where nobody reads its "
                "loss: the work there is another"
            )
        if self.after_flip is not None and self.after_flip >= limits.remembers:
            yield f"an iteration takes {middle} and {self.after_flip:.2f} times {KEEPS}"
        if self.over_pause is not None and self.over_pause >= limits.over_pause:
            yield f"an iteration takes {middle} and {self.over_pause:.2f} times {PAUSED}"
        if self.after_flip_in_batch is not None and self.after_flip_in_batch >= limits.remembers:
            yield f"in a batch an iteration takes {self.after_flip_in_batch:.2f} times {KEEPS}"


def _fastest(samples: Sequence[float]) -> float:
    """The middle one of those CHUNK in a row where it is least, of all where they are fewer."""
    starts = range(0, max(1, len(samples) - CHUNK + 1), CHUNK)
    return median(min((samples[at : at + CHUNK] for at in starts), key=median))


def _at_work(seen: Sequence[Seen]) -> float:
    passed = [one.counted_s for one in seen if one.counted_s is not None]
    return sum(cpu_s for _, cpu_s in passed) / sum(wall_s for wall_s, _ in passed) if passed else 1.0


def _lump(timed: Timed, alone: Sequence[Alone], outside_s: Mapping[Stretch, float], middle_us: float) -> float | None:
    """The mean of CHUNK samples in a row, the median of these, or of stretches by CPU time if that is less."""
    ns = timed.elapsed_ns
    chunks = [fmean(ns[at : at + CHUNK]) for at in range(0, len(ns) - CHUNK + 1, CHUNK)]
    if len(chunks) < FEW_CHUNKS:
        return None
    means_us = [
        (seen.counted_s[1] - STRETCH_S / 2 - outside_s[one]) * 1e6 / one.timed
        for one, seen in alone
        if seen.counted_s is not None
    ]
    return min([median(chunks) / 1e3, *([median(means_us)] if means_us else [])]) / middle_us


def _cpu_us(batches: Sequence[Alone], outside_s: Mapping[Stretch, float]) -> list[float]:
    """CPU time of an iteration in all batches, if the system tells it."""
    counted = [seen.counted_s[1] for _, seen in batches if seen.counted_s is not None]
    if len(counted) < len(batches):
        return []
    more_s = sum(STRETCH_S / 2 + outside_s[one] for one, _ in batches)
    return [(sum(counted) - more_s) * 1e6 / sum(one.timed for one, _ in batches)]
