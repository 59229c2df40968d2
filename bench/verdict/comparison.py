"""Two runs side by side: the ratio of every case that both measured, and what differs between the runs (pure)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import pandas as pd

from bench.cases.case import CaseKey
from bench.tables.by_case import cases_in
from bench.tables.run import Run
from bench.verdict.ratios.intervals import CONFIDENCE, Ratio, welch_less, welch_p, welch_ratio
from bench.verdict.ratios.one_speed import OWN_EFFECT, PER_REFERENCE
from bench.verdict.ratios.pairs import SCOPES
from bench.verdict.ratios.speedup import mean_us, mostly_quiet, trusted

MARGIN = 0.02
OUTCOMES = ("faster", "slower", "same", "undecided")
# Besides CASE_COLUMNS, all that must agree before two rows are the same work done under the same conditions.
ALIKE_COLUMNS = ("framework", "oracle", "learning_rate", "seed", "environment", "heap", "flops")
ONCE = {"heap": ["warm"]}  # of all cases before there was this column
BROKEN = ("wrong", "failed", "crashed", "timeout", "oom")


@dataclass(frozen=True, slots=True)
class Compared:
    """One case in both runs. `ratio.value` is A's time over B's: above 1, B is faster; times in us an iteration.

    `a_processes` and `b_processes` are the numbers of processes behind the two sides.
    """

    case: CaseKey
    a_us: float
    b_us: float
    a_processes: int
    b_processes: int
    ratio: Ratio
    p: float  # of Welch's t-test that both are the same; NaN where there is no spread to judge by
    by_reference: bool  # whether the core's clock is taken out
    noisy: bool
    outcome: str = "undecided"
    reason: str = ""
    times: tuple[Sequence[float], Sequence[float]] = ((), ())  # of A's and B's processes, what the ratio is of
    broken: str = ""  # what became of B in most of its blocks, where it was measured in the others, and A in most


@dataclass(frozen=True, slots=True)
class Excluded:
    """A case that gets no ratio, and why; `measured` where A has it, and then `broken` where B failed to."""

    case: CaseKey
    reason: str
    measured: bool = False
    broken: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that two runs, `a` and `b` by name, say about each other in one scope."""

    a: str
    b: str
    scope: str
    margin: float
    cases: tuple[Compared, ...]
    excluded: tuple[Excluded, ...]
    identical: bool

    @property
    def common_shift(self) -> float:
        """The median ratio of the cases whose times hold the core's clock: what they share is the machine's."""
        return median([one.ratio.value for one in self.cases if not one.by_reference] or [math.nan])

    @property
    def counts(self) -> dict[str, int]:
        """How many cases had each outcome."""
        return {outcome: sum(one.outcome == outcome for one in self.cases) for outcome in OUTCOMES}

    def slower_than(self, limit: float) -> list[Compared]:
        """The cases where B surely takes more than 1 + `limit` times as long as A, whatever their number (Holm)."""
        bound = 1 / (1 + limit)
        surely = holm({one.case: welch_less(*one.times, bound) for one in self.cases}, (1 - CONFIDENCE) / 2)
        return [one for one in self.cases if one.case in surely]

    def perhaps_slower_than(self, limit: float) -> list[Compared]:
        """The cases where that is open: their interval reaches beyond the limit, or there is none."""
        surely = self.slower_than(limit)
        return [one for one in self.cases if not one.ratio.low >= 1 / (1 + limit) and one not in surely]


def outcome_of(ratio: Ratio, margin: float) -> tuple[str, str]:
    """The outcome of one case and why it is undecided.

    - `same`, first: the whole interval lies in [1 / (1 + margin), 1 + margin], though it may exclude 1.
    - `faster`, `slower`: the interval excludes 1.
    - `undecided`: it holds 1 and reaches beyond the margin, or there is none.
    """
    if not (math.isfinite(ratio.low) and math.isfinite(ratio.high)):
        return "undecided", "no interval: a side has fewer than two processes, or a time that is no time"
    if 1 / (1 + margin) <= ratio.low and ratio.high <= 1 + margin:
        return "same", ""
    if ratio.low > 1:
        return "faster", ""
    if ratio.high < 1:
        return "slower", ""
    half = math.sqrt(ratio.high / ratio.low) - 1
    return "undecided", f"the noise of the runs, ±{half:.1%}, reaches beyond ±{margin:.1%} and holds 1; add blocks"


def compare(a: Run, b: Run, *, scope: str = "iteration", margin: float = MARGIN) -> Comparison:
    """Every case of either run: compared where both measured the very same work, else excluded with a reason."""
    identical = same_run(a, b)
    sides = [dict(cases_in(run.measurements)) for run in (a, b)]
    at_speed = [dict(cases_in(trusted(run.measurements))) for run in (a, b)]
    cases, excluded = [], []
    for key in dict.fromkeys([*sides[0], *sides[1]]):
        reason = obstacle(sides[0].get(key), sides[1].get(key), scope)
        if reason is None:
            found = _compared(key, sides[0][key], sides[1][key], [side[key] for side in at_speed], scope)
            same = Ratio(1.0, 1.0, 1.0, found.a_processes)
            cases.append(replace(found, ratio=same, p=1.0, times=((), ())) if identical else found)
        elif not _skipped_twice(sides[0].get(key), sides[1].get(key)):
            was, now = (key in side and _fit(side[key]) for side in sides)
            broken = was and not now and key in sides[1] and bool(sides[1][key]["status"].isin(BROKEN).any())
            excluded.append(Excluded(key, reason, was, broken))
    return Comparison(a.name, b.name, scope, margin, judged(cases, margin), tuple(excluded), identical)


def judged(cases: Sequence[Compared], margin: float) -> tuple[Compared, ...]:
    """Each case with its outcome, corrected for their number (Holm 1979): one chance in twenty of any false call."""
    called = holm({one.case: one.p for one in cases}, 1 - CONFIDENCE)
    found = []
    for one in cases:
        outcome, reason = outcome_of(one.ratio, margin)
        if outcome in ("faster", "slower") and one.case not in called:
            outcome, reason = "undecided", f"{outcome} by itself, but of {len(cases)} cases one may be so by chance"
        found.append(replace(one, outcome=outcome, reason=reason))
    return tuple(found)


def holm(each: Mapping[CaseKey, float], alpha: float) -> set[CaseKey]:
    """The cases that are called, with a chance of at most `alpha` of any false one (Holm 1979); NaN calls nothing.

    Going from the smallest p on, a case is called as long as p times the number of those not called yet is below alpha.
    """
    called: set[CaseKey] = set()
    for rank, (case, p) in enumerate(sorted(each.items(), key=lambda item: item[1] if item[1] >= 0 else 1.0)):
        if not p * (len(each) - rank) < alpha:
            break
        called.add(case)
    return called


def same_run(a: Run, b: Run) -> bool:
    """Whether both folders hold one and the same run, row for row."""
    return a.machine.get("run_id") == b.machine.get("run_id") and a.measurements.equals(b.measurements)


def obstacle(a: pd.DataFrame | None, b: pd.DataFrame | None, scope: str) -> str | None:
    """Why a case's rows in the two runs give no ratio; None where they do."""
    if a is None or b is None:
        return "only in A" if b is None else "only in B"
    for name, rows in (("A", a), ("B", b)):
        if not _fit(rows):
            bad = rows[rows["status"] == "wrong"] if "wrong" in set(rows["status"]) else rows
            return f"{name}: {bad['status'].iloc[0]}: {bad['reason'].iloc[0]}"
    a, b = a[a["status"] == "ok"], b[b["status"] == "ok"]
    for column in ALIKE_COLUMNS:
        values = [sorted(set(rows[column].dropna()), key=str) or ONCE.get(column, []) for rows in (a, b)]
        if not _alike(*values):
            shown = " and ".join(", ".join(map(str, side)) or "unknown" for side in values)
            return f"not the same work: {column} is {shown}"
    missing = [name for name, rows in (("A", a), ("B", b)) if rows[SCOPES[scope]].isna().all()]
    return f"{' and '.join(missing)}: scope {scope} was not measured" if missing else None


def _alike(a: Sequence[Any], b: Sequence[Any]) -> bool:
    numbers = all(isinstance(value, int | float) for value in (*a, *b))
    if not numbers or len(a) != len(b):
        return list(a) == list(b)
    return all(math.isclose(one, other, rel_tol=1e-9) for one, other in zip(a, b, strict=True))


def _fit(rows: pd.DataFrame) -> bool:
    """Measured at all, and never wrong: a wrong style never gets a ratio."""
    return "wrong" not in set(rows["status"]) and "ok" in set(rows["status"])


def _skipped_twice(a: pd.DataFrame | None, b: pd.DataFrame | None) -> bool:
    return all(rows is None or set(rows["status"]) == {"skipped"} for rows in (a, b))


def _compared(key: CaseKey, a: pd.DataFrame, b: pd.DataFrame, at_speed: Sequence[pd.DataFrame], scope: str) -> Compared:
    """One case, not judged yet; `at_speed` are its rows as each run's own tables show their times.

    Where both runs read the core's speed, the ratio is of times over the reference product, since the clock of the
    core is the machine's and not the code's: on halves of one pool of identical processes 36% of cases were called
    faster or slower by times as taken, none by times over the reference. Then B's time is at the speed that the core
    had in A; else the ratio is of both runs' own times.
    """
    column, whole = SCOPES[scope], (a, b)
    per = PER_REFERENCE.get(column, "")
    a, b = (rows[(rows["status"] == "ok") & rows[column].notna()] for rows in (a, b))
    by_reference = all(per in rows and rows[per].gt(0).all() for rows in (a, b)) and _read_alike(a, b)
    if by_reference:
        times = a[per].tolist(), b[per].tolist()
    else:
        times = at_speed[0][column].dropna().tolist(), at_speed[1][column].dropna().tolist()
    ratio, a_us = welch_ratio(*times), mean_us(at_speed[0], scope)
    return Compared(
        case=key,
        a_us=a_us,
        b_us=a_us / ratio.value,
        a_processes=len(a),
        b_processes=len(b),
        ratio=ratio,
        p=welch_p(*times),
        by_reference=by_reference,
        noisy=not all(mostly_quiet(rows["noisy"].astype(bool)) for rows in (a, b)),
        times=times,
        broken=mostly_broken(*whole),
    )


def mostly_broken(a: pd.DataFrame, b: pd.DataFrame) -> str:
    """`crashed in 9 of 10 blocks: why`, of B's rows of a case, where that many of A's did not; empty where they did."""
    bad = [rows[rows["status"].isin(BROKEN)] for rows in (a, b)]
    if len(bad[1]) * 2 < len(b) or len(bad[0]) * 2 >= len(a):
        return ""
    status, reason = bad[1][["status", "reason"]].iloc[0]
    return f"{status} in {len(bad[1])} of {len(b)} blocks: {reason}"


def _read_alike(a: pd.DataFrame, b: pd.DataFrame) -> bool:
    """Whether both read the core after neutral work, or, as older runs did, both right after the case."""
    kinds = [set(rows[OWN_EFFECT].notna()) if OWN_EFFECT in rows else {False} for rows in (a, b)]
    return kinds[0] == kinds[1] and len(kinds[0]) == 1


def summary(found: Comparison) -> str:
    """`B is faster in 3 of 10 cases, slower in 1, the same in 4, undecided in 2`."""
    words = [f"{'the ' if name == 'same' else ''}{name} in {count}" for name, count in found.counts.items() if count]
    if len(found.cases) == 0:
        return "no case can be compared"
    words[0] += f" of {len(found.cases)} case{'' if len(found.cases) == 1 else 's'}"
    return f"B is {', '.join(words)}"
