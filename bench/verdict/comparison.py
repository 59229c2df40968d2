"""Two runs side by side: the ratio of every case that both measured, and what differs between the runs (pure)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import pandas as pd

from bench.cases.case import CASE_COLUMNS
from bench.cases.problem import TUTORIAL_ITERATIONS
from bench.tables.run import Run
from bench.verdict.intervals import Ratio, welch_ratio
from bench.verdict.speedup import SCOPES

MARGIN = 0.02
OUTCOMES = ("faster", "slower", "same", "undecided")
# Beside CASE_COLUMNS, all that must agree before two rows are the same work done under the same conditions.
ALIKE_COLUMNS = ("framework", "oracle", "learning_rate", "seed", "environment", "flops")
BROKEN = ("wrong", "failed", "crashed", "timeout", "oom")

Key = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """One case in both runs. `ratio.value` is A's time over B's: above 1, B is faster; times in us an iteration.

    `a_processes` and `b_processes` are the numbers of processes behind the two sides.
    """

    case: Key
    a_us: float
    b_us: float
    a_processes: int
    b_processes: int
    ratio: Ratio
    outcome: str
    reason: str
    noisy: bool


@dataclass(frozen=True, slots=True)
class Apart:
    """A case that gets no ratio, and why; `broken` where A measured it and B failed to."""

    case: Key
    reason: str
    broken: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that two runs, `a` and `b` by name, say about each other in one scope."""

    a: str
    b: str
    scope: str
    margin: float
    cases: tuple[Compared, ...]
    apart: tuple[Apart, ...]
    identical: bool

    @property
    def counts(self) -> dict[str, int]:
        """How many cases had each outcome."""
        return {outcome: sum(one.outcome == outcome for one in self.cases) for outcome in OUTCOMES}

    def slower_than(self, limit: float) -> list[Compared]:
        """The cases where B takes more than 1 + `limit` times as long as A with the whole of their interval."""
        return [one for one in self.cases if one.ratio.high < 1 / (1 + limit)]

    def perhaps_slower_than(self, limit: float) -> list[Compared]:
        """The cases where that is open: their interval lies on both sides of the limit, or there is none."""
        bound = 1 / (1 + limit)
        return [one for one in self.cases if not (one.ratio.low >= bound or one.ratio.high < bound)]


def judge(ratio: Ratio, margin: float) -> tuple[str, str]:
    """The outcome of one case and why it is undecided.

    - `same`: the whole interval lies in [1 / (1 + margin), 1 + margin]. This comes first: a difference that is sure
      but smaller than the margin is `same`.
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
    """Every case of either run: compared where both measured the very same work, else set apart with a reason."""
    identical = same_run(a, b)
    sides = [_by_case(run.measurements) for run in (a, b)]
    cases, apart = [], []
    for key in dict.fromkeys([*sides[0], *sides[1]]):
        reason = obstacle(sides[0].get(key), sides[1].get(key), scope)
        if reason is None:
            cases.append(_compared(key, sides[0][key], sides[1][key], scope, margin, identical=identical))
        elif not _skipped_twice(sides[0].get(key), sides[1].get(key)):
            broken = key in sides[0] and key in sides[1] and _fit(sides[0][key]) and not _fit(sides[1][key])
            apart.append(Apart(key, reason, broken and bool(sides[1][key]["status"].isin(BROKEN).any())))
    return Comparison(a.name, b.name, scope, margin, tuple(cases), tuple(apart), identical)


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
        values = [sorted(set(rows[column].dropna()), key=str) for rows in (a, b)]
        if not _alike(*values):
            shown = " and ".join(", ".join(map(str, side)) or "unknown" for side in values)
            return f"not the same work: {column} is {shown}"
    missing = [name for name, rows in (("A", a), ("B", b)) if rows[SCOPES[scope]].isna().all()]
    return f"{' and '.join(missing)}: scope {scope} was not measured" if missing else None


def _alike(a: Sequence[Any], b: Sequence[Any]) -> bool:
    if len(a) != len(b):
        return False
    numbers = all(isinstance(value, int | float) for value in (*a, *b))
    if not numbers:
        return list(a) == list(b)
    return all(math.isclose(one, other, rel_tol=1e-9) for one, other in zip(a, b, strict=True))


def _fit(rows: pd.DataFrame) -> bool:
    """Measured at all, and never wrong: a wrong style never gets a ratio."""
    statuses = set(rows["status"])
    return "ok" in statuses and "wrong" not in statuses


def _skipped_twice(a: pd.DataFrame | None, b: pd.DataFrame | None) -> bool:
    return all(rows is None or set(rows["status"]) == {"skipped"} for rows in (a, b))


def _by_case(measurements: pd.DataFrame) -> dict[Key, pd.DataFrame]:
    groups = measurements.groupby(list(CASE_COLUMNS), sort=False)
    return {cast(Key, tuple(_plain(value) for value in cast(Key, key))): rows for key, rows in groups}


def _plain(value: Any) -> str | int:
    return value if isinstance(value, str) else int(value)


def _compared(key: Key, a: pd.DataFrame, b: pd.DataFrame, scope: str, margin: float, *, identical: bool) -> Compared:
    column = SCOPES[scope]
    (a, a_noisy), (b, b_noisy) = (quiet(rows[(rows["status"] == "ok") & rows[column].notna()]) for rows in (a, b))
    unit = 1.0 if column.endswith("_us") else 1e6 / TUTORIAL_ITERATIONS
    ratio = welch_ratio(a[column].tolist(), b[column].tolist())
    outcome, reason = judge(ratio, margin)
    if identical:  # the same processes on both sides: nothing is left to chance
        ratio, outcome, reason = Ratio(1.0, 1.0, 1.0, len(a)), "same", ""
    return Compared(
        case=key,
        a_us=float(a[column].median()) * unit,
        b_us=float(b[column].median()) * unit,
        a_processes=len(a),
        b_processes=len(b),
        ratio=ratio,
        outcome=outcome,
        reason=reason,
        noisy=a_noisy or b_noisy,
    )


def quiet(rows: pd.DataFrame) -> tuple[pd.DataFrame, bool]:
    """The processes that passed the noise gates, if at least half of them and three are; else all, and True."""
    calm = rows[~rows["noisy"].astype(bool)]
    enough = min(max(3, math.ceil(len(rows) / 2)), len(rows))
    return (calm, False) if len(calm) >= enough else (rows, True)


def describe_case(case: Key) -> str:
    """For people: `torch_nn cpu float32 2 threads 64x1000x100x10`."""
    style, device, dtype, precision, threads, *size = case
    told = f" {threads} thread{'' if threads == 1 else 's'}" if device == "cpu" else ""
    exact = f" {precision}" if precision != "ieee" else ""
    return f"{style} {device} {dtype}{exact}{told} {'x'.join(map(str, size))}"


def summary(found: Comparison) -> str:
    """`B is faster in 3 of 10 cases, slower in 1, the same in 4, undecided in 2`."""
    counts = found.counts
    words = [f"{'the ' if name == 'same' else ''}{name} in {counts[name]}" for name in OUTCOMES if counts[name]]
    if len(found.cases) == 0:
        return "no case can be compared"
    words[0] += f" of {len(found.cases)} case{'' if len(found.cases) == 1 else 's'}"
    return f"B is {', '.join(words)}"
