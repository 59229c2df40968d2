"""Disturbances planted into the pool, and what runs that are drawn at random say of a false claim."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import fmean

import numpy as np

from bench.checks import Check
from bench.simulation.drift import BLOCKS, DRIFT_SD, Floats, autoregressive
from bench.simulation.worlds import TRUE_RUNS, WORLDS, outcomes
from bench.validation.acceptance import BIAS_POINTS, by_kind, judge_coverage, percent
from bench.validation.comparing import COMPARISONS, judge_comparisons
from bench.validation.experiments import Experiment, block_groups, drawn_copies, share
from bench.validation.pool import Pool
from bench.verdict.claim import SUPPORTED
from bench.verdict.ratios.intervals import paired_ratio

STEP, STEP_ODDS = 0.03, 0.1  # a change of frequency, and how often a turn begins with one
MOST_SLOWED, NEIGHBOUR_ODDS = 0.30, 0.2  # by a neighbour, and in how many turns there is one
OWN, OWN_PERCENTS = "a case that slows its own core by {}%", (2, 4, 8)
FALSE_SPEEDUP, TRUE_SPEEDUP = 49.5, 55.0
DISTURBED_COVERAGE = (0.92, 0.98)
FALSELY = 0.025  # one side of a 95% interval

Random = np.random.Generator
Disturbance = Callable[[Random, tuple[int, int]], Floats]  # factors of time by (block, turn)


def drifting(random: Random, shape: tuple[int, int]) -> Floats:
    """Blocks whose speed drifts slowly: half of it a sine, half a series in which each block remembers the last."""
    sine = DRIFT_SD * math.sqrt(2) * np.sin(2 * math.pi * (np.arange(shape[0]) / shape[0] + random.random()))
    both = DRIFT_SD * autoregressive(random, shape[0]) + sine
    return np.broadcast_to(np.exp(both / math.sqrt(2))[:, None], shape)


def stepping(random: Random, shape: tuple[int, int]) -> Floats:
    """A core that changes between two frequencies at random turns; columns are in the order of their turns."""
    changes = random.random(shape[0] * shape[1]) < STEP_ODDS
    return np.where(np.cumsum(changes) % 2, 1 + STEP, 1.0).reshape(shape)


def slowed(random: Random, shape: tuple[int, int]) -> Floats:
    """A neighbour that slows some turns, each by another amount."""
    return 1 + (random.random(shape) < NEIGHBOUR_ODDS) * MOST_SLOWED * random.random(shape)


DISTURBANCES: dict[str, Disturbance] = {
    f"slow drift between blocks, sd {DRIFT_SD:.1%}": drifting,
    f"steps of {STEP:.0%} in frequency": stepping,
    f"a neighbour that slows turns by up to {MOST_SLOWED:.0%}": slowed,
}


def replayed(pool: Pool, least: int, seed: int) -> list[Experiment]:
    """A/A experiments on the pool with each disturbance planted into it, and with a case that slows its own core.

    What slows the core multiplies times and readings of the reference alike. The readings are taken after a pause
    in which the case does not work, so what a case does to its own core is in its times alone, where it belongs.
    """
    plants = [(kind, slower, 0) for kind, slower in DISTURBANCES.items()]
    plants += [(OWN.format(percent), lambda _random, shape: np.ones(shape), percent) for percent in (0, *OWN_PERCENTS)]
    return [one for plant in plants for one in _replay(pool, least, seed, *plant)]


def _replay(pool: Pool, least: int, seed: int, kind: str, slower: Disturbance, percent: int) -> Iterator[Experiment]:
    """Experiments of one kind; all kinds draw the same blocks and copies, so that they differ by the plant alone."""
    random, plant = np.random.default_rng(seed), np.random.default_rng(seed + 1)
    for number, chosen in block_groups(pool.blocks, BLOCKS, random, math.ceil(least / len(pool.groups))):
        places = np.argsort(np.argsort(pool.turns[chosen], axis=1), axis=1)
        machine = np.take_along_axis(slower(plant, places.shape), places, axis=1)
        drawn = [drawn_copies(pool, group, BLOCKS, random) for group in pool.groups]
        slow_itself = np.ones(places.shape)
        for _baseline, contender in drawn:
            slow_itself[np.arange(BLOCKS), contender] += percent / 100
        part = pool.disturbed(chosen, machine, slow_itself)
        for group, columns in zip(pool.groups, drawn, strict=True):
            before, after = part.medians_us[np.arange(BLOCKS), columns]
            yield Experiment(kind, number, group[1], group[0], 1 / (1 + percent / 100), paired_ratio(before, after))


def judge_disturbed(experiments: Iterable[Experiment]) -> list[Check]:
    """Coverage in each kind of `replayed` experiments; of a case that slows its own core also the bias."""
    kinds = by_kind(experiments)
    kept = {
        kind: judge_coverage(kind, BLOCKS, kinds[kind], "planted", DISTURBED_COVERAGE)
        for kind in (*DISTURBANCES, *map(OWN.format, OWN_PERCENTS))
    }
    for kind in map(OWN.format, OWN_PERCENTS):
        if not kinds[kind]:
            continue
        pairs = zip(kinds[kind], kinds[OWN.format(0)], strict=True)
        points = -100 * fmean(math.log(one.ratio.value / one.truth / calm.ratio.value) for one, calm in pairs)
        check = kept[kind]
        kept[kind] = replace(
            check,
            must_reach=f"{check.must_reach}, bias <= {BIAS_POINTS}",
            got=f"{check.got}, bias {points:+.2f} points",
            met=bool(check.met) and abs(points) <= BIAS_POINTS,
        )
    return list(kept.values())


def judge_claims(outcomes: Mapping[str, tuple[Sequence[str], Sequence[str]]]) -> list[Check]:
    """How often 50x is supported in each world, by name: in runs at FALSE_SPEEDUP, in the note at TRUE_SPEEDUP."""
    checks = []
    for name, (false, true) in outcomes.items():
        got = share([one == SUPPORTED for one in false])
        right = percent(share([one == SUPPORTED for one in true]))
        note = f"simulated; at {TRUE_SPEEDUP:g}x supported in {right}" if false else "not simulated by a quick look"
        title = f"falsely supported at {FALSE_SPEEDUP:g}x: {name}"
        checks.append(
            Check(title, f"<= {FALSELY:.1%}", percent(got), got <= FALSELY if false else None, len(false), note)
        )
    return checks


def disturb(pool: Pool, least: int, seed: int, *, simulate: bool = True) -> tuple[list[Experiment], list[Check]]:
    """What known disturbances of the pool show, comparisons, and where simulated, runs whose truth is known."""
    replays = replayed(pool, least, seed)
    claims: dict[str, tuple[list[str], list[str]]] = {world.name: ([], []) for world in WORLDS}
    if simulate:
        for world in WORLDS:
            runs = ((FALSE_SPEEDUP, world.runs), (TRUE_SPEEDUP, TRUE_RUNS))
            false, true = (outcomes(world, speedup, count, seed) for speedup, count in runs)
            claims[world.name] = false, true
    return replays, [
        *judge_disturbed(replays),
        *judge_comparisons(pool, seed, COMPARISONS if simulate else least // 4),
        *judge_claims(claims),
    ]
