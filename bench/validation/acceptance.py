"""Judges what was found out about the harness against what it must reach (pure)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

import numpy as np

from bench.validation.experiments import (
    BLOCKS,
    BOOTSTRAP,
    IDENTICAL,
    SEQUENTIAL,
    Experiment,
    Floats,
    Pool,
    bootstrapped,
    by_the_wall,
    identical,
    plant_estimate,
    planted,
    sequential,
    share,
)
from bench.validation.kills import Killed
from bench.validation.plants import SLOW_FIRST_S, spin_label
from bench.validation.pool import SlowFirst
from bench.validation.tools import CLOCK, PEDANTIC, PYPERF, TIMEIT, TORCH, UNTIMED, Tool
from bench.verdict.intervals import Ratio, paired_ratio

COVERAGE = (0.93, 0.97)
LEAST_EXPERIMENTS = 200
COVERAGE_DRAWS = 10  # A/A experiments for each of another kind
CONTROL = 0.80
POWER = {5: 0.99, 2: 0.95, 1: 0.50}  # percent slower -> share that must find it
BIAS_POINTS = 0.2
HALF_WIDTH = 0.01
CLOCK_US, UNTIMED_US = 0.1, 0.4
AGREEMENT = {TIMEIT: 0.005, TORCH: 0.005, PYPERF: 0.02}
SLOW_FIRST_LIMIT = 0.01
SLOW_FIRST_BLOCKS = 3
LEAST_KILLS = 100


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the acceptance table; `met` is None where nothing could be tested, and the note says why."""

    experiment: str
    must_reach: str
    got: str
    met: bool | None
    n: int
    note: str = ""

    def row(self) -> dict[str, Any]:
        """One row of acceptance.csv."""
        met = "untested" if self.met is None else "yes" if self.met else "no"
        return {
            "experiment": self.experiment,
            "must_reach": self.must_reach,
            "got": self.got,
            "met": met,
            "n": self.n,
            "note": self.note,
        }


def run_experiments(
    pool: Pool, samples: Mapping[tuple[int, str], Floats], plants: Mapping[str, Ratio], least: int, seed: int
) -> list[Experiment]:
    """Every experiment that the pool is enough for, at least `least` of each kind and many times that of A/A.

    `plants` holds how many times as long an iteration takes with each plant.

    Simulated pools of 45 blocks x 8 copies, whose true coverage is 95%, show 95% with a standard deviation of
    1.7 points from 400 A/A draws and 1.1 from 4,000; the rest is the pool's own. With 15 x 4 it is 5.5 points.
    """
    found = identical(pool, least * COVERAGE_DRAWS, seed)
    for percent in POWER:
        found += identical(pool, least, seed, percent / 100)
    for percent in POWER:
        plant = spin_label(percent)
        if plant in plants and plant in pool.labels:
            found += planted(pool, plant, plants[plant].value, least, seed)
    return [*found, *bootstrapped(samples, seed), *sequential(pool)]


def judge(
    pool: Pool,
    experiments: Iterable[Experiment],
    tools: Mapping[str, Tool],
    plants: Mapping[str, Ratio],
    slow: SlowFirst,
) -> list[Check]:
    """The acceptance table, one line a promise."""
    by_kind: dict[str, list[Experiment]] = {}
    for one in experiments:
        by_kind.setdefault(one.kind, []).append(one)
    overlap = f"drawn from one pool of {pool.blocks} blocks x {pool.copies} copies: they overlap"
    if pool.blocks < BLOCKS:
        overlap = f"only {pool.blocks} whole blocks, an experiment takes {BLOCKS}; see --resume"
    real = [(percent, spin_label(percent)) for percent in POWER if spin_label(percent) in pool.labels]
    return [
        judge_coverage(by_kind.get(IDENTICAL, []), overlap),
        judge_control(BOOTSTRAP, by_kind.get(BOOTSTRAP, []), "every two of the copies kept, in each block"),
        judge_control(SEQUENTIAL, by_kind.get(SEQUENTIAL, []), "unpaired, Welch; windows overlap"),
        *(judge_power(f"calculated {p}%", p, by_kind.get(f"calculated {p}%", []), overlap) for p in POWER),
        *(judge_power(name, percent, by_kind.get(name, []), overlap) for percent, name in real),
        *(judge_bias(pool, percent, by_kind.get(name, []), plants.get(name)) for percent, name in real),
        judge_half_width(by_kind.get(IDENTICAL, []), identical(by_the_wall(pool), LEAST_EXPERIMENTS, 0)),
        judge_at_most("cost of the clock: a no-op sample", tools.get(CLOCK), CLOCK_US),
        judge_at_most("untimed between samples", tools.get(UNTIMED), UNTIMED_US, _pedantic(tools.get(PEDANTIC))),
        *(judge_agreement(name, tools.get(name), limit) for name, limit in AGREEMENT.items()),
        judge_slow_first(slow),
    ]


def judge_coverage(found: Sequence[Experiment], note: str) -> Check:
    """How often the interval of two copies holds 1."""
    got = share([one.holds for one in found])
    must = f"{COVERAGE[0]:.0%} to {COVERAGE[1]:.0%}, n >= {LEAST_EXPERIMENTS}"
    met = COVERAGE[0] <= got <= COVERAGE[1] and len(found) >= LEAST_EXPERIMENTS if found else None
    return Check(f"A/A coverage of the 95% interval, K = {BLOCKS}", must, _percent(got), met, len(found), note)


def judge_control(kind: str, found: Sequence[Experiment], note: str) -> Check:
    """A wrong way of making intervals: it must be seen to fail, or the coverage above proves nothing."""
    got = share([one.holds for one in found])
    met = got < CONTROL if found else None
    return Check(f"negative control: {kind}", f"< {CONTROL:.0%}", _percent(got), met, len(found), note)


def judge_power(kind: str, percent: int, found: Sequence[Experiment], note: str) -> Check:
    """How often a planted slowdown is found."""
    got = share([one.found_slower for one in found])
    real = kind == spin_label(percent)
    how = "real spin in the loop" if real else "real medians multiplied"
    truth = f"truly {100 * (1 / found[0].truth - 1):.2f}%; " if real and found else ""
    met = got >= POWER[percent] if found else None
    name = f"slowdown of {percent}% found, {how}"
    return Check(name, f">= {POWER[percent]:.0%}", _percent(got), met, len(found), truth + note)


def judge_bias(pool: Pool, percent: int, found: Sequence[Experiment], plant: Ratio | None) -> Check:
    """Slowdown found between processes, less the slowdown within one process beside the same blocks, in points."""
    name, must = f"bias of a real spin of {percent}%", f"<= {BIAS_POINTS} points"
    values = [one.slowdown_points for one in found if math.isfinite(one.ratio.value)]
    if not values or plant is None:
        return Check(name, must, "", None, 0, "no experiment")
    bias = fmean(values) - 100 * (plant.value - 1)
    both = [plant_estimate(pool, spin_label(percent)), plant]
    unsure = math.hypot(*(50 * (one.high - one.low) for one in both))
    note = f"95% interval from {pool.blocks} blocks and {plant.blocks} processes: +- {unsure:.2f} points"
    return Check(name, must, f"{bias:+.2f} points", abs(bias) <= BIAS_POINTS, len(values), note)


def judge_half_width(found: Sequence[Experiment], as_timed: Sequence[Experiment]) -> Check:
    """How sharp an interval is; beside it, how sharp it would be if nobody had read the core's speed."""
    name, must = f"half-width of a speedup, K = {BLOCKS} (median)", f"<= {HALF_WIDTH:.0%}"
    widths, wall = ([one.half_width for one in each if math.isfinite(one.half_width)] for each in (found, as_timed))
    if not widths or not wall:
        return Check(name, must, "", None, 0, "no experiment")
    note = f"of the same processes as timed, the core's speed not taken out: {median(wall):.2%}"
    return Check(name, must, f"{median(widths):.2%}", median(widths) <= HALF_WIDTH, len(widths), note)


def judge_at_most(name: str, tool: Tool | None, limit: float, note: str = "") -> Check:
    """A cost in us."""
    must = f"<= {limit:g} us"
    if tool is None or tool.value is None:
        return Check(name, must, "", None, 0, tool.note if tool else "not measured")
    return Check(name, must, f"{tool.value:.3f} us", tool.value <= limit, tool.n, note)


def _pedantic(tool: Tool | None) -> str:
    if tool is None or tool.value is None:
        return f"pytest-benchmark pedantic: {tool.note if tool else 'not measured'}"
    return f"pytest-benchmark pedantic: {tool.value:.2f} us"


def judge_agreement(name: str, tool: Tool | None, limit: float) -> Check:
    """The same loop by another tool, over ours."""
    title, must = f"same quantity by {name}", f"within {limit:.1%}"
    if tool is None or tool.value is None:
        return Check(title, must, "", None, 0, tool.note if tool else "not measured")
    error = tool.value - 1
    return Check(title, must, f"{error:+.2%}", abs(error) <= limit, tool.n, "theirs over ours, in turns")


def judge_slow_first(slow: SlowFirst) -> Check:
    """A first call of seconds must change neither the number of iterations nor their time."""
    name = f"a {SLOW_FIRST_S:g} s first call changes nothing"
    must = f"as many iterations, time within {SLOW_FIRST_LIMIT:.0%}"
    if len(slow.slow_us) < SLOW_FIRST_BLOCKS:
        return Check(name, must, "", None, len(slow.slow_us), f"takes at least {SLOW_FIRST_BLOCKS} blocks")
    ratio = paired_ratio(slow.slow_us, slow.copies_us)
    same = abs(float(np.mean(slow.slow_iterations)) / float(np.mean(slow.copies_iterations)) - 1) <= SLOW_FIRST_LIMIT
    was_slow = min(slow.first_s) >= SLOW_FIRST_S
    got = f"{'as many' if same else 'other numbers of'} iterations, {ratio.value - 1:+.2%}"
    note = f"95% interval {ratio.low - 1:+.2%} to {ratio.high - 1:+.2%}"
    if not was_slow:
        note = f"the first call took only {min(slow.first_s):.2f} s: the plant failed"
    met = was_slow and same and abs(ratio.value - 1) <= SLOW_FIRST_LIMIT
    return Check(name, must, got, met, len(slow.slow_us), note)


def judge_kills(killed: Killed | None) -> Check:
    """No row of a run that is killed and resumed may be lost or doubled."""
    name, must = "SIGKILL at random moments, then --resume", f"no row lost, none doubled, n >= {LEAST_KILLS}"
    if killed is None:
        return Check(name, must, "", None, 0, "not tried; see --kills")
    lost = killed.lost + killed.gone
    got = f"{lost} lost, {killed.doubled} doubled, {killed.incomplete} incomplete of {killed.turns} turns"
    whole = killed.turns > 0 and killed.lost == killed.gone == killed.doubled == killed.incomplete == 0
    return Check(name, must, got, whole and killed.kills >= LEAST_KILLS, killed.kills, "real runs, real signals")


def _percent(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.1%}"
