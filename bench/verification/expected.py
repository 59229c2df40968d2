"""What right runs of a case come to on some data: the oracle, and others that are made when they are asked for.

Nothing here loads numpy before it computes: a worker imports this, and a style's heap may have to come before numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from math import isfinite
from typing import TYPE_CHECKING

from bench.cases.case import Case
from bench.cases.challenge import Flip
from bench.timing.given import Trained

if TYPE_CHECKING:
    from bench.verification.deviation import Deviation
    from bench.verification.oracle import Array, Reference

TWINS, WITHIN = 4, 3.0  # who strays no further than so many times as far as the furthest of so many twins is honest
ROUNDED = ("loss", "root", "weights", "unit", "still")  # bounds of what a long run enlarges
OF_LOSSES = ROUNDED[:2]
Compare = Callable[[Trained, "Reference"], "list[Deviation]"]


class Expected:
    """A run of `steps` iterations of a case from `arrays`, x changing as `flips` say."""

    def __init__(self, case: Case, arrays: Sequence[Array], steps: int, flips: Sequence[Flip] = ()) -> None:
        self.case, self.arrays, self.steps, self.flips = case, arrays, steps, flips

    @cached_property
    def reference(self) -> Reference:
        """The oracle, which stores in the dtype of the case."""
        return self._reference(self.arrays, self.case.problem.dtype)

    @cached_property
    def exact(self) -> Reference:
        """The oracle of who keeps its weights in a wider dtype than it was given and returns them in."""
        import numpy as np

        from bench.verification.storage import STORED

        kept = STORED[self.case.problem.dtype]
        found = self._reference([np.asarray(kept(a), np.float64) for a in self.arrays], "float64")
        return replace(found, weights=tuple(np.asarray(kept(weight), np.float64) for weight in found.weights))

    def _reference(self, arrays: Sequence[Array], dtype: str) -> Reference:
        from bench.verification.oracle import reference

        return reference(self.case.oracle, arrays, self.case.problem.learning_rate, self.steps, self.flips, dtype)

    def twins(self, *, wide: bool = False) -> Iterator[Reference]:
        """Honest runs computed in the dtype of the case, rounded otherwise, made one by one; none in float64.

        `wide` ones keep their weights in a wider dtype, as the exact oracle does.
        """
        from bench.verification.oracle import twin

        problem = self.case.problem
        given = self.case.oracle, self.arrays, problem.learning_rate, self.steps, self.flips, problem.dtype
        for seed in range(0 if problem.dtype == "float64" else TWINS):
            yield twin(*given, self.case.precision, seed, wide=wide)

    def nearest(self, trained: Trained, compare: Compare, *, twins: bool = True) -> list[Deviation]:
        """How far a run strays from the oracle, or from the exact one where it strays less from that.

        Who strays from both may, with `twins`, stray from one as its twins do, WITHIN times as far.
        """
        from bench.verification.deviation import reason, worst

        found = compare(trained, self.reference)
        if reason(found) is None or self.case.problem.dtype == "float64":
            return found
        both = [found, compare(trained, self.exact)]
        nearest = min(both, key=worst)
        for wide, one in enumerate(both):
            if twins and worst(nearest) > 1 and _excusable(one):
                strays = self._strays(len(one), trained, compare, wide=bool(wide))
                excused = [each.beside(WITHIN * stray) for each, stray in zip(one, strays, strict=True)]
                nearest = min(nearest, excused, key=worst)
        return nearest

    def _strays(self, count: int, trained: Trained, compare: Compare, *, wide: bool) -> list[float]:
        """How far twins stray in each of so many things that are compared, in a loss until then.

        Their losses are read where those of `trained` were.
        """
        right, strays = self.exact if wide else self.reference, [0.0] * count
        for twin in self.twins(wide=wide):
            read = Trained({t: float(twin.losses[t]) for t in trained.losses if t < self.steps}, twin.weights)
            so_far: dict[str, float] = {}
            for place, one in zip(range(count), compare(read, right), strict=False):
                error = one.error if one.bound in ROUNDED and isfinite(one.error) else 0.0
                if one.bound in OF_LOSSES:
                    error = so_far[one.bound] = max(error, so_far.get(one.bound, 0.0))
                strays[place] = max(strays[place], error)
        return strays


def _excusable(found: Sequence[Deviation]) -> bool:
    """Whether all that strays is something that a long run enlarges."""
    return all(one.bound in ROUNDED for one in found if one.excess > 1)
