"""Disturbances planted into the pool, and whole runs drawn at random, through the functions that read a run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd

from bench.cases.case import CaseKey
from bench.cases.problem import TUTORIAL_SIZE
from bench.tables.columns import MEASUREMENT_COLUMNS
from bench.tables.run import Run
from bench.validation.acceptance import BIAS_POINTS, Check, by_kind, judge_coverage, percent
from bench.validation.experiments import (
    BLOCKS,
    COUNTS,
    DRIFT_SD,
    Experiment,
    autoregressive,
    block_groups,
    drawn_copies,
    share,
)
from bench.validation.pool import Floats, Pool
from bench.verdict.claim import SUPPORTED, TUTORIAL_CLAIM, find_one, straddling
from bench.verdict.evidence import BEST_GPU, Evidence
from bench.verdict.intervals import paired_ratio
from bench.verdict.speedup import PRIMARY

STEP, STEP_ODDS = 0.03, 0.1  # a change of frequency, and how often a turn begins with one
MOST_SLOWED, NEIGHBOUR_ODDS = 0.30, 0.2  # by a neighbour, and in how many turns there is one
OWN_PERCENTS = (2, 4, 8)
PROCESS_SD = 0.015  # of a process's time, in simulated runs
FALSE_SPEEDUP, TRUE_SPEEDUP = 49.5, 55.0
LOOKS = (10, 20, 30)
DISTURBED_COVERAGE = (0.92, 0.98)
FALSELY = 0.025  # one side of a 95% interval

Random = np.random.Generator


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


DISTURBANCES: dict[str, Callable[[Random, tuple[int, int]], Floats]] = {
    f"slow drift between blocks, sd {DRIFT_SD:.1%}": drifting,
    f"steps of {STEP:.0%} in frequency": stepping,
    f"a neighbour that slows turns by up to {MOST_SLOWED:.0%}": slowed,
}


def own_kind(percent: int) -> str:
    """The kind of an experiment on a case that slows its own core."""
    return f"a case that slows its own core by {percent}%"


def replayed(pool: Pool, least: int, seed: int) -> list[Experiment]:
    """A/A experiments on the pool with each disturbance planted into it, and with a case that slows its own core.

    What slows the core multiplies times and readings of the reference alike. The readings are taken after a pause
    in which the case does not work, so what a case does to its own core is in its times alone, where it belongs.
    """
    found: list[Experiment] = []
    for kind, slower in DISTURBANCES.items():
        found += _replay(pool, kind, least, seed, slower, 0)
    for slower_by in (0, *OWN_PERCENTS):
        found += _replay(pool, own_kind(slower_by), least, seed, lambda _random, shape: np.ones(shape), slower_by)
    return found


def _replay(
    pool: Pool, kind: str, least: int, seed: int, slower: Callable[[Random, tuple[int, int]], Floats], percent: int = 0
) -> Iterator[Experiment]:
    """Experiments of one kind; all kinds draw the same blocks and copies, so that they differ by the plant alone."""
    random, plant = np.random.default_rng(seed), np.random.default_rng(seed + 1)
    made = 0
    for number, chosen in block_groups(pool.blocks, BLOCKS, random):
        if made >= least:
            return
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
            made += 1


@dataclass(frozen=True, slots=True)
class World:
    """What a simulated run is like: tied contenders, whether the CPU drifts and is read, after which blocks judged."""

    name: str
    runs: int
    contenders: int = 1
    drifts: bool = False
    read: bool = True
    looks: tuple[int, ...] = LOOKS[:1]


WORLDS = (
    *(World(f"the CPU drifts, K = {k}", 400, drifts=True, looks=(k,)) for k in COUNTS),
    *(World(f"it drifts and nobody reads it, K = {k}", 400, drifts=True, read=False, looks=(k,)) for k in COUNTS),
    World("8 tied contenders", 200, contenders=8),
    World("--decide, 8 tied contenders, the CPU drifts", 300, contenders=8, drifts=True, looks=LOOKS),
    World("all that, and nobody reads it", 300, contenders=8, drifts=True, read=False, looks=LOOKS),
)
TRUE_RUNS = 40


def outcomes(world: World, true_speedup: float, runs: int, seed: int) -> list[str]:
    """What `find_one` says of runs whose best contender truly is so much faster than the best CPU."""
    random, rows = np.random.default_rng(seed), blank_rows(world)
    return [outcome(drawn(rows, world, true_speedup, random), world.looks) for _ in range(runs)]


def blank_rows(world: World) -> pd.DataFrame:
    """measurements.csv of a run before anything was timed: one CPU case, so many contenders, blocks for every look."""
    cases = [("numpy_in_place", "cpu"), *((f"contender_{i}", "cuda:0") for i in range(world.contenders))]
    usual = dict(oracle="sgd", framework="numpy", dtype="float32", precision="ieee", threads=1, status="ok", reason="",
                 noisy=False, environment="clean", **TUTORIAL_SIZE._asdict())  # fmt: skip
    rows: list[dict[str, Any]] = [
        {**usual, "block": block, "style": style, "device": device}
        for block in range(world.looks[-1])
        for style, device in cases
    ]
    return pd.DataFrame(rows, columns=list(MEASUREMENT_COLUMNS))


def drawn(rows: pd.DataFrame, world: World, true_speedup: float, random: Random) -> pd.DataFrame:
    """`rows` with times: processes scatter, and a drifting CPU slows its case and the reference alike."""
    blocks = world.looks[-1]
    usual_us = np.array([300.0, *[300 / true_speedup] * world.contenders])
    times = usual_us * np.exp(PROCESS_SD * random.standard_normal((blocks, len(usual_us))))
    speed = np.exp(DRIFT_SD * autoregressive(random, blocks)) if world.drifts else np.ones(blocks)
    times[:, 0] *= speed
    reference = np.full(times.shape, math.nan)
    reference[:, 0] = 40 * speed if world.read else math.nan
    return rows.assign(
        latency_median_us=times.ravel(),
        reference_us=reference.ravel(),
        latency_per_reference=(times / reference).ravel(),
    )


def outcome(rows: pd.DataFrame, looks: tuple[int, ...]) -> str:
    """The verdict after the last look; as in a run, more blocks only of cases that are not decided yet."""
    machine = {"run_id": "simulated", "plan": {"looks": list(looks)}}
    kept, done = rows[rows["block"] < looks[0]], looks[0]
    for look in (*looks[1:], None):
        evidence = Evidence.of(Run(Path(), kept, machine))
        still_open = straddling(evidence, TUTORIAL_CLAIM.threshold)
        if look is None or not still_open:
            break
        more = rows[(rows["block"] >= done) & (rows["block"] < look)]
        of_open = [CaseKey.of(key) in still_open for key in more[list(CaseKey._fields)].itertuples(index=False)]
        kept, done = pd.concat([kept, more[of_open]]), look
    return find_one(evidence, TUTORIAL_CLAIM, TUTORIAL_SIZE, PRIMARY, BEST_GPU, "iteration").verdict.outcome


def judge_disturbed(experiments: Iterable[Experiment]) -> list[Check]:
    """Coverage under each planted disturbance; of a case that slows its own core also the bias, against the same draws.

    `experiments` are those of `simulated.replayed`.
    """
    kinds = by_kind(experiments)
    checks = [judge_coverage(kind, BLOCKS, kinds.get(kind, []), "planted", DISTURBED_COVERAGE) for kind in DISTURBANCES]
    calm = kinds.get(own_kind(0), [])
    for slower in OWN_PERCENTS:
        found = kinds.get(own_kind(slower), [])
        check = judge_coverage(own_kind(slower), BLOCKS, found, "planted", DISTURBED_COVERAGE)
        if found:
            off = [
                math.log(one.ratio.value / one.truth / other.ratio.value)
                for one, other in zip(found, calm, strict=True)
            ]
            points = -100 * fmean(off)
            met, got = bool(check.met) and abs(points) <= BIAS_POINTS, f"{check.got}, bias {points:+.2f} points"
            check = Check(check.experiment, f"{check.must_reach}, bias <= {BIAS_POINTS}", got, met, check.n, check.note)
        checks.append(check)
    return checks


def judge_claims(outcomes: Mapping[str, tuple[Sequence[str], Sequence[str]]]) -> list[Check]:
    """How often 50x is supported where it is false; the note says how often where it is true.

    `outcomes` are by the name of a world, of runs at FALSE_SPEEDUP and at TRUE_SPEEDUP.
    """
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
    """What known disturbances of the pool show, and where they are to be simulated, runs whose truth is known."""
    replays = replayed(pool, least, seed)
    claims: dict[str, tuple[list[str], list[str]]] = {world.name: ([], []) for world in WORLDS}
    if simulate:
        for world in WORLDS:
            runs = ((FALSE_SPEEDUP, world.runs), (TRUE_SPEEDUP, TRUE_RUNS))
            false, true = (outcomes(world, speedup, count, seed) for speedup, count in runs)
            claims[world.name] = false, true
    return replays, [*judge_disturbed(replays), *judge_claims(claims)]
