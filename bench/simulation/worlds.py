"""Whole runs drawn at random, whose true speedup is known, through the functions that read a run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.cases.case import CaseKey
from bench.cases.problem import TUTORIAL_SIZE
from bench.simulation.drift import COUNTS, DRIFT_SD, Floats, autoregressive
from bench.tables.columns import MEASUREMENT_COLUMNS
from bench.tables.run import Run
from bench.verdict.claim import TUTORIAL_CLAIM, find_one, straddling, verdict_on
from bench.verdict.contenders import BEST_GPU
from bench.verdict.evidence import Evidence
from bench.verdict.ratios.intervals import LAG_1, Ratio, paired_ratio
from bench.verdict.ratios.speedup import PRIMARY

PROCESS_SD = 0.015  # of a process's time, in simulated runs
LOOKS = (10, 20, 30)

Random = np.random.Generator


@dataclass(frozen=True, slots=True)
class World:
    """What a simulated run is like: tied contenders, whether the CPU drifts and is read, after which blocks judged."""

    name: str
    runs: int
    contenders: int = 1
    drifts: bool = False
    read: bool = True
    looks: tuple[int, ...] = LOOKS[:1]
    memory: float = LAG_1  # what a block remembers of the last

    @property
    def alone(self) -> bool:
        """Whether one contender is judged once: then the interval of the one ratio is all that a run says."""
        return self.contenders == 1 and len(self.looks) == 1


ALONE_RUNS = 10_000  # a true share of 2% is then missed by chance in 1 of 1,000; of 400 runs in 1 of 5
LONG_MEMORY = 0.8
WORLDS = (
    *(World(f"the CPU drifts, K = {k}", ALONE_RUNS, drifts=True, looks=(k,)) for k in COUNTS),
    *(
        World(f"it drifts with more memory, K = {k}", ALONE_RUNS, drifts=True, memory=LONG_MEMORY, looks=(k,))
        for k in COUNTS
    ),
    *(
        World(f"it drifts and nobody reads it, K = {k}", ALONE_RUNS, drifts=True, read=False, looks=(k,))
        for k in COUNTS
    ),
    World("8 tied contenders", 200, contenders=8),
    World("--decide, 8 tied contenders, the CPU drifts", 300, contenders=8, drifts=True, looks=LOOKS),
    World("all that, and nobody reads it", 300, contenders=8, drifts=True, read=False, looks=LOOKS),
)
TRUE_RUNS = 40


def outcomes(world: World, true_speedup: float, runs: int, seed: int) -> list[str]:
    """What `find_one` says of runs whose best contender truly is so much faster than the best CPU."""
    random, rows = np.random.default_rng(seed), blank_rows(world)
    if world.alone:
        drawn_runs = (draw_times(world, true_speedup, random) for _ in range(runs))
        return [verdict_on(ratio_alone(*one), TUTORIAL_CLAIM.threshold).outcome for one in drawn_runs]
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
    """`rows` with times, see `draw_times`."""
    times, reference = draw_times(world, true_speedup, random)
    return rows.assign(
        latency_median_us=times.ravel(),
        reference_us=reference.ravel(),
        latency_per_reference=(times / reference).ravel(),
    )


def ratio_alone(times: Floats, reference: Floats) -> Ratio:
    """What a run of one CPU case and one contender says of their ratio; of `draw_times`."""
    return paired_ratio(times[:, 0], times[:, 1], drift=np.log(reference[:, 0]))


def draw_times(world: World, true_speedup: float, random: Random) -> tuple[Floats, Floats]:
    """us of processes and of the reference, (blocks, cases) each: processes scatter, a drifting CPU slows both."""
    blocks = world.looks[-1]
    usual_us = np.array([300.0, *[300 / true_speedup] * world.contenders])
    times = usual_us * np.exp(PROCESS_SD * random.standard_normal((blocks, len(usual_us))))
    drift = DRIFT_SD * autoregressive(random, blocks, world.memory) if world.drifts else np.zeros(blocks)
    speed = np.exp(drift)
    times[:, 0] *= speed
    reference = np.full(times.shape, math.nan)
    reference[:, 0] = 40 * speed if world.read else math.nan
    return times, reference


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
