"""Pools with a known truth, and folders of them, for the tests of the validation."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np

from bench.cases.case import Case
from bench.cases.measurement import Measurement
from bench.cases.problem import Problem
from bench.plain import to_plain
from bench.tables.csv_files import append_as, write_as
from bench.validation.inside import SLOW_FIRST
from bench.validation.peers.agreement import (
    CLOCK,
    PEDANTIC,
    PYPERF,
    SCRIPT,
    SCRIPT_FAULTS,
    SCRIPT_LOOP,
    SUITE,
    TIMEIT,
    TOOLS,
    TORCH,
    UNTIMED,
    Tool,
)
from bench.validation.pool import TRUTHS, Pool, Truth, append_measurement, at_usual_speed, copies_of
from bench.validation.session import draft

TRULY = 1 + 5.3 / 265
GOOD_TOOLS = {
    name: Tool(name, value, "", 9)
    for name, value in (
        (CLOCK, 0.07), (UNTIMED, 0.1), (PEDANTIC, 2.0), (TIMEIT, 1.001), (TORCH, 0.999), (PYPERF, 1.01), (SUITE, 0.97),
        (SCRIPT, 1.02), (SCRIPT_LOOP, 0.98), (SCRIPT_FAULTS, 0.1),
    )
}  # fmt: skip


def make_pool(
    blocks=60, copies=(6,), sd=0.01, drift=0.0, plants=(), heavy=False, outliers=0.0, seed=1, referenced=False
):
    """Medians around 265 us with known truth: process noise, a random walk over turns, plants of so many us.

    The copies of each further style take 100 us more. `referenced` cores have a speed of their own in each turn.
    """
    random = np.random.default_rng(seed)
    groups = tuple(copies_of(f"style_{index}", count) for index, count in enumerate(copies))
    labels = (*(label for group in groups for label in group), *(name for name, _ in plants))
    shape = (blocks, len(labels))
    turns = np.array([block * len(labels) + random.permutation(len(labels)) for block in range(blocks)])
    noise = random.standard_t(3, shape) / 3**0.5 if heavy else random.standard_normal(shape)
    walk = drift * np.cumsum(random.standard_normal(blocks))
    usual_us = np.full(len(labels), 265.0)
    for index, group in enumerate(groups):
        usual_us[[labels.index(label) for label in group]] += 100 * index
    for name, cost_us in plants:
        usual_us[labels.index(name)] += cost_us
    medians = usual_us * np.exp(walk[:, None] + sd * noise)
    noisy = random.random(shape) < outliers
    medians[noisy] *= 1.3
    speed = np.exp(0.03 * random.standard_normal(shape)) if referenced else np.full(shape, np.nan)
    wall = medians * speed if referenced else medians
    times = wall, 40 * speed, medians / 40 * speed / speed
    return Pool(labels, groups, *times, turns, at_usual_speed(*times), noisy)


def measured(label, block, order, median=265.0, status="ok"):
    """A process of the pool."""
    case = Case(style=label, device="cpu", problem=Problem())
    values = {"latency_median_us": median, "first_iteration_seconds": 2.5, "iterations": 500.0}
    return Measurement(case, block, order, status, values=values, timed_us=[median, median + 1])


def write_folder(folder, blocks=30, *, quick=True):
    """The folder of a validation whose pool has a plant of 2%; gives its design."""
    design = replace(draft(quick=quick, minutes=None, seed=0), plants={"work-2": 4}, blocks=blocks)
    folder.mkdir()
    (folder / "machine.json").write_text(json.dumps({"run_id": "r", "validation": to_plain(design)}))
    pool = make_pool(blocks, (sum(design.copies.values()),), 0.004, plants=(("work-2", 5.3),))
    for block in range(blocks):
        for label, median, turn in zip(design.labels, pool.medians_us[block], pool.turns[block], strict=True):
            append_measurement(folder, measured(label, block, int(turn), float(median)), folder)
    append_measurement(folder, measured(SLOW_FIRST, 0, 999), folder)
    write_as(folder / TOOLS, Tool, GOOD_TOOLS.values())
    append_as(folder / TRUTHS, Truth, [Truth(block, "work-2", 265.0, 40.0, TRULY) for block in range(blocks)])
    return design
