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

if TYPE_CHECKING:
    from bench.verification.deviation import Deviation
    from bench.verification.oracle import Array, Reference

TWINS, WITHIN = 4, 4.0  # who strays no further than so many times as far as the furthest of so many twins is honest
ROUNDED = ("loss", "root", "weights", "unit")  # bounds of what a long run enlarges
Compare = Callable[["Reference"], "list[Deviation]"]


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

    def twins(self) -> Iterator[Reference]:
        """Honest runs computed in float32, rounded otherwise, made one by one; of another dtype there are none."""
        from bench.verification.oracle import twin

        given = self.case.oracle, self.arrays, self.case.problem.learning_rate, self.steps, self.flips
        for seed in range(TWINS if self.case.problem.dtype == "float32" else 0):
            yield twin(*given, self.case.precision, seed)

    def nearest(self, compare: Compare) -> list[Deviation]:
        """How far something strays from the oracle, or from the exact one where it strays less from that."""
        from bench.verification.deviation import reason, worst

        found = compare(self.reference)
        if reason(found) is None or self.case.problem.dtype == "float64":
            return found
        return min(found, compare(self.exact), key=worst)

    def within_twins(self, found: Sequence[Deviation], compare: Compare) -> list[Deviation]:
        """The same, twins allowing for what rounding alone does to a run as long as this, and WITHIN times as much."""
        from bench.verification.deviation import reason

        if reason(found) is None:
            return list(found)
        strays: dict[str, float] = {}
        for twin in self.twins():
            for one in compare(twin):
                if one.bound in ROUNDED and isfinite(one.error):
                    strays[one.bound] = max(strays.get(one.bound, 0.0), one.error)
        return [one.beside(WITHIN * strays.get(one.bound, 0.0)) for one in found]
