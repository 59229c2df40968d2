"""Experiments of the harness on itself, drawn from a pool of measurements, and what share of them is right (pure)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations, product
from typing import Any

import numpy as np

from bench.simulation.drift import BLOCKS, COUNTS, DRIFT_SD, Floats, autoregressive
from bench.validation.pool import Group, Places, Pool
from bench.verdict.ratios.intervals import Ratio, corrected, paired_ratio, welch_ratio

IDENTICAL, UNLIKE = "A/A, K = {}", "unlike styles, K = {}"  # kinds of experiments, by their number of blocks
COVERAGE_DRAWS = 10  # A/A experiments for each of another kind
PERCENTS = (5, 2, 1)  # slower
RESAMPLES = 400
SEQUENTIAL, BOOTSTRAP, TWINS = "all of A, then all of B, in a drift", "bootstrap over iterations", "twins"
UNPLANTED, DRIFTS = "all of A, then all of B, as measured", 8
EXPERIMENT_COLUMNS = (
    "kind", "group", "baseline", "contender", "blocks", "truth", "speedup", "low", "high", "holds", "found_slower",
)  # fmt: skip
Truths = Mapping[str, Mapping[int, float]]  # by plant and place of the block in the pool


@dataclass(frozen=True, slots=True)
class Experiment:
    """The speedup that two sides had in the blocks of a `group`, and the `truth` that its interval should hold."""

    kind: str
    group: int
    baseline: str
    contender: str
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
    def half_width(self) -> float:
        """Half the interval over the ratio."""
        return (self.ratio.high - self.ratio.low) / 2 / self.ratio.value


def share(found: Sequence[bool]) -> float:
    """Of the experiments; NaN of none."""
    return sum(found) / len(found) if found else math.nan


def held(found: Iterable[Experiment]) -> float:
    """What share of the intervals holds the truth."""
    return share([one.holds for one in found])


def run_experiments(
    pool: Pool, samples: Mapping[tuple[int, str], Floats], truths: Truths, least: int, seed: int
) -> list[Experiment]:
    """Every experiment that the pool is enough for, at least `least` of each kind and many times that of A/A."""
    found = twins(pool)
    for blocks in COUNTS:
        for kind in (identical, unlike):
            found += kind(pool, least * COVERAGE_DRAWS, seed, blocks)
    for percent in PERCENTS:
        found += calculated(pool, percent, least, seed)
    for plant, ratios in truths.items():
        found += planted(pool, plant, ratios, least, seed)
    return [*found, *bootstrapped(samples, seed), *sequential(pool), *sequential_in_drift(pool, seed)]


def block_groups(of: int, blocks: int, random: np.random.Generator, count: int) -> Iterator[tuple[int, Places]]:
    """`count` groups of `blocks` blocks of `of`, if there are so many: those of a round share none, rounds overlap."""
    for number in range(count if of >= blocks else 0):
        place = number % (of // blocks)
        if place == 0:
            order = random.permutation(of)
        yield number, order[place * blocks : (place + 1) * blocks]


def drawn_copies(pool: Pool, group: Group, blocks: int, random: np.random.Generator) -> Places:
    """Columns of two copies of a group, drawn anew in each block: (2, blocks)."""
    return np.array([random.choice(pool.columns(group), 2, replace=False) for _ in range(blocks)]).T


def identical(pool: Pool, least: int, seed: int, blocks: int = BLOCKS) -> list[Experiment]:
    """A/A experiments on every group of copies in turn.

    Which copy is called A is tossed in each block. With the same two copies in all blocks a pool of 23 blocks of
    3 + 2 + 2 + 2 copies whose true coverage is 95% shows 95 +- 2.7% (one standard deviation, simulated), drawn so
    +- 0.5%. Whether a copy differs from its twins for good is another question, see `twins`.
    """
    random, found = np.random.default_rng(seed), []
    for number, chosen in block_groups(pool.blocks, blocks, random, math.ceil(least / len(pool.groups))):
        for group in pool.groups:
            ratio = paired_ratio(*pool.medians_us[chosen, drawn_copies(pool, group, blocks, random)])
            found.append(Experiment(IDENTICAL.format(blocks), number, group[0], group[1], 1.0, ratio))
    return found


def twins(pool: Pool) -> list[Experiment]:
    """Every two copies of a style over all blocks, with intervals that are all to hold 1 together (Bonferroni)."""
    pairs = [pair for group in pool.groups for pair in combinations(group, 2)]
    confidence = corrected(max(1, len(pairs)))
    return [
        Experiment(TWINS, 0, one, other, 1.0, paired_ratio(pool.of(one), pool.of(other), confidence))
        for one, other in pairs
    ]


def unlike(pool: Pool, least: int, seed: int, blocks: int = BLOCKS) -> list[Experiment]:
    """Two copies of different styles, against their ratio over the whole pool, as far as its processes are quiet.

    A noisy process was disturbed, also when tried again: its minimum is as ever, its median may be a quarter higher.
    That is in the experiments, as in a run, but it is no part of what two styles truly differ by: of 18 blocks two such
    processes decide the mean, and the half of the experiments that draw neither are all held against it.
    The ratio holds the experiment's own blocks too, so the interval is narrowed by sqrt(1 - K / N) of quiet blocks
    (finite population): of normal noise the narrowed one holds it in just 95%.
    """
    pairs = [pair for groups in combinations(pool.groups, 2) for pair in product(*groups)]
    if pool.blocks <= blocks or not pairs:
        return []
    quiet = {pair: pool.noisy[:, pool.columns(pair)].sum(axis=1) == 0 for pair in pairs}
    quiet = {pair: good if good.sum() > blocks else np.ones_like(good) for pair, good in quiet.items()}
    truths = {(a, b): paired_ratio(pool.of(a)[good], pool.of(b)[good]).value for (a, b), good in quiet.items()}
    random, found = np.random.default_rng(seed), []
    for number, chosen in block_groups(pool.blocks, blocks, random, math.ceil(least / len(pairs))):
        for (one, other), truth in truths.items():
            ratio = paired_ratio(pool.of(one)[chosen], pool.of(other)[chosen])
            ratio = narrowed(ratio, math.sqrt(1 - quiet[one, other][chosen].mean() * blocks / quiet[one, other].sum()))
            found.append(Experiment(UNLIKE.format(blocks), number, one, other, truth, ratio))
    return found


def narrowed(ratio: Ratio, factor: float) -> Ratio:
    """The same ratio with an interval `factor` times as wide, in logarithms."""
    low, high = (ratio.value * (bound / ratio.value) ** factor for bound in (ratio.low, ratio.high))
    return replace(ratio, low=low, high=high)


def calculated(pool: Pool, percent: float, least: int, seed: int) -> list[Experiment]:
    """A/A experiments on the style that carries plants, real medians multiplied: the contender takes longer."""
    slower = 1 + percent / 100
    alike = identical(replace(pool, groups=(pool.copies,)), least, seed)
    kind, truth = f"calculated {percent:g}%", 1 / slower
    return [replace(one, kind=kind, truth=truth, ratio=times(one.ratio, truth)) for one in alike]


def times(ratio: Ratio, factor: float) -> Ratio:
    """A ratio and its interval, multiplied."""
    return replace(ratio, value=ratio.value * factor, low=ratio.low * factor, high=ratio.high * factor)


def planted(pool: Pool, plant: str, truths: Mapping[int, float], least: int, seed: int) -> list[Experiment]:
    """A copy, drawn in each block, against a case that takes longer, by its own process's ratio where that is known."""
    random, known, found = np.random.default_rng(seed), np.array(sorted(truths), np.int64), []
    for number, places in block_groups(len(known), BLOCKS, random, least):
        chosen = known[places]
        before, _other = pool.medians_us[chosen, drawn_copies(pool, pool.copies, BLOCKS, random)]
        truth = math.exp(-float(np.mean([math.log(truths[int(block)]) for block in chosen])))
        ratio = paired_ratio(before, pool.of(plant)[chosen])
        found.append(Experiment(plant, number, pool.copies[0], plant, truth, ratio))
    return found


def sequential(pool: Pool, slower: Floats | float = 1.0, kind: str = UNPLANTED) -> list[Experiment]:
    """Negative control: 10 copies in a row as A, the next 10 as B, Welch's interval over process medians.

    Copies are alike, so a row of them is what a run of A alone would have measured at that time. One experiment
    starts at every turn, so neighbours share most of their processes. Times as the wall's clock has them: whoever
    measures this way reads no other. Each block is `slower` by a factor, (blocks,).
    """
    columns = pool.columns(pool.copies)
    wall_us = (pool.wall_us.T * slower).T
    times = wall_us[:, columns].ravel()[np.argsort(pool.turns[:, columns].ravel(), kind="stable")]
    found = []
    for start in range(len(times) - 2 * BLOCKS + 1):
        before, after = np.split(times[start : start + 2 * BLOCKS], 2)
        found.append(Experiment(kind, start, "A", "B", 1.0, welch_ratio(before, after)))
    return found


def sequential_in_drift(pool: Pool, seed: int) -> list[Experiment]:
    """The same while the machine drifts between blocks: a control that fails on a steady machine too."""
    random = np.random.default_rng(seed)
    drifts = (np.exp(DRIFT_SD * autoregressive(random, pool.blocks)) for _ in range(DRIFTS))
    return [one for slower in drifts for one in sequential(pool, slower, SEQUENTIAL)]


def bootstrapped(samples: Mapping[tuple[int, str], Floats], seed: int) -> list[Experiment]:
    """Negative control: percentile-bootstrap intervals over the iterations of one process a side.

    `samples` are the timed iterations in us by (block, copy); every two copies of a block are one experiment.
    """
    random, medians, found = np.random.default_rng(seed), {}, []
    for key, times in samples.items():
        resampled = times[random.integers(0, len(times), (RESAMPLES, len(times)))]
        medians[key] = np.log(np.median(resampled, axis=1))
    for (block, baseline), (other, contender) in combinations(sorted(samples), 2):
        if block != other:
            continue
        low, high = np.exp(np.quantile(medians[block, baseline] - medians[block, contender], (0.025, 0.975)))
        value = float(np.median(samples[block, baseline]) / np.median(samples[block, contender]))
        ratio = Ratio(value, float(low), float(high), 1)
        found.append(Experiment(BOOTSTRAP, block, baseline, contender, 1.0, ratio))
    return found


def experiment_row(one: Experiment) -> dict[str, Any]:
    """One row of experiments.csv."""
    ratio = one.ratio
    numbers = {"truth": one.truth, "speedup": ratio.value, "low": ratio.low, "high": ratio.high}
    flags = {"blocks": ratio.blocks, "holds": one.holds, "found_slower": one.found_slower}
    return {**asdict(one), **flags, **{name: f"{value:.6f}" for name, value in numbers.items()}}
