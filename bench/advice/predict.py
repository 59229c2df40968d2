"""How long a step takes by what it asks for, and how far off that is: fitted, left out, intervals (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from bench.advice.network.asked import CONVOLUTION, COSTLY, Operation

Array = NDArray[np.float64]
Figure = float | Array
COVERED = 0.8
NEAR_BYTES = 2.0**20  # of an operation, what a core's own cache holds


@dataclass(frozen=True, slots=True)
class Speed:
    """What a device is taken to do; each figure a number, or draws of it as (draws, 1).

    `step_us` a step in any case, `call_us` the host's time for a call and `convolving_us` for one of a convolution,
    `floor_us` the least that a kernel takes,
    `product_gflops` and `convolution_gflops` of large ones, `half` the side that takes twice its operations' time,
    `gbytes_per_s` of what an operation reads and writes beyond NEAR_BYTES, `near_gbytes_per_s` of the rest,
    `costly_gbytes_per_s` of both in a costly one.
    """

    step_us: Figure
    call_us: Figure
    convolving_us: Figure
    product_gflops: Figure
    convolution_gflops: Figure
    half: Figure
    near_gbytes_per_s: Figure
    gbytes_per_s: Figure
    costly_gbytes_per_s: Figure
    floor_us: Figure = 0.0


@dataclass(frozen=True, slots=True)
class Asked:
    """The operations of many steps as arrays, one entry an operation; each of `starts` is the first of a step."""

    calls: Array
    flops: Array
    bytes: Array
    sides: Array  # (3, operations), infinite where there is none
    convolution: NDArray[np.bool_]
    costly: NDArray[np.bool_]
    starts: NDArray[np.int64]

    def by_step(self, each: Array) -> Array:
        """The sums of (..., operations) over each step's."""
        return np.asarray(np.add.reduceat(each, self.starts, axis=-1), dtype=float)

    @classmethod
    def of(cls, steps: Sequence[Sequence[Operation]]) -> Asked:
        """From the operations of each step, at least one each."""
        flat = [one for operations in steps for one in operations]
        rows = [(one.calls, one.flops, one.bytes, one.m, one.n, one.k) for one in flat]
        calls, flops, moved, *sides = np.array(rows, dtype=float).T
        return cls(
            calls,
            flops,
            moved,
            np.where(np.array(sides) > 0, sides, np.inf),
            np.array([one.kind == CONVOLUTION for one in flat], dtype=bool),
            np.array([one.kind == COSTLY for one in flat], dtype=bool),
            np.cumsum([0, *map(len, steps[:-1])]),
        )


LAUNCHES, FLOP, MEMORY, KERNELS = "launches", "FLOP", "memory", "the least of a kernel"


def step_us(asked: Asked, speed: Speed, *, asynchronous: bool) -> Array:
    """The us of each step: max(host, device) where the device runs on its own, else their sum.

    device = sum over operations of max(FLOP * prod(1 + half / side) / rate, bytes / bandwidth, floor), the rate that of
    products or of convolutions; host = sum of calls; a step's own time besides.
    """
    device = asked.by_step(np.max(_terms(asked, speed), axis=0) * asked.calls)
    host = asked.by_step(np.where(asked.convolution, speed.convolving_us, speed.call_us) * asked.calls)
    return np.asarray(speed.step_us + (np.maximum(host, device) if asynchronous else host + device), dtype=float)


def _terms(asked: Asked, speed: Speed) -> Array:
    """The us of each operation by FLOP, by MEMORY and as one of KERNELS, (3, operations) or (3, draws, operations)."""
    m, n, k = asked.sides
    padded = asked.flops * (1 + speed.half / m) * (1 + speed.half / n) * (1 + speed.half / k)
    rate = np.where(asked.convolution, speed.convolution_gflops, speed.product_gflops) * 1e3
    near = np.minimum(asked.bytes, NEAR_BYTES)
    moved = near / (speed.near_gbytes_per_s * 1e3) + (asked.bytes - near) / (speed.gbytes_per_s * 1e3)
    moved = np.where(asked.costly, asked.bytes / (speed.costly_gbytes_per_s * 1e3), moved)
    return np.stack([padded / rate, moved, np.broadcast_to(speed.floor_us, moved.shape)])


def binding(asked: Asked, speed: Speed) -> list[str]:
    """What each step waits for on a device of its own: LAUNCHES, or what most of the device's time comes from."""
    terms = _terms(asked, speed)
    each, which = np.max(terms, axis=0) * asked.calls, np.argmax(terms, axis=0)
    parts = np.stack([asked.by_step(each * (which == at)) for at in range(len(terms))])
    host, most = asked.by_step(asked.calls) * speed.call_us, np.argmax(parts, axis=0)
    return [
        LAUNCHES if us >= whole else (FLOP, MEMORY, KERNELS)[at]
        for us, whole, at in zip(host, parts.sum(axis=0), most, strict=True)
    ]


START = Speed(20.0, 4.0, 20.0, 60.0, 60.0, 4.0, 20.0, 8.0, 2.0)
ROOM = 6.0  # up and down in logarithms
FITTED = 9  # the first fields; a CPU waits for no kernel


def fit(asked: Asked, measured_us: Array, used: NDArray[np.bool_]) -> Speed:
    """The speed of one CPU thread from the steps that are `used`, by least |log(predicted / measured)|, softened."""
    from scipy.optimize import least_squares

    def errors(logs: Array) -> Array:
        return np.asarray(np.log(step_us(asked, Speed(*np.exp(logs)), asynchronous=False) / measured_us)[used])

    first = np.log(astuple(START)[:FITTED])
    bounds = (first - ROOM, first + ROOM)
    found = least_squares(errors, first, bounds=bounds, loss="soft_l1", f_scale=0.1, max_nfev=60)
    return Speed(*np.exp(found.x))


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A step predicted by what was fitted to the other networks, with its 80% interval."""

    network: str
    batch: int
    measured_us: float
    predicted_us: float
    low_us: float
    high_us: float

    @property
    def inside(self) -> bool:
        """Whether the interval holds what was measured."""
        return self.low_us <= self.measured_us <= self.high_us


def leave_out(names: Sequence[str], batches: Sequence[int], asked: Asked, measured_us: Array) -> list[LeftOut]:
    """Each step predicted without its network.

    The interval is a factor up and down: the 80% quantile of the errors of the other networks' steps, each of these
    predicted without its own network and without the one in question. So no step has a part in its own interval.
    """
    of = np.array(names)
    unique = list(dict.fromkeys(names))
    errors: dict[str, list[float]] = {name: [] for name in unique}
    for one, other in combinations(unique, 2):
        speed = fit(asked, measured_us, (of != one) & (of != other))
        off = np.abs(np.log(step_us(asked, speed, asynchronous=False) / measured_us))
        errors[one] += list(off[of == other])
        errors[other] += list(off[of == one])
    found = []
    for name in unique:
        predicted = step_us(asked, fit(asked, measured_us, of != name), asynchronous=False)
        factor = float(np.exp(covering(errors[name])))
        for at in np.flatnonzero(of == name):
            us = float(predicted[at])
            found.append(LeftOut(name, batches[int(at)], float(measured_us[at]), us, us / factor, us * factor))
    return found


def covering(errors: Sequence[float], share: float = COVERED) -> float:
    """What one error more does not exceed with probability `share`: the ceil((n + 1) share)-th of n in order."""
    ordered = sorted(errors)
    return ordered[min(len(ordered), int(np.ceil((len(ordered) + 1) * share))) - 1]
