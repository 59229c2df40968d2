"""Experiments of the harness on itself, drawn from a pool of measurements, and what share of them is right (pure)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from bench.verdict.intervals import Ratio, paired_ratio, welch_ratio

Floats: TypeAlias = NDArray[np.float64]
BLOCKS = 10  # K, as a run measures by default
RESAMPLES = 400
IDENTICAL, SEQUENTIAL, BOOTSTRAP = "A/A", "all of A, then all of B", "bootstrap over iterations"


@dataclass(frozen=True, slots=True)
class Pool:
    """Median latencies in us and noise flags, (blocks, labels) each, and the turn in which each was taken.

    `medians_us` are at one speed of the core in each block, as a run compares them; `wall_us` as timed.
    The first `copies` labels are one and the same case; the others are that case with a planted effect.
    """

    labels: tuple[str, ...]
    copies: int
    medians_us: Floats
    wall_us: Floats
    noisy: NDArray[np.bool_]
    turns: NDArray[np.int64]

    @property
    def blocks(self) -> int:
        """How many."""
        return len(self.medians_us)

    def column(self, label: str) -> int:
        """Where a label's medians are."""
        return self.labels.index(label)


@dataclass(frozen=True, slots=True)
class Draw:
    """Which blocks and which two labels an experiment is made of; `number` counts the groups of blocks."""

    number: int
    blocks: tuple[int, ...]
    baseline: str
    contender: str


@dataclass(frozen=True, slots=True)
class Experiment:
    """The speedup that two labels had in some blocks, and the `truth` that its interval should hold."""

    kind: str
    draw: Draw
    truth: float
    ratio: Ratio

    @property
    def holds(self) -> bool:
        """Whether the truth lies inside the interval; an interval that is not known holds nothing."""
        return self.ratio.low <= self.truth <= self.ratio.high

    @property
    def found_slower(self) -> bool:
        """Whether the contender was found slower: the interval lies below 1."""
        return self.ratio.high < 1

    @property
    def slowdown_points(self) -> float:
        """How much slower the contender was found, in percent of the baseline's time."""
        return 100 * (1 / self.ratio.value - 1)

    @property
    def half_width(self) -> float:
        """Half the interval over the ratio."""
        return (self.ratio.high - self.ratio.low) / 2 / self.ratio.value


def share(found: Sequence[bool]) -> float:
    """Of the experiments; NaN of none."""
    return sum(found) / len(found) if found else math.nan


def draws(pool: Pool, pairs: Sequence[tuple[str, str]], least: int, seed: int, blocks: int = BLOCKS) -> Iterator[Draw]:
    """At least `least` draws: each round shuffles the blocks, cuts them into groups, and takes every pair in each.

    Groups of one round share no block; rounds repeat until there are enough, so draws of several rounds overlap.
    None where the pool has fewer than `blocks` blocks.
    """
    if pool.blocks < blocks or not pairs:
        return
    shuffled = np.random.default_rng(seed)
    made = number = 0
    while made < least:
        order = shuffled.permutation(pool.blocks)
        for start in range(0, pool.blocks - blocks + 1, blocks):
            group = tuple(int(block) for block in order[start : start + blocks])
            yield from (Draw(number, group, baseline, contender) for baseline, contender in pairs)
            made += len(pairs)
            number += 1


def copy_pairs(pool: Pool) -> list[tuple[str, str]]:
    """Every two copies."""
    return list(combinations(pool.labels[: pool.copies], 2))


def plant_pairs(pool: Pool, plant: str) -> list[tuple[str, str]]:
    """Every copy against a plant."""
    return [(copy, plant) for copy in pool.labels[: pool.copies]]


def by_the_wall(pool: Pool) -> Pool:
    """The same processes with the times that the wall's clock showed."""
    return replace(pool, medians_us=pool.wall_us)


def experiment(pool: Pool, draw: Draw, kind: str, truth: float, factor: float = 1.0) -> Experiment:
    """What a run of these blocks reports, noisy pairs and all; the contender takes `factor` times as long."""
    before, after = (
        pool.medians_us[list(draw.blocks), pool.column(label)] for label in (draw.baseline, draw.contender)
    )
    return Experiment(kind, draw, truth, paired_ratio(before.tolist(), (after * factor).tolist()))


def identical(pool: Pool, least: int, seed: int, slower: float = 0.0) -> list[Experiment]:
    """A/A experiments, or with `slower` the same with real medians multiplied by 1 + slower: a calculated plant."""
    kind = IDENTICAL if slower == 0 else f"calculated {slower:.0%}"
    drawn = draws(pool, copy_pairs(pool), least, seed)
    return [experiment(pool, draw, kind, 1 / (1 + slower), 1 + slower) for draw in drawn]


def planted(pool: Pool, plant: str, slower: float, least: int, seed: int) -> list[Experiment]:
    """Copies against a case that really takes `slower` times as long, which was measured in another way."""
    truth = 1 / slower
    drawn = draws(pool, plant_pairs(pool, plant), least, seed)
    return [experiment(pool, draw, plant, truth) for draw in drawn]


def sequential(pool: Pool, blocks: int = BLOCKS) -> list[Experiment]:
    """Negative control: 10 copies in a row as A, the next 10 as B, Welch's interval over process medians.

    Copies are alike, so a row of them is what a run of A alone would have measured at that time. One experiment
    starts at every turn, so neighbours share most of their processes. Times as the wall's clock has them: whoever
    measures this way reads no other.
    """
    times = pool.wall_us[:, : pool.copies].ravel()
    times = times[np.argsort(pool.turns[:, : pool.copies].ravel(), kind="stable")]
    found = []
    for start in range(len(times) - 2 * blocks + 1):
        before, after = times[start : start + blocks], times[start + blocks : start + 2 * blocks]
        ratio = welch_ratio(before.tolist(), after.tolist())
        found.append(Experiment(SEQUENTIAL, Draw(start, (), "A", "B"), 1.0, ratio))
    return found


def bootstrapped(samples: Mapping[tuple[int, str], Floats], seed: int) -> list[Experiment]:
    """Negative control: percentile-bootstrap intervals over the iterations of one process a side.

    `samples` are the timed iterations in us by (block, copy); every two copies of a block are one experiment.
    """
    random = np.random.default_rng(seed)
    medians = {key: log_medians(one, random) for key, one in samples.items()}
    found = []
    for (block, baseline), (other, contender) in combinations(sorted(samples), 2):
        if block != other:
            continue
        spread = medians[block, baseline] - medians[block, contender]
        low, high = np.exp(np.quantile(spread, (0.025, 0.975)))
        value = float(np.median(samples[block, baseline]) / np.median(samples[block, contender]))
        draw = Draw(block, (block,), baseline, contender)
        found.append(Experiment(BOOTSTRAP, draw, 1.0, Ratio(value, float(low), float(high), 1)))
    return found


def log_medians(samples: Floats, random: np.random.Generator, resamples: int = RESAMPLES) -> Floats:
    """Logarithms of the medians of `resamples` resamples with replacement, (resamples,)."""
    chosen = random.integers(0, len(samples), (resamples, len(samples)))
    return np.asarray(np.log(np.median(samples[chosen], axis=1)))


def plant_estimate(pool: Pool, plant: str) -> Ratio:
    """Slowdown of a plant over all blocks, contender over baseline: the copies' geometric mean."""
    copies = np.exp(np.log(pool.medians_us[:, : pool.copies]).mean(axis=1))
    return paired_ratio(pool.medians_us[:, pool.column(plant)].tolist(), copies.tolist())
