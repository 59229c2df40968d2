"""Judges what was found out about the harness against what it must reach (pure)."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean, median

import numpy as np

from bench.checks import Check
from bench.simulation.drift import BLOCKS, COUNTS
from bench.validation.experiments import (
    BOOTSTRAP,
    COVERAGE_DRAWS,
    IDENTICAL,
    PERCENTS,
    SEQUENTIAL,
    TWINS,
    UNLIKE,
    UNPLANTED,
    Experiment,
    Truths,
    held,
    identical,
    share,
    unlike,
)
from bench.validation.inside import SLOW_FIRST_S
from bench.validation.pool import Pool, SlowFirst
from bench.verdict.ratios.intervals import paired_ratio

COVERAGE = (0.93, 0.97)
LEAST_EXPERIMENTS = 200
CONTROL = 0.80
POWER = dict(zip(PERCENTS, (0.99, 0.95, 0.50), strict=True))  # percent slower -> share that must find it
BIAS_POINTS, UNSURE_POINTS = 0.2, 0.6
HALF_WIDTH = 0.01
SLOW_FIRST_LIMIT, SLOW_FIRST_BLOCKS = 0.01, 3


def judge(pool: Pool, experiments: Iterable[Experiment], truths: Truths) -> list[Check]:
    """The lines of the acceptance table that are about intervals, one a promise."""
    of = by_kind(experiments)
    in_drift = f"unpaired, Welch; with nothing planted {percent(held(of[UNPLANTED]))}"
    work = {name: slower for slower in POWER if (name := f"work-{slower}") in truths}
    return [
        *(judge_pool("A/A coverage of the 95% interval", pool, k, of[IDENTICAL.format(k)]) for k in COUNTS),
        judge_twins(of[TWINS]),
        *(
            judge_pool("coverage of a ratio of unlike styles", pool, k, of[UNLIKE.format(k)], noisy_words(pool, k))
            for k in COUNTS
        ),
        judge_control(BOOTSTRAP, of[BOOTSTRAP], "every two of the copies kept, in each block"),
        judge_control(SEQUENTIAL, of[SEQUENTIAL], in_drift),
        *(judge_power(f"calculated {p}%", p, of[f"calculated {p}%"], "real medians multiplied") for p in POWER),
        *(judge_power(kind, p, of[kind], truth_words(of[kind])) for kind, p in work.items()),
        *(judge_bias(name, {name: ratios}, pool) for name, ratios in truths.items()),
        *([judge_bias("all of these together", truths, pool)] if len(truths) > 1 else []),
        judge_half_width(pool, [one for one in of[IDENTICAL.format(BLOCKS)] if one.baseline in pool.copies]),
    ]


def judge_pool(what: str, pool: Pool, blocks: int, found: Sequence[Experiment], more: str = "") -> Check:
    """Coverage in experiments of so many blocks; untested where the pool is too small for them."""
    if pool.blocks < least_blocks(blocks) or not found:
        few = f"{pool.blocks} whole blocks, takes {least_blocks(blocks)} of at least two styles; see --resume"
        return judge_coverage(what, blocks, [], few)
    return judge_coverage(what, blocks, found, f"from one pool of {pool.blocks} blocks, all styles: they overlap{more}")


def noisy_words(pool: Pool, blocks: int) -> str:
    """What coverage of unlike styles would be if noisy processes were part of what they truly differ by."""
    if not pool.noisy.any():
        return ""
    all_alike = unlike(replace(pool, noisy=pool.noisy & False), LEAST_EXPERIMENTS * COVERAGE_DRAWS, 0, blocks)
    return f"; {percent(held(all_alike))} against a mean that holds noisy processes"


def least_blocks(blocks: int) -> int:
    """The pool that experiments of so many blocks take: of fewer, chance decides whether coverage is in its band.

    Simulated pools of 12 blocks whose true coverage is 95% lie in 93-97% in 80% of cases with K = 3, in 93% with
    K = 5 and in 100% with K = 10; of 20 blocks in 95%, 99%, 100%.
    """
    return max(blocks + 2, 60 // blocks)


def by_kind(experiments: Iterable[Experiment]) -> Mapping[str, list[Experiment]]:
    """Experiments by their kind, in order; nothing of a kind that is not there."""
    kinds = defaultdict[str, list[Experiment]](list)
    for one in experiments:
        kinds[one.kind].append(one)
    return kinds


def judge_coverage(
    what: str, blocks: int, found: Sequence[Experiment], note: str, band: tuple[float, float] = COVERAGE
) -> Check:
    """How often an interval holds the truth."""
    got = held(found)
    must = f"{band[0]:.0%} to {band[1]:.0%}, n >= {LEAST_EXPERIMENTS}"
    met = band[0] <= got <= band[1] if len(found) >= LEAST_EXPERIMENTS else None
    return Check(f"{what}, K = {blocks}", must, percent(got), met, len(found), note)


def judge_twins(found: Sequence[Experiment]) -> Check:
    """Over the whole pool no copy may be faster than another: something else than the case would decide."""
    name, must = "copies of a case agree over the whole pool", "every interval holds 1 (Bonferroni)"
    known = [one for one in found if math.isfinite(one.half_width)]
    if not known:
        return Check(name, must, "", None, 0, "takes at least 2 blocks")
    worst = max(known, key=lambda one: abs(math.log(one.ratio.value)) / one.half_width)
    got = f"{sum(one.holds for one in known)} of {len(known)}"
    note = f"the least sure: {worst.baseline} over {worst.contender}, {worst.ratio.value - 1:+.2%} +- "
    return Check(name, must, got, all(one.holds for one in known), len(known), f"{note}{worst.half_width:.2%}")


def judge_control(kind: str, found: Sequence[Experiment], note: str) -> Check:
    """A wrong way of making intervals: it must be seen to fail, or the coverage above proves nothing."""
    got = held(found)
    met = got < CONTROL if found else None
    return Check(f"negative control: {kind}", f"< {CONTROL:.0%}", percent(got), met, len(found), note)


def judge_power(kind: str, slower: int, found: Sequence[Experiment], how: str) -> Check:
    """How often a planted slowdown is found."""
    got = share([one.found_slower for one in found])
    met = got >= POWER[slower] if found else None
    return Check(f"slowdown found: {kind}", f">= {POWER[slower]:.0%}", percent(got), met, len(found), how)


def truth_words(found: Sequence[Experiment]) -> str:
    """`real work in the loop, truly 5.20%`."""
    true = [100 * (1 / one.truth - 1) for one in found]
    return f"real work in the loop, truly {fmean(true):.2f}%" if true else "no experiment"


def judge_bias(name: str, truths: Truths, pool: Pool) -> Check:
    """What plants cost between processes, less what the same processes say of them, in points; mean over plants.

    Between processes the copies' noise is in it: of 25 quiet blocks +- 0.35 points (95%) a plant. So a bias is
    found where the whole interval lies beyond the limit, and where the interval is wide nothing is found out.
    """
    title, must = f"bias: {name}", f"<= {BIAS_POINTS} points, as far as the 95% interval can tell"
    logs = np.log(pool.medians_us)
    copies = logs[:, pool.columns(pool.copies)].mean(axis=1)
    shared = sorted(set.intersection(*(set(ratios) for ratios in truths.values())))
    if len(shared) < 2:
        return Check(title, must, "", None, 0, "takes at least 2 blocks")
    beyond = [
        [logs[block, pool.labels.index(plant)] - copies[block] - math.log(ratios[block]) for block in shared]
        for plant, ratios in truths.items()
    ]
    bias = paired_ratio(np.exp(np.mean(beyond, axis=0)).tolist(), [1.0] * len(shared))
    points, unsure = 100 * math.log(bias.value), 50 * math.log(bias.high / bias.low)
    true = fmean(100 * (ratios[block] - 1) for ratios in truths.values() for block in shared)
    within = abs(points) - unsure <= BIAS_POINTS
    hidden = within and unsure > UNSURE_POINTS
    note = f"{'too noisy; ' if hidden else ''}truly {true:.2f}%, in the same processes"
    met = None if hidden else within
    return Check(title, must, f"{points:+.2f} +- {unsure:.2f} points", met, len(shared), note)


def judge_half_width(pool: Pool, found: Sequence[Experiment]) -> Check:
    """How sharp an interval is; and how sharp it would be if nobody had read the core's speed."""
    name, must = f"half-width of a speedup, K = {BLOCKS} (median)", f"<= {HALF_WIDTH:.0%}"
    widths = [one.half_width for one in found if math.isfinite(one.half_width)]
    if not widths:
        return Check(name, must, "", None, 0, "no experiment")
    unread = replace(pool, groups=pool.groups[:1], medians_us=pool.wall_us)
    wall = median(one.half_width for one in identical(unread, LEAST_EXPERIMENTS, 0))
    note = f"of the same processes as timed, the core's speed not taken out: {wall:.2%}"
    return Check(name, must, f"{median(widths):.2%}", median(widths) <= HALF_WIDTH, len(widths), note)


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
    met: bool | None = was_slow and same and abs(ratio.value - 1) <= SLOW_FIRST_LIMIT
    if was_slow and same and not met and ratio.low - 1 <= SLOW_FIRST_LIMIT and ratio.high - 1 >= -SLOW_FIRST_LIMIT:
        met, note = None, f"too noisy; {note}"
    return Check(name, must, got, met, len(slow.slow_us), note)


def percent(value: float) -> str:
    """`94.1%`; nothing of NaN."""
    return "" if math.isnan(value) else f"{value:.1%}"
