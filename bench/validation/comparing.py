"""Comparisons of two runs of the same code, their processes drawn from the pool: false calls, and a plant found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.cases.case import CaseKey
from bench.cases.problem import TUTORIAL_SIZE
from bench.checks import Check
from bench.simulation.drift import BLOCKS, Floats
from bench.validation.acceptance import percent
from bench.validation.experiments import share
from bench.validation.pool import Pool
from bench.verdict.comparison import MARGIN, Compared, judged
from bench.verdict.ratios.intervals import welch_p, welch_ratio

CASES, COMPARISONS = 40, 2000  # a true share of 5% is then known to +- 1 point
SLOWER_PERCENT = 5
FALSE_CALLS, FOUND = 0.05, 0.95
LEAST_BLOCKS = 5  # and so many quiet processes of each style to find a plant in

Random = np.random.Generator


def judge_comparisons(pool: Pool, seed: int, comparisons: int = COMPARISONS) -> list[Check]:
    """How often any of CASES equal cases is called, and how often one that is slower by SLOWER_PERCENT is found."""
    names = f"a false call in compare, {CASES} equal cases", f"found by compare: {SLOWER_PERCENT}% in one of {CASES}"
    must = f"<= {FALSE_CALLS:.0%} of comparisons", f">= {FOUND:.0%}"
    if pool.blocks < LEAST_BLOCKS:
        few = f"{pool.blocks} whole blocks; takes {LEAST_BLOCKS}"
        return [Check(name, one, "", None, 0, few) for name, one in zip(names, must, strict=True)]
    random = np.random.default_rng(seed)
    false = share([bool(called(drawn(pool, random))) for _ in range(comparisons)])
    note = f"processes drawn from the pool with replacement, K = {BLOCKS}, by time per reference; {halves_words(pool)}"
    calls = Check(names[0], must[0], percent(false), false <= FALSE_CALLS, comparisons, note)
    return [calls, judge_found(names[1], must[1], pool, random, comparisons)]


def judge_found(name: str, must: str, pool: Pool, random: Random, comparisons: int) -> Check:
    """How often the plant is found in quiet processes, untested where these are few; the note says how often in all."""

    def found(*, quiet: bool) -> float:
        slower = 1 + SLOWER_PERCENT / 100
        return share([drawn(pool, random, slower, quiet=quiet)[0].outcome == "slower" for _ in range(comparisons)])

    quiet_ones = min((~pool.noisy[:, pool.columns(group)]).sum() for group in pool.groups)
    power = found(quiet=True) if quiet_ones >= LEAST_BLOCKS else None
    of_all = f"from all ({percent(pool.noisy.mean())} did not): {percent(found(quiet=False))}"
    if power is None:
        few = f"of a style {quiet_ones} processes passed the noise gates, takes {LEAST_BLOCKS}; {of_all}"
        return Check(name, must, "", None, 0, few)
    note = f"drawn from processes that passed the noise gates; {of_all}"
    return Check(name, must, percent(power), power >= FOUND, comparisons, note)


def drawn(pool: Pool, random: Random, planted: float = 1.0, *, quiet: bool = False) -> tuple[Compared, ...]:
    """Two runs of CASES equal cases; the first of them takes `planted` times as long in the second run.

    A case has a style of the pool, and its processes on both sides are drawn from all of that style's, or from the
    quiet ones: how small a difference can be found is a question of the noise, and a call must be right in any.
    """
    sides = []
    for number in range(CASES):
        columns = pool.columns(pool.groups[int(random.integers(len(pool.groups)))])
        there = ~pool.noisy[:, columns] if quiet else np.full((pool.blocks, len(columns)), True)
        a, b = random.choice(by_reference(pool)[:, columns][there], (2, BLOCKS))
        sides.append((a, b * planted if number == 0 else b))
    return compared(sides)


def by_reference(pool: Pool) -> Floats:
    """What `compare` goes by: times over the reference product, where nobody read it the times, (blocks, labels)."""
    return np.where(np.isfinite(pool.per_reference), pool.per_reference, pool.wall_us)


def compared(sides: Sequence[tuple[Floats, Floats]]) -> tuple[Compared, ...]:
    """What `compare` says of cases whose times in both runs are known, (processes,) each."""
    case = CaseKey("", "cpu", "float32", "ieee", 1, *TUTORIAL_SIZE)
    cases = [
        Compared(
            case._replace(style=str(number)), 1.0, 1.0, len(a), len(b), welch_ratio(a, b), welch_p(a, b), True, False
        )
        for number, (a, b) in enumerate(sides)
    ]  # fmt: skip
    return judged(cases, MARGIN)


def called(found: Sequence[Compared]) -> int:
    """How many cases are said to differ."""
    return sum(one.outcome in ("faster", "slower") for one in found)


def halves_words(pool: Pool) -> str:
    """The first half of the pool against the second, which shows what changed meanwhile: calls of all copies."""
    columns = [place for group in pool.groups for place in pool.columns(group)]

    def calls(times: Floats) -> int:
        middle = len(times) // 2
        return called(compared([(times[:middle, place], times[middle:, place]) for place in columns]))

    counts = calls(by_reference(pool)), calls(pool.wall_us)
    return (
        f"of {len(columns)} copies in the pool's first half against its second {counts[0]} called, as timed {counts[1]}"
    )
