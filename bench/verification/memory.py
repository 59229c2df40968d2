"""What a loop that keeps something made of x shows where x changes: samples right after it, and parts of a batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import inf, sqrt
from statistics import NormalDist, median
from typing import NamedTuple, TypeAlias

from bench.cases.challenge import Flip, piece_lengths
from bench.cases.measurement import Job
from bench.cases.phases import Stretch
from bench.machine.witness import Seen
from bench.timing.loops import Timed

Alone: TypeAlias = tuple[Stretch, Seen]

FEW_FLIPS, FEW_IN_A_PIECE = 8, 8
CHANCE = 1e-3  # that honest samples differ so in one try; three are needed
SLACK_NS = 5_000  # of a sample after what runs between two of them and leaves other things in the caches


@dataclass(frozen=True, slots=True)
class Places:
    """The samples by step, and the middle one of each place of the style's cycle, in ns."""

    samples: Mapping[int, int]
    middle: Sequence[float]

    @classmethod
    def of(cls, samples: Mapping[int, int], cycle: int) -> Places:
        """Of samples by step, two cycles at least."""
        same = [[ns for step, ns in samples.items() if step % cycle == place] for place in range(cycle)]
        return cls(samples, [median(each) for each in same])

    def usual(self, first: int, count: int) -> float:
        """What so many iterations from `first` on take by the middle samples of their places."""
        return sum(self.middle[step % len(self.middle)] for step in range(first, first + count))


def after_flip(places: Places, flipped: Collection[int]) -> float | None:
    """Each sample right after a flip over the middle one of its place in the cycle; the median of these."""
    ratios = [(ns - SLACK_NS) / places.usual(step, 1) for step, ns in places.samples.items() if step in flipped]
    return median(ratios) if len(ratios) >= FEW_FLIPS else None


def over_pause(places: Places, drawn: Sequence[Flip], begins: Collection[int] = ()) -> float | None:
    """The middle sample right after changes over that after other pauses, 1 where chance may have made them differ.

    Each over the middle sample of its place in the cycle; not those where a phase begins, which no chance drew.
    """
    changed, paused = (
        [
            places.samples[flip.step] / places.usual(flip.step, 1)
            for flip in drawn
            if flip.twice is twice and flip.step in places.samples and flip.step not in begins
        ]
        for twice in (False, True)
    )
    if min(len(changed), len(paused)) < FEW_FLIPS:
        return None
    return median(changed) / median(paused) if by_chance(changed, paused) < CHANCE else 1.0


def by_chance(longer: Sequence[float], others: Sequence[float]) -> float:
    """The probability that as many of `others` are as short where both are alike (Mann and Whitney's test, one-sided).

    By the normal approximation, which is corrected for ties and continuity: of 8 and 8 it is on the safe side.
    """
    both = sorted([*longer, *others])
    ends = {value: at for at, value in enumerate(both, 1)}  # the last place of each
    ties = Counter(both)
    mean_rank = {value: end - (ties[value] - 1) / 2 for value, end in ends.items()}
    count, rest, whole = len(longer), len(others), len(both)
    above = sum(mean_rank[value] for value in longer) - count * (count + 1) / 2 - count * rest / 2
    tied = sum(many**3 - many for many in ties.values()) / (whole * (whole - 1))
    spread = sqrt(count * rest / 12 * (whole + 1 - tied))
    return 1 - NormalDist().cdf((above - 1 / 2) / spread) if spread else 1.0


def after_flip_in_batch(pieces: Sequence[Sequence[Piece]]) -> float | None:
    """Each piece of a batch that is one iteration, over the middle one of the longer pieces; the median of these."""
    ratios: list[float] = []
    for found in pieces:
        longer = [one.share for one in found if one.length > 1]
        rest = median(longer) if longer else inf
        ratios += [(one.share - SLACK_NS / one.usual_ns) / rest for one in found if one.length == 1]
    return median(ratios) if len(ratios) >= FEW_FLIPS else None


def lightest_piece(pieces: Sequence[Sequence[Piece]], places: Places) -> float | None:
    """The least of a batch's pieces that are some iterations, over the least sample, each as a share of its place."""
    shares = [one.share for found in pieces for one in found if one.length >= FEW_IN_A_PIECE]
    least = min(ns / places.usual(step, 1) for step, ns in places.samples.items())
    return min(shares) / least if shares else None


class Piece(NamedTuple):
    """Iterations of a batch in a row: how many, what the middle samples of their places add up to, the time over it."""

    length: int
    usual_ns: float
    share: float


def batch_pieces(job: Job, timed: Timed, batches: Sequence[Alone], places: Places) -> Iterator[list[Piece]]:
    """Those of each batch."""
    for (one, seen), batch in zip(batches, timed.batches, strict=True):
        lengths = piece_lengths(job.case, one, seen.seed)
        firsts = accumulate(lengths, initial=one.first + one.untimed)
        usual = [places.usual(first, length) for first, length in zip(firsts, lengths, strict=False)]
        yield [Piece(length, each, ns / each) for length, each, ns in zip(lengths, usual, batch.pieces_ns, strict=True)]
