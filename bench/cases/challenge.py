"""The challenge: data that no style knows beforehand, and parts of x that change sign between iterations (pure)."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from random import Random
from typing import NamedTuple

from bench.cases.case import Case
from bench.cases.phases import Counts, Stretch

EVERY = 16  # iterations between two flips, about, and one before each stretch and before the first that counts in it
BATCH_EVERY = 48  # the same within a batch, whose time holds what a pause costs the next iteration; and some AGAIN
AGAIN = 1 / 3  # of a batch's flips so many are followed by another one iteration later: it is timed alone then
PROGRAM_EVERY = 32  # the same within a whole program
FEW, OFTEN = 13, 4  # of either kind of pause at least, where there are two, but not before more than one in OFTEN
IMMUTABLE = ("jax",)  # whose arrays cannot be changed in place


class Flip(NamedTuple):
    """Before iteration `step` the entries x[top:bottom, left:right] change sign.

    `twice`: they do so twice, so that x stays as it is and only the pause is the same.
    """

    step: int
    top: int
    bottom: int
    left: int
    right: int
    twice: bool = False

    @property
    def times(self) -> int:
        """How often the entries change sign."""
        return 1 + self.twice

    @property
    def place(self) -> tuple[slice, slice]:
        """As an index of x."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


def data_seed(run_id: str, block: int) -> int:
    """Of the data of a run's block, the same for every style; below 2**32."""
    return int.from_bytes(hashlib.sha256(f"{run_id} {block}".encode()).digest()[:4], "big")


def flips(case: Case, stretch: Stretch, seed: int) -> list[Flip]:
    """Those of a stretch of the timed loop: before its first iteration, before the first that counts, and now and then.

    Now and then within a batch only on the CPU, some in pairs: elsewhere it would have to wait for the device. None
    where x is immutable. Where a style starts several iterations at once, before the first of them alone. See `_drawn`
    for those that come twice.
    """
    every, again = EVERY, 0.0
    if stretch.batch:
        every, again = (BATCH_EVERY, AGAIN) if case.key.on_cpu else (0, 0.0)
    begins = {stretch.first, stretch.first + (stretch.untimed if stretch.timed else 0)}
    steps = range(stretch.first, stretch.first + stretch.count, case.ahead)
    return list(_drawn(case, steps, begins, seed, every, again, twice=not stretch.batch))


def program_flips(case: Case, steps: int, seed: int) -> list[Flip]:
    """Those of a whole program of `steps` iterations."""
    return list(_drawn(case, range(0, steps, case.ahead), {0}, seed, PROGRAM_EVERY, twice=True))


def timed_flips(case: Case, counts: Counts, seeds: list[int]) -> list[Flip]:
    """Those of a whole timed loop, whose stretches were given `seeds`."""
    return [flip for one, seed in zip(counts.stretches, seeds, strict=True) for flip in flips(case, one, seed)]


def changes(drawn: Sequence[Flip]) -> list[Flip]:
    """Those after which x is another."""
    return [flip for flip in drawn if not flip.twice]


def pieces(drawn: Sequence[Flip], first: int, end: int) -> Iterator[tuple[Flip | None, int]]:
    """The iterations from `first` on and before `end`, cut at flips: what flips before each piece, and its length."""
    before = None
    for flip in drawn:
        if first <= flip.step < end:
            if flip.step > first:
                yield before, flip.step - first
            before, first = flip, flip.step
    if end > first:
        yield before, end - first


def piece_lengths(case: Case, stretch: Stretch, seed: int) -> list[int]:
    """Of the pieces of a stretch that count."""
    drawn = flips(case, stretch, seed)
    return [length for _, length in pieces(drawn, stretch.first + stretch.untimed, stretch.first + stretch.count)]


def _drawn(
    case: Case, steps: range, begins: Collection[int], seed: int, every: int, again: float = 0.0, *, twice: bool
) -> Iterator[Flip]:
    """Flips at `begins` and one in `every` of the other steps.

    `twice`: but on one CPU thread, whose iterations are held against all others, as many that change nothing: what
    several cores or a device are like after a pause is then known too. Of few steps, whose iterations are long ones
    to which a pause is little, there are FEW of either kind all the same.
    """
    if case.framework in IMMUTABLE:
        return
    random, size = Random(seed), case.problem.size
    both = twice and not case.one_core
    places = (
        _in_numbers(random, case, steps, begins, every)
        if both
        else _by_chance(random, case, steps, begins, every, again)
    )
    for step, nothing in places:
        yield Flip(step, *_half(random, size.n), *_half(random, size.d_in), nothing)


def _in_numbers(
    random: Random, case: Case, steps: range, begins: Collection[int], every: int
) -> Iterator[tuple[int, bool]]:
    """The steps before which x is to change, and as many with which nothing is."""
    free = [step for step in steps if step not in begins]
    count = min(len(free) // 2, max(len(steps) * case.ahead // every, min(FEW, len(steps) // OFTEN)))
    chosen = random.sample(free, 2 * count)
    changing, nothing = {*begins, *chosen[:count]}, set(chosen[count:])
    for step in steps:
        if step in changing or step in nothing:
            yield step, step in nothing


def _by_chance(
    random: Random, case: Case, steps: range, begins: Collection[int], every: int, again: float
) -> Iterator[tuple[int, bool]]:
    """The steps before which x is to change, each by itself; `again`: more often right after another."""
    last: int | None = None
    for step in steps:
        chance = case.ahead / every if every else 0.0
        chance += again if last == step - case.ahead else 0.0
        if step in begins or (chance and random.random() < chance):
            last = step
            yield step, False


def _half(random: Random, length: int) -> tuple[int, int]:
    """Where a half of a side of `length` begins and ends."""
    half = (length + 1) // 2
    start = random.randrange(length - half + 1)
    return start, start + half
