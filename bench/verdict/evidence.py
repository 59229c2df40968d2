"""What a run's rows can testify to: its sound speedups, and which cases are wrong, incomplete or missing (pure)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from bench.cases.case import CaseKey
from bench.cases.problem import TUTORIAL_SIZE, Problem, Size
from bench.machine.ceilings import best_gflops, read_ceilings
from bench.tables.by_case import at_size, case_of, cases_in, sizes_in
from bench.tables.run import Run
from bench.verdict.contenders import BEST_GPU, named
from bench.verdict.ratios.intervals import Ratio, confidence_of, looks_of
from bench.verdict.ratios.pairs import SCOPES, Side, Trouble, troubles
from bench.verdict.ratios.speedup import (
    BASELINES,
    PRIMARY,
    Speedup,
    candidates,
    mean_us,
    named_baselines,
    speedups,
    trusted,
)

BROKEN = ("failed", "oom", "timeout", "crashed")
POOLS = ("numpy-1", "numpy-all", "best-cpu")  # baselines that are the fastest of several cases


@dataclass(frozen=True, slots=True)
class Evidence:
    """A run read once: its confidence, the `ok` rows of cases that were never wrong, all speedups, every trouble.

    `rows` are at one speed of the core in each block. `sgd` are the cases that train by plain SGD, the only ones
    that the claim is about. Tables, verdict, charts and page of a run all draw on this.
    """

    run: Run
    confidence: float  # of every interval
    rows: pd.DataFrame
    speedups: tuple[Speedup, ...]
    sizes: tuple[Size, ...]  # by work
    sgd: frozenset[CaseKey]
    measured: frozenset[CaseKey]
    gpu_tried: bool  # an accelerator is there: a case of it came to more than `skipped`
    trouble: Mapping[CaseKey, Trouble]
    baselines_by_size: Mapping[tuple[Size, str], Mapping[str, pd.DataFrame]]  # and scope
    candidates_by_size: Mapping[Size, Mapping[str, tuple[CaseKey, ...]]]  # all that could be the baseline
    sides: Mapping[CaseKey, Side]

    @classmethod
    def of(cls, run: Run) -> Evidence:
        """The evidence in a run. A case that was `wrong` in one block testifies to nothing, in no block."""
        confidence, first_look, everything = confidence_of(run.machine), looks_of(run.machine)[0], run.measurements
        sound = trusted(everything)
        sizes = {case.size for case, _ in cases_in(everything)}
        return cls(
            run=run,
            confidence=confidence,
            rows=sound,
            speedups=tuple(speedups(sound, confidence, first_look)),
            sizes=tuple(sorted(sizes, key=lambda size: size.flops)),
            sgd=frozenset(case for case, rows in cases_in(everything) if (rows["oracle"] == "sgd").any()),
            measured=frozenset(case for case, _ in cases_in(sound)),
            gpu_tried=bool(((everything["device"] != "cpu") & (everything["status"] != "skipped")).any()),
            trouble=troubles(everything),
            baselines_by_size={
                (size, scope): dict(named_baselines(same, scope, first_look))
                for size, same in sizes_in(sound)
                for scope in SCOPES
            },
            candidates_by_size={
                size: {name: tuple(case for case, _ in cases_in(rows)) for name, rows in candidates(same).items()}
                for size, same in sizes_in(sound)
            },
            sides={case: Side.of(rows) for case, rows in cases_in(sound)},
        )

    @property
    def baselines(self) -> tuple[str, ...]:
        """The names of BASELINES that were measured at any size, in their order."""
        there = {name for named in self.baselines_by_size.values() for name in named}
        there |= {one.baseline for one in self.speedups if not one.contender.on_cpu}
        return tuple(name for name in BASELINES if name in there)

    @property
    def contenders(self) -> tuple[str, ...]:
        """The names of the accelerator cases that have a speedup, without their sizes."""
        return tuple(sorted({one.contender.label for one in self.speedups if self.is_contender(one.contender)}))

    @property
    def shown_size(self) -> Size:
        """Where one size is shown: the tutorial's if it was measured, else that with most cases, the larger of equals.

        Raises ValueError where nothing was measured.
        """
        counts = {size: sum(case.size == size for case in self.measured) for size in self.sizes}
        return TUTORIAL_SIZE if counts.get(TUTORIAL_SIZE) else max(counts, key=lambda size: (counts[size], size.flops))

    def by_iteration(self, size: Size | None = None) -> list[Speedup]:
        """The speedups in the scope `iteration`, at one size or at all."""
        return [one for one in self.speedups if one.scope == "iteration" and size in (None, one.contender.size)]

    def is_contender(self, case: CaseKey) -> bool:
        """An accelerator case that trains by plain SGD."""
        return not case.on_cpu and case in self.sgd

    def is_named(self, case: CaseKey, contender: str) -> bool:
        """Does `contender` mean this case, which trains by plain SGD? See `named`.

        A style's name alone means its accelerator cases where any was measured, else those on the CPU.
        """
        if case not in self.sgd or not named(case, contender):
            return False
        there = {one.on_cpu for one in self.measured if named(one, contender)}
        return case.on_cpu == min(there, default=case.on_cpu)

    def against(self, size: Size, baseline: str, contender: str, scope: str) -> list[Speedup]:
        """The speedups of what `contender` names at a size over a baseline in a scope."""
        return [
            one
            for one in self.speedups
            if (one.contender.size, one.scope, one.baseline) == (size, scope, baseline)
            and self.is_named(one.contender, contender)
        ]

    def best_ratio(self, size: Size, baseline: str, found: Sequence[Speedup], scope: str, shown: Speedup) -> Ratio:
        """The ratio of `shown`, the fastest of `found` over the fastest behind `baseline`, with room for both choices.

        The fastest of many measured cases is partly lucky. The best contender reaches a threshold over the best
        baseline if one contender does so over every case that could be the baseline: the lower end is the greatest,
        over contenders, of their least lower end, with an interval each of 1 - alpha / contenders (Bonferroni); the
        upper end is the greatest of their least upper end, at 1 - alpha / baselines. Never narrower than `shown`.
        """
        ends = [list(each.values()) for each in self.rivals(size, baseline, found, scope).values()]
        if len(found) * max(map(len, ends), default=0) <= 1 or baseline == "own" or not math.isfinite(shown.ratio.low):
            return shown.ratio
        low, high = (max(min(pair[end] for pair in pairs) for pairs in ends) for end in (0, 1))
        return replace(shown.ratio, low=min(low, shown.ratio.low), high=max(high, shown.ratio.high))

    def rivals(
        self, size: Size, baseline: str, found: Sequence[Speedup], scope: str
    ) -> dict[CaseKey, dict[CaseKey, tuple[float, float]]]:
        """For each contender of `found`, both ends of its ratio over every case that could be the baseline.

        At the confidences of `best_ratio`; only pairs of two blocks or more, for one has no interval.
        """
        alpha, ends = 1 - self.confidence, dict[CaseKey, dict[CaseKey, tuple[float, float]]]()
        for one in found:
            pool = self.candidates_by_size[size].get(baseline, ()) if baseline in POOLS else (one.baseline_case,)
            pairs = {case: self.sides[case].paired(self.sides[one.contender], scope) for case in pool}
            known = {case: pair for case, pair in pairs.items() if pair.blocks > 1}
            each = dict[CaseKey, tuple[float, float]]()
            for case, pair in known.items():
                mixed = case.on_cpu != one.contender.on_cpu
                low, high = (pair.ratio(1 - alpha / many, mixed=mixed) for many in (len(found), len(known)))
                each[case] = low.low, high.high
            if each:
                ends[one.contender] = each
        return ends

    def as_the_best(self, one: Speedup) -> Speedup:
        """`one` with room for the choice of its contender: of those on the CPU, or of an accelerator in float32."""
        size, contender = one.contender.size, one.contender
        found = self.against(size, one.baseline, BEST_GPU, one.scope)
        if contender.on_cpu:
            pool = self.candidates_by_size[size].get(PRIMARY, ())
            same = (one.scope, one.baseline)
            found = [each for each in self.speedups if each.contender in pool and (each.scope, each.baseline) == same]
        if contender not in {each.contender for each in found}:
            return one
        return replace(one, ratio=self.best_ratio(size, one.baseline, found, one.scope, one))

    def baseline(self, size: Size, name: str, scope: str) -> tuple[CaseKey | None, float]:
        """The case behind a baseline's name at a size, and its us an iteration in a scope."""
        rows = self.baselines_by_size.get((size, scope), {}).get(name)
        if rows is None:
            return None, math.nan
        return case_of(rows), mean_us(rows, scope)

    def doubt(self, speedup: Speedup, threshold: float) -> str:
        """Why this speedup may not support that it reaches `threshold`; empty where nothing stands against it."""
        for case in (speedup.contender, speedup.baseline_case):
            if case in self.trouble:
                return f"{case.label} {self.trouble[case].words}"
        if speedup.baseline in POOLS:
            for case, trouble in self.trouble.items():
                if trouble.status in BROKEN and self._could_be_baseline(case, speedup, threshold):
                    return f"{case.label} {trouble.words}; it may be the faster baseline"
        return ""

    def _could_be_baseline(self, case: CaseKey, speedup: Speedup, threshold: float) -> bool:
        """Whether a case that broke could have been the baseline, and so fast that the threshold is not reached.

        One with two sound blocks stands among the candidates already. No case is faster than its products at the best
        rate of this machine.
        """
        trouble = self.trouble[case]
        if case.size != speedup.contender.size or trouble.of - trouble.blocks > 1:
            return False
        rows = candidates(at_size(self.run.measurements, case.size)).get(speedup.baseline)
        if rows is None or case not in {one for one, _ in cases_in(rows)}:
            return False
        known = read_ceilings(self.run.machine)
        rate = best_gflops(known, case.device, case.threads, case.dtype, case.precision)
        least_us = Problem(*case.size).product_flops / rate / 1e3 if rate else 0.0
        return speedup.ratio.low * least_us / speedup.baseline_us < threshold

    def why_untested(self, size: Size, baseline: str, contender: str, scope: str) -> str:
        """What is missing for a speedup at this size."""
        case, microseconds = self.baseline(size, baseline, scope)

        def wanted(one: CaseKey) -> bool:
            return one.size == size and self.is_named(one, contender)

        if not any(map(wanted, self.measured)):
            why = next((f"{one.label} {trouble.words}" for one, trouble in self.trouble.items() if wanted(one)), "")
            return f"no {contender} was measured" + (f": {why}" if why else "")
        if baseline != "own" and case is None:
            here = any(baseline in named for (at, _), named in self.baselines_by_size.items() if at == size)
            return f"the baseline {baseline} was not measured " + (f"in the scope {scope}" if here else "at this size")
        if case is not None and wanted(case):
            return f"{case.label} is the baseline {baseline} itself"
        if case is not None and not microseconds > 0:
            return f"{case.label} was not measured in the scope {scope}"
        return f"no pair of {contender} and {baseline} was measured in the scope {scope}"

    def rows_at(self, size: Size) -> pd.DataFrame:
        """The sound rows of one size that have a latency."""
        return at_size(self.rows[self.rows["latency_median_us"] > 0], size)
