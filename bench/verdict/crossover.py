"""The smallest size from which a contender reaches a speedup, interpolated between measured sizes (pure)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.verdict.speedup import Speedup

TARGETS = (1.0, 10.0, 50.0)
TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Point:
    """A measured size: FLOP an iteration, the speedup there and its interval (NaN where unknown)."""

    flops: float
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Crossover:
    """The FLOP an iteration from which a contender reaches `target`, with an interval.

    `flops` None: not reached up to `largest`. `already`: reached at `smallest` and perhaps below it. `low` None:
    the interval is open towards smaller sizes, `high` None: towards larger ones.
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

    The estimate is where the curve of the ratios crosses; its interval runs from where the curve of their upper
    bounds crosses to where that of their lower bounds does.
    """
    both = sorted(zip(flops, found, strict=True), key=lambda pair: pair[0])
    points = [Point(float(work), one.ratio.value, one.ratio.low, one.ratio.high) for work, one in both]
    points = [point for point in points if math.isfinite(point.value) and point.value > 0]
    if not points:
        return Crossover(contender, baseline, target, None, None, None, math.nan, math.nan)
    work = [point.flops for point in points]
    at = first_reaching(work, [point.value for point in points], target)
    early, late = _bounds(points, target)
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


def _bounds(points: Sequence[Point], target: float) -> tuple[float | None, float | None]:
    """The interval of the place: open on both sides as soon as one size has no interval (a single block)."""
    if not all(0 < point.low <= point.high < math.inf for point in points):
        return None, None
    work = [point.flops for point in points]
    early = first_reaching(work, [point.high for point in points], target)
    late = first_reaching(work, [point.low for point in points], target)
    return (None if early == work[0] else early), late


def first_reaching(flops: Sequence[float], ratios: Sequence[float], target: float) -> float | None:
    """The smallest of `flops`, or a place between two of them, where the ratio is `target` or more; None if nowhere.

    Between two sizes ln ratio follows a natural cubic spline over ln FLOP. Straight lines there would miss the
    bend of launch + work: on the sweep's grid, eight times the work a step, they err by up to 50%, the spline by
    4%. All of `ratios` are finite and above 0.
    """
    over = next((index for index, ratio in enumerate(ratios) if ratio >= target), None)
    if over is None or over == 0:
        return None if over is None else flops[0]
    points = [(math.log(work), math.log(ratio / target)) for work, ratio in zip(flops, ratios, strict=True)]
    return math.exp(_root(points, points[over - 1][0], points[over][0]))


def _root(points: Sequence[tuple[float, float]], left: float, right: float) -> float:
    """Where the natural cubic spline through (ln FLOP, ln ratio) crosses 0 between two of its points."""
    from scipy.interpolate import CubicSpline
    from scipy.optimize import brentq

    x, y = zip(*points, strict=True)
    curve = CubicSpline(x, y, bc_type="natural")
    if abs(float(curve(right))) < TINY:
        return right
    return float(brentq(lambda at: float(curve(at)), left, right))
