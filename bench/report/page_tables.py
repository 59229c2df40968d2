"""The tables of a run's page as plain cells: what is shown, what it sorts by (pure)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pandas as pd

from bench.cases.case import CASE_COLUMNS, SIZE_COLUMNS
from bench.cases.problem import Problem
from bench.report.run_tables import caption, flags
from bench.verdict.speedup import Speedup, chosen_baselines, trusted
from bench.words import engineering, microseconds, number, share, thread_count

Key = tuple[Any, ...]


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


def size_sheets(measurements: pd.DataFrame, found: Sequence[Speedup]) -> list[Sheet]:
    """A sheet for each size, small to large, its cases fastest first."""
    ok = trusted(measurements)
    sheets = []
    for group, same in ok.groupby(list(SIZE_COLUMNS), sort=True):
        size = cast(tuple[int, int, int, int], group)
        here = [one for one in found if one.contender[5:] == size and one.scope == "iteration"]
        sheets.append(_size_sheet(size, same, here))
    return sheets


def _size_sheet(size: tuple[int, int, int, int], same: pd.DataFrame, found: Sequence[Speedup]) -> Sheet:
    baselines = chosen_baselines(found)
    by_case = {(one.contender, one.baseline): one for one in found}
    bases = {(one.baseline_case, one.baseline) for one in found}
    cases = sorted(same.groupby(list(CASE_COLUMNS), sort=False), key=lambda item: _middle(item[1], "latency_median_us"))
    rows = []
    for key, of_case in cases:
        ratios = {f"speedup over {name}": _ratio(by_case, bases, key, name) for name in baselines}
        rows.append({**_case_cells(key, of_case), **ratios, **_side_cells(of_case)})
    title = f"{'x'.join(map(str, size))}: {engineering(Problem(*size).flops, 'FLOP')} an iteration"
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


def _case_cells(key: Any, rows: pd.DataFrame) -> dict[str, Cell]:
    style, device, dtype, precision, threads = key[:5]
    latency = rows["latency_median_us"]
    middle = float(latency.median())
    spread = (float(latency.max()) - float(latency.min())) / 2 / middle
    return {
        "style": Cell(style),
        "device": Cell(device),
        "dtype": Cell(dtype if precision == "ieee" else f"{dtype} {precision}"),
        "threads": Cell(str(threads), sort=float(threads)) if device == "cpu" else Cell(""),
        "latency us": Cell(microseconds(middle), f"±{spread:.1%}" if len(rows) > 1 else "", middle),
    }


def _side_cells(rows: pd.DataFrame) -> dict[str, Cell]:
    return {
        "throughput us": _time(rows, "throughput_us"),
        "first call us": _time(rows, "first_iteration_seconds", 1e6),
        "of floor": _share(rows),
        "blocks": Cell(str(len(rows)), sort=float(len(rows))),
        "noise": Cell(flags(rows)),
    }


def _time(rows: pd.DataFrame, column: str, unit: float = 1.0) -> Cell:
    value = _middle(rows, column) * unit
    return Cell(microseconds(value), sort=value) if math.isfinite(value) else Cell("")


def _share(rows: pd.DataFrame) -> Cell:
    value = _middle(rows, "floor_share")
    return Cell(share(value), sort=value) if math.isfinite(value) else Cell("")


def _middle(rows: pd.DataFrame, column: str) -> float:
    return float(rows[column].median())


def _ratio(by_case: Mapping[tuple[Any, str], Speedup], bases: set[tuple[Any, str]], key: Key, baseline: str) -> Cell:
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
        style, device, dtype, precision, threads, *size = one.contender
        base_style, base_device, base_dtype, _precision, base_threads = one.baseline_case[:5]
        flops = Problem(*cast(tuple[int, int, int, int], tuple(size))).flops
        rows.append(
            {
                "style": Cell(str(style)),
                "device": Cell(str(device)),
                "dtype": Cell(str(dtype) if precision == "ieee" else f"{dtype} {precision}"),
                "threads": Cell(str(threads), sort=float(threads)) if device == "cpu" else Cell(""),
                "size": Cell("x".join(map(str, size)), sort=float(flops)),
                "scope": Cell(one.scope),
                "against": Cell(
                    one.baseline, f"{base_style} {base_device} {base_dtype} {thread_count(int(base_threads))}"
                ),
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
        style, device, dtype, precision, _threads, *size = key
        exact = "" if precision == "ieee" else f" {precision}"
        rows.append(
            {
                "what": Cell(f"{style} {device} {dtype}{exact} {'x'.join(map(str, size))}"),
                "status": Cell(str(status)),
                "why": Cell(str(reason) or "no reason given"),
                "times": Cell(str(len(group)), sort=float(len(group))),
            }
        )
    return _sheet("What has no number", rows)
