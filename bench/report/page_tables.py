"""The tables of a run's page as plain cells: what is shown, what it sorts by (pure)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench.cases.case import CASE_COLUMNS, CaseKey
from bench.cases.problem import Size
from bench.report.run_tables import caption, flags
from bench.tables.by_case import cases_in, sizes_in
from bench.verdict.evidence import Evidence
from bench.verdict.speedup import Speedup, chosen_baselines, mean_us
from bench.words import engineering, microseconds, number, share


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: its text, a small second text (an interval, a spread), the number it sorts by where it has one."""

    text: str
    small: str = ""
    sort: float | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table: title, columns with whether each holds numbers, rows of cells, notes below."""

    title: str
    columns: tuple[tuple[str, bool], ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()


TEXTS = ("style", "device", "dtype", "noise", "against", "scope", "what", "why", "status")
COMMON = ("device", "dtype", "threads", "blocks")


def size_sheets(evidence: Evidence) -> list[Sheet]:
    """A sheet for each size, small to large, its cases fastest first."""
    return [_size_sheet(size, same, evidence.by_iteration(size)) for size, same in sizes_in(evidence.rows)]


def _size_sheet(size: Size, same: pd.DataFrame, found: Sequence[Speedup]) -> Sheet:
    baselines = chosen_baselines(found)
    by_case = {(one.contender, one.baseline): one for one in found}
    bases = {(one.baseline_case, one.baseline) for one in found}
    rows = []
    for case, of_case in sorted(cases_in(same), key=lambda item: mean_us(item[1])):
        ratios = {f"speedup over {name}": _ratio(by_case, bases, case, name) for name in baselines}
        rows.append({**_case_cells(case, of_case), **ratios, **_side_cells(of_case)})
    title = f"{size}: {engineering(size.flops, 'FLOP')} an iteration"
    rows, common = _without_common(rows)
    return _sheet(title, rows, (*common, *caption(found, baselines).splitlines()))


def _without_common(rows: Sequence[Mapping[str, Cell]]) -> tuple[list[dict[str, Cell]], list[str]]:
    """Columns that say the same in every row become one sentence, since a phone has little room."""
    if len(rows) < 2:
        return [dict(row) for row in rows], []
    same = [name for name in COMMON if rows[0][name].text and len({row[name].text for row in rows}) == 1]
    told = ", ".join(f"{name} {rows[0][name].text}" for name in same)
    left = [{name: cell for name, cell in row.items() if name not in same} for row in rows]
    return left, [f"In every row: {told}."] if same else []


def _sheet(title: str, rows: Sequence[Mapping[str, Cell]], notes: Sequence[str] = ()) -> Sheet:
    """Columns in which every row is empty are left out."""
    used = [name for name in rows[0] if any(row[name].text for row in rows)] if rows else []
    columns = tuple((name, name not in TEXTS) for name in used)
    return Sheet(title, columns, tuple(tuple(row[name] for name in used) for row in rows), tuple(notes))


def _case_cells(case: CaseKey, rows: pd.DataFrame) -> dict[str, Cell]:
    latency = rows["latency_median_us"]
    mean = mean_us(rows)
    spread = (float(latency.max()) - float(latency.min())) / 2 / mean
    return {
        "style": Cell(case.style),
        "device": Cell(case.device),
        "dtype": Cell(case.arithmetic),
        "threads": Cell(str(case.threads), sort=float(case.threads)) if case.on_cpu else Cell(""),
        "latency us": Cell(microseconds(mean), f"±{spread:.1%}" if len(rows) > 1 else "", mean),
    }


def _side_cells(rows: pd.DataFrame) -> dict[str, Cell]:
    return {
        "throughput us": _time(mean_us(rows, "throughput")),
        "first call us": _time(_middle(rows, "first_iteration_seconds") * 1e6),
        "of floor": _share(rows),
        "blocks": Cell(str(len(rows)), sort=float(len(rows))),
        "noise": Cell(flags(rows)),
    }


def _time(value: float) -> Cell:
    return Cell(microseconds(value), sort=value) if math.isfinite(value) else Cell("")


def _share(rows: pd.DataFrame) -> Cell:
    value = _middle(rows, "floor_share")
    return Cell(share(value), sort=value) if math.isfinite(value) else Cell("")


def _middle(rows: pd.DataFrame, column: str) -> float:
    return float(rows[column].median())


def _ratio(
    by_case: Mapping[tuple[Any, str], Speedup], bases: set[tuple[Any, str]], key: CaseKey, baseline: str
) -> Cell:
    one = by_case.get((key, baseline))
    if one is None:
        return Cell("baseline", sort=1.0) if (key, baseline) in bases else Cell("")
    return ratio_cell(one)


def ratio_cell(one: Speedup) -> Cell:
    """`12.3x` and its interval, which is unknown after a single block."""
    ratio = one.ratio
    interval = f"[{number(ratio.low)}, {number(ratio.high)}]" if math.isfinite(ratio.low) else "[?]"
    return Cell(f"{number(ratio.value)}x", interval, ratio.value)


def speedup_sheet(found: Sequence[Speedup]) -> Sheet:
    """Every speedup there is: each case, baseline and scope."""
    rows = []
    for one in found:
        case = one.contender
        rows.append(
            {
                "style": Cell(case.style),
                "device": Cell(case.device),
                "dtype": Cell(case.arithmetic),
                "threads": Cell(str(case.threads), sort=float(case.threads)) if case.on_cpu else Cell(""),
                "size": Cell(str(case.size), sort=float(case.size.flops)),
                "scope": Cell(one.scope),
                "against": Cell(one.baseline, one.baseline_case.label),
                "baseline us": Cell(microseconds(one.baseline_us), sort=one.baseline_us),
                "time us": Cell(microseconds(one.contender_us), sort=one.contender_us),
                "speedup": ratio_cell(one),
                "blocks": Cell(str(one.ratio.blocks), sort=float(one.ratio.blocks)),
                "noise": Cell("noisy" if one.noisy else ""),
            }
        )
    return _sheet("Every speedup", rows)


def leftover_sheet(measurements: pd.DataFrame) -> Sheet:
    """Cases without a number, each with its status and reason."""
    bad = measurements[measurements["status"] != "ok"]
    rows = []
    for (*key, status, reason), group in bad.groupby([*CASE_COLUMNS, "status", "reason"], sort=False):
        case = CaseKey.of(key)
        rows.append(
            {
                "what": Cell(f"{case.style} {case.device} {case.arithmetic} {case.size}"),
                "status": Cell(str(status)),
                "why": Cell(str(reason) or "no reason given"),
                "times": Cell(str(len(group)), sort=float(len(group))),
            }
        )
    return _sheet("What has no number", rows)
