"""The smallest size from which a contender reaches a speedup, interpolated between measured sizes (pure)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from bench.cases.presets import scaled
from bench.cases.problem import Problem, Size
from bench.verdict.ratios.intervals import Ratio
from bench.verdict.ratios.joined import averaged
from bench.verdict.ratios.speedup import Speedup

Floats: TypeAlias = NDArray[np.float64]
TARGETS = (1.0, 10.0, 50.0)
STEPS = 64  # places between two sizes where the band is held against the target
DISAGREEMENT = 1.5  # the band is this many times the disagreement of curve, line and spline
ROUGHNESS = 0.15  # of what no measured size shows: see `_between`
NEAREST, FARTHEST = 1.25, 2.0  # of the sizes to measure next, from the estimate, as a factor of FLOP
TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Point:
    """A measured size: FLOP an iteration and the speedup there, its interval NaN where unknown."""

    flops: float
    ratio: Ratio


@dataclass(frozen=True, slots=True)
class Crossover:
    """The FLOP an iteration from which a contender reaches `target`, with an interval.

    `flops` None: not reached up to `largest`, and perhaps from `low` on where that is not None. Else `low` None: the
    interval is open towards smaller sizes, `high` None: towards larger ones. `already`: reached at `smallest` and
    perhaps below it.
    """

    contender: str
    baseline: str
    target: float
    flops: float | None
    low: float | None
    high: float | None
    smallest: float
    largest: float
    already: bool = False
    noisy: bool = False


def crossover(
    contender: str, baseline: str, target: float, found: Sequence[Speedup], flops: Sequence[int]
) -> Crossover:
    """Where `found`, one speedup a size with `flops` operations an iteration, first reaches `target`.

    The first place counts, also where the speedup falls below the target again at larger sizes. Nothing is
    extrapolated: below the smallest size (`already`) and beyond the largest (`flops` None) the place is open. The
    interval runs from where the upper edge of a band around the curve reaches the target to where its lower edge
    does; the band holds the ratios' own intervals (`averaged`) and what interpolation can miss (`_between`). Sizes of
    equal work are one point: the geometric mean of their ratios within the widest of their bounds.
    """
    points = _points(found, flops)
    if not points:
        return Crossover(contender, baseline, target, None, None, None, math.nan, math.nan)
    work = [point.flops for point in points]
    at = first_reaching(work, [point.ratio.value for point in points], target)
    early, late = _bounds(points, target, reached=at is not None)
    if at is not None:
        early, late = (None if early is None else min(early, at)), (None if late is None else max(late, at))
    return Crossover(
        contender=contender,
        baseline=baseline,
        target=target,
        flops=at,
        low=early,
        high=late,
        smallest=work[0],
        largest=work[-1],
        already=at == work[0],
        noisy=any(one.noisy for one in found),
    )


def _points(found: Sequence[Speedup], flops: Sequence[int]) -> list[Point]:
    """The known ratios in order of their work, one for each amount of it."""
    each = [Point(float(work), one.ratio) for work, one in zip(flops, found, strict=True)]
    known = sorted((one for one in each if 0 < one.ratio.value < math.inf), key=lambda one: one.flops)
    return [
        Point(work, _merged([one.ratio for one in same])) for work, same in groupby(known, key=lambda one: one.flops)
    ]


def _merged(same: Sequence[Ratio]) -> Ratio:
    """Several sizes of equal work as one; without an interval if one of them has none."""
    if len(same) == 1:
        return same[0]
    value = math.exp(sum(math.log(one.value) for one in same) / len(same))
    low, high = (min(one.low for one in same), max(one.high for one in same))
    known = all(map(_has_interval, same))
    return Ratio(value, low if known else math.nan, high if known else math.nan, min(one.blocks for one in same))


def _has_interval(one: Ratio) -> bool:
    return 0 < one.low <= one.high < math.inf


def _bounds(points: Sequence[Point], target: float, *, reached: bool) -> tuple[float | None, float | None]:
    """The interval of the place: open on both sides as soon as one size has no interval (a single block).

    Where the target is `reached`, the interval is open towards smaller sizes if its early end is the smallest.
    """
    ratios = [point.ratio for point in points]
    if not all(map(_has_interval, ratios)):
        return None, None
    x = np.log([point.flops for point in points])
    middle, low, high = (
        np.log(np.array([getattr(one, name) for one in ratios]) / target) for name in ("value", "low", "high")
    )
    places, curve, missed = _between(x, middle)
    own = averaged(x, ratios, places)
    upper = curve + np.hypot(own * np.interp(places, x, high - middle), missed)
    lower = curve - np.hypot(own * np.interp(places, x, middle - low), missed)
    early, late = _first_above(places, upper), _first_above(places, lower)
    if reached and early == x[0]:
        early = None
    return (None if early is None else math.exp(early)), (None if late is None else math.exp(late))


def _between(x: Floats, y: Floats) -> tuple[Floats, Floats, Floats]:
    """Places through all sizes, in ln FLOP, the curve there in ln ratio, and how far off it can be (95%).

    Two errors, added in quadrature. What the measured sizes show: `DISAGREEMENT` times the largest distance of
    the curve from straight lines and from the natural spline. What they do not show, a cache's edge or a second
    thread between two of them: ROUGHNESS * (x - a) (b - x), the error of a line between a and b through a curve
    whose second derivative is 2 * ROUGHNESS. Disagreement alone is no measure: it would have to be
    multiplied by 3 to 7 to hold 95% of the true errors. Both constants come from simulated machines
    (`python -m bench.simulation.crossovers`), the table in results/crossover from others.
    """
    if len(x) == 1:
        return x, y, np.zeros(1)
    from scipy.interpolate import CubicSpline, PchipInterpolator

    places = np.append((x[:-1, None] + np.diff(x)[:, None] * np.arange(STEPS) / STEPS).ravel(), x[-1])
    curve = np.asarray(PchipInterpolator(x, y)(places))
    others = (np.interp(places, x, y), np.asarray(CubicSpline(x, y, bc_type="natural")(places)))
    disagreement = np.max([np.abs(curve - other) for other in others], axis=0)
    gap = np.minimum(np.searchsorted(x, places, side="right") - 1, len(x) - 2)
    unseen = ROUGHNESS * (places - x[gap]) * (x[gap + 1] - places)
    return places, curve, np.hypot(DISAGREEMENT * disagreement, unseen)


def _first_above(places: Floats, heights: Floats) -> float | None:
    """The first place where straight lines through `heights` are at 0 or above; None if nowhere."""
    above = np.flatnonzero(heights >= 0)
    if not len(above):
        return None
    over = int(above[0])
    if over == 0:
        return float(places[0])
    before, after = heights[over - 1], heights[over]
    return float(places[over - 1] + (places[over] - places[over - 1]) * before / (before - after))


def first_reaching(flops: Sequence[float], ratios: Sequence[float], target: float) -> float | None:
    """The smallest of `flops`, or a place between two of them, where the ratio is `target` or more; None if nowhere.

    Between two sizes ln ratio follows a monotone cubic over ln FLOP (PCHIP, Fritsch and Butland 1984). It never
    leaves the range of its two neighbours, as a natural spline does on uneven sizes; on even ones the spline would
    be a little nearer to the bend of launch + work, and straight lines farther. Sizes of equal work count as one,
    the geometric mean of their ratios. All of `ratios` are finite and above 0.
    """
    work, which = np.unique(np.asarray(flops, dtype=float), return_inverse=True)
    logs = np.log(np.asarray(ratios, dtype=float) / target)  # 0 where a ratio is the target itself
    y = np.bincount(which, weights=logs) / np.bincount(which)
    reached = np.flatnonzero(y >= 0)
    if not len(reached) or reached[0] == 0:
        return float(work[0]) if len(reached) else None
    over = int(reached[0])
    at = math.exp(_root(np.log(work), y, over))
    return min(max(at, float(work[over - 1])), float(work[over]))


def _root(x: Floats, y: Floats, over: int) -> float:
    """Where the monotone cubic through (ln FLOP, ln ratio) crosses 0 between the points `over` - 1 and `over`."""
    from scipy.interpolate import PchipInterpolator
    from scipy.optimize import brentq

    left, right = float(x[over - 1]), float(x[over])
    if y[over] < TINY or y[over - 1] > -TINY:
        return right
    curve = PchipInterpolator(x, y)
    return float(brentq(lambda at: float(curve(at)), left, right))


def sizes_at(found: Crossover) -> tuple[Size, ...]:
    """Two sizes, the tutorial's scaled in every dimension, whose measurement would sharpen the place best.

    They lie half-way between the estimate and the ends of its interval, at least 1.25 and at most 2 times the
    FLOP away, and inside what was measured. None where the place is outside what was measured, for nothing is
    known there.
    """
    if found.flops is None or found.already:
        return ()
    low = math.sqrt(found.flops / found.low) if found.low else FARTHEST
    high = math.sqrt(found.high / found.flops) if found.high else FARTHEST
    down, up = (min(max(one, NEAREST), FARTHEST) for one in (low, high))
    wanted = [work for work in (found.flops / down, found.flops * up) if found.smallest < work < found.largest]
    return tuple(dict.fromkeys(map(_size_of, wanted)))


def _size_of(flops: float) -> Size:
    """The tutorial's size at the scale whose work is `flops`, up to the rounding of its sides."""
    from scipy.optimize import brentq

    def excess(log_scale: float) -> float:
        return math.log(Problem(*scaled(math.exp(log_scale))[0]).flops / flops)

    return scaled(math.exp(brentq(excess, math.log(1e-3), math.log(1e3), xtol=1e-6)))[0]
