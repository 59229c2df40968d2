"""How far a run strays from its reference, and how far it may: the tolerances, each with its evidence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.timing.given import Trained
from bench.verification.oracle import Array, Reference

LEAST_WAY = 1e-3  # of a weight's norm: what went less far is held against this, for its own rounding is all there is
LEAST_BITS = 16  # where `bit` is given, what so many of a weight's numbers come to that move by one bit
LEAST_UNIT_WAY = 1e-2  # the same for the weights of one hidden unit
LEAST_MOVED = 16  # numbers of a weight: of fewer, chance leaves some where they began
LEAST_UNITS = 16  # at 99x137x6x1 half of an honest float32 run's units were off by 5e-3, by flips
# Of the first loss: what is smaller is held against this, for it is the square of a difference of rounded numbers. Few
# samples are learned by heart within 50 iterations: at 4x935x95x1 an honest float32 loss of 1e-9 was off by 3%
LEAST_LOSS = 1e-6


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a correct run may stray from an oracle that stores in its dtype; infinity where that says nothing.

    `first`: relative error of the first loss, which no update has touched and no flip of the ReLU mask moves.
    `loss`: relative error of the first `losses` losses. `root`: error of the root of every later loss, over the root
    of the largest until then. `weights`: error of the returned weights over the way they went in training. `unit`: the
    same for the weights of each hidden unit, the median of all units: a flip moves one unit far and the rest hardly,
    TF32 moves all. `stalls`: whether a loss may stand still because updates are rounded away. `bit`: the last bit of a
    1, for a dtype in which weights can go so little that only some of their numbers move, by one bit; `still`: of these
    numbers the share that may stand where they began.
    """

    loss: float
    losses: int
    weights: float
    first: float = math.inf
    root: float = math.inf
    unit: float = math.inf
    stalls: bool = False
    bit: float = 0.0
    still: float = math.inf

    def least_way(self, weight: Array) -> float:
        """The norm by which a weight must have moved, else its error is held against this."""
        share = math.sqrt(LEAST_BITS / weight.size) * self.bit if self.bit else LEAST_WAY
        return share * float(np.linalg.norm(weight))


Kind = tuple[str, ...]  # dtype and precision; and the oracle, where it has a line of its own
STILL = 0.25  # of the numbers that the oracle moves
FLOAT64, FLOAT32, TF32 = ("float64", "ieee"), ("float32", "ieee"), ("float32", "tf32")
BFLOAT16, BFLOAT16_ADAM = ("bfloat16", "ieee"), ("bfloat16", "ieee", "adam")

# The tutorial's size, the stable rate, 50 iterations; wrong is who strays on most of five seeds (see gate.rehearse)
REHEARSAL: Mapping[Kind, Tolerance] = {
    FLOAT64: Tolerance(1e-9, 50, 1e-9),
    FLOAT32: Tolerance(1e-5, 50, 1e-3),
    TF32: Tolerance(2e-2, 50, 1e-1),
    BFLOAT16: Tolerance(5e-2, 4, 0.4, root=2e-2, unit=0.15, still=STILL),
    BFLOAT16_ADAM: Tolerance(5e-2, 4, 0.45, root=6e-2, unit=0.45, still=STILL),
}
# At most four iterations at the case's own size; who strays is held against twins (see expected.TWINS), and who does by
# little is tried on other data, for there are sizes at which a flip of the ReLU mask moves half of the units
OPENING: Mapping[Kind, Tolerance] = {
    FLOAT64: Tolerance(1e-9, 50, 1e-9),
    FLOAT32: Tolerance(1e-2, 50, 5e-2, first=2e-6, unit=8e-5),
    TF32: Tolerance(2e-2, 50, 0.5, unit=2e-2),
    BFLOAT16: Tolerance(0.1, 1, 0.6, root=3e-2, unit=0.3, still=STILL),
}
# The timed run itself, as far as the oracle affords to follow; weights only where that is to the end. Who strays is
# measured up to twice more, with x changing elsewhere or other data; but first a run is held against twins, for one of
# ten thousand iterations may enlarge a rounding until it shows, and bfloat16 does in a few hundred. results/gate holds
# every bound against the largest honest error
TIMED: Mapping[Kind, Tolerance] = {
    FLOAT64: Tolerance(1e-9, 50, 1e-8, root=1e-9),
    FLOAT32: Tolerance(1e-2, 50, 5e-2, first=2e-6, root=1e-3, unit=5e-4),
    TF32: Tolerance(4e-2, 1, 0.3, root=2e-2, unit=5e-2),
    BFLOAT16: Tolerance(0.1, 1, 0.15, root=3e-2, unit=0.15, stalls=True, bit=2.0**-7, still=STILL),
}


def tolerance(table: Mapping[Kind, Tolerance], dtype: str, precision: str, oracle: str) -> Tolerance:
    """The line of a table for a case."""
    return table.get((dtype, precision, oracle)) or table[dtype, precision]


@dataclass(frozen=True, slots=True)
class Deviation:
    """One thing that was compared: its error, how much is allowed, and what to say where that is exceeded.

    `bound` names the field of Tolerance that says how much; empty where no tolerance covers it.
    """

    error: float
    allowed: float
    found: str
    bound: str = ""

    @property
    def says(self) -> str:
        """What to say of it."""
        return f"{self.found}, allowed {self.allowed:.2g})" if self.bound else self.found

    @property
    def excess(self) -> float:
        """Error over what is allowed: above 1 is wrong, and so is a NaN, which counts as infinite."""
        ratio = self.error / self.allowed if self.allowed else math.inf
        return math.inf if math.isnan(ratio) else ratio

    def beside(self, strays: float) -> Deviation:
        """The same where an honest run may stray so far."""
        return replace(self, allowed=max(self.allowed, strays))


def fault(says: str) -> Deviation:
    """What no tolerance covers."""
    return Deviation(math.inf, 1.0, says)


def reason(deviations: Sequence[Deviation]) -> str | None:
    """What to say about the first that is too large, or None."""
    return next((one.says for one in deviations if one.excess > 1), None)


def worst(deviations: Sequence[Deviation]) -> float:
    """The largest error over what is allowed; 0 where nothing was compared."""
    return max((one.excess for one in deviations), default=0.0)


def of_losses(losses: Mapping[int, float], expected: Reference, allowed: Tolerance) -> list[Deviation]:
    """Every loss that was read, by iteration, as far as the reference goes.

    Where the first loss is a small difference of large numbers, all have the rounding of these until one is as large:
    it grows with the root of what they are over it.
    """
    right, found = expected.losses, []
    largest = np.maximum(np.maximum.accumulate(right), np.finfo(float).tiny)
    for t, loss in losses.items():
        if t >= len(right):
            continue
        if not math.isfinite(right[t]):
            found.append(fault(f"the oracle's own loss after {t + 1} iterations is {right[t]}: nobody can tell"))
        elif t >= allowed.losses:  # rounding has its say by now, and a loss near zero is nothing but rounding
            found.append(_of_root(t, loss, right[t], max(largest[t], expected.outputs), allowed))
        else:
            bound = "first" if t == 0 and allowed.first < allowed.loss else "loss"
            limit = allowed.first * expected.few if bound == "first" else allowed.loss
            scale = max(right[t], LEAST_LOSS * right[0]) * math.sqrt(max(1.0, expected.outputs / largest[t]))
            error = abs(loss - right[t]) / scale if scale else abs(loss)
            says = (
                f"loss of iteration {t} is {loss:.9g}, the oracle says {right[t]:.9g} (off by {error:.1e} of its scale"
            )
            found.append(Deviation(error, limit, says, bound))
    return found


def _of_root(t: int, loss: float, right: float, largest: float, allowed: Tolerance) -> Deviation:
    says = f"the loss after {t + 1} iterations is {loss:.9g}, the oracle is at {right:.9g}"
    if not (math.isfinite(loss) and loss >= 0):
        return fault(says)
    error = abs(math.sqrt(loss) - math.sqrt(right)) / math.sqrt(largest)
    return Deviation(error, allowed.root, f"{says} (their roots are off by {error:.1e} of that of the largest", "root")


def of_run(trained: Trained, expected: Reference, allowed: Tolerance) -> list[Deviation]:
    """Losses and returned weights of a run that was as long as its reference."""
    last = len(expected.losses) - 1
    missing = [] if last in trained.losses else [fault(f"no loss of the last iteration, {last}")]
    of_each = of_losses(trained.losses, expected, allowed)
    return [*of_each, *missing, *_of_weights(trained, expected, allowed)]


def _of_weights(trained: Trained, expected: Reference, allowed: Tolerance) -> Iterator[Deviation]:
    if len(trained.weights) != len(expected.weights):
        yield fault(f"returned {len(trained.weights)} weights, expected {len(expected.weights)}")
        return
    last = len(expected.weights) - 1
    for index, (got, end, start) in enumerate(zip(trained.weights, expected.weights, expected.start, strict=True)):
        name = f"weight {index + 1}"
        if got.shape != end.shape:
            yield fault(f"{name} has shape {got.shape}, expected {end.shape}")
            continue
        error = _over_way(got, end, start, allowed.least_way(end))
        yield Deviation(
            error,
            allowed.weights,
            f"{name} is not where the oracle ends (off by {error:.1e} of the way they went",
            "weights",
        )
        # a hidden unit is a column of the weights that lead to it, and a row of the last, which lead from it
        middle = _middle_unit(got, end, start, axis=1 if index == last else 0)
        yield Deviation(
            middle,
            allowed.unit,
            f"{name}: half of the hidden units are not where the oracle ends (off by {middle:.1e} of their way",
            "unit",
        )
        still = _still(got, end, start)
        yield Deviation(
            still,
            allowed.still,
            f"{name}: of the numbers that the oracle moves {still:.1%} never moved (share",
            "still",
        )


def _still(got: Array, end: Array, start: Array) -> float:
    """The share of the numbers that train which stand where they began; 0 where few train."""
    moved = end != start
    return float(np.mean(got[moved] == start[moved])) if moved.sum() >= LEAST_MOVED else 0.0


def _over_way(got: Array, end: Array, start: Array, least: float) -> float:
    way = float(np.linalg.norm(end - start))
    return float(np.linalg.norm(got - end)) / max(way, least, np.finfo(float).tiny)


def _middle_unit(got: Array, end: Array, start: Array, axis: int) -> float:
    """The median error of a hidden unit's weights over their way; units that never trained are left out.

    0 where there are few: one flip of the ReLU mask moves half of them.
    """
    way, norm = np.linalg.norm(end - start, axis=axis), np.linalg.norm(end, axis=axis)
    error = np.linalg.norm(got - end, axis=axis)
    moved = way > 0
    if moved.sum() < LEAST_UNITS:
        return 0.0
    return float(np.median(error[moved] / np.maximum(way, LEAST_UNIT_WAY * norm)[moved]))


def standstill(losses: Mapping[int, float], checked: int, allowed: Tolerance) -> str | None:
    """Whether every loss after those that were `checked` closely is the same: nobody trains there any more.

    bfloat16 can stand still honestly, when its updates are rounded away, and so can a loss of 0.
    """
    later = [loss for t, loss in losses.items() if t >= checked]
    if allowed.stalls or len(later) < 3 or len(set(later)) > 1 or later[0] == 0:
        return None
    return f"the loss stands still at {later[0]:.9g} from iteration {checked} on"
