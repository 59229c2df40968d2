"""What is printed: tables and sentences for a terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.case import CASE_COLUMNS
from bench.problem import Problem
from bench.speedup import BASELINES, SIZE_COLUMNS, Speedup
from bench.table import Run

PREFERRED = ("tutorial", "tutorial-1", "numpy-1", "best-cpu")
PRIMARY = "best-cpu"


def print_run(console: Console, run: Run, found: Sequence[Speedup], baselines: Sequence[str] = ()) -> None:
    """A table a size, fastest first, then what was noisy, wrong or left out, each with its reason."""
    rows = run.measurements
    ok = rows[rows["status"] == "ok"]
    for group, same in ok.groupby(list(SIZE_COLUMNS), sort=True):
        size = cast(tuple[int, int, int, int], group)
        here = [one for one in found if one.contender[5:] == size and one.scope == "iteration"]
        console.print(size_table(size, same, here, baselines or chosen_baselines(here)))
    print_leftovers(console, rows)
    if (rows["environment"] == "kept").any():
        console.print("measured with distorting variables kept (--keep-env): these times are not comparable")


def chosen_baselines(found: Sequence[Speedup]) -> tuple[str, ...]:
    """Two baselines to show: the tutorial's own as far as it was measured, and the best CPU."""
    there = {one.baseline for one in found}
    first = next((name for name in PREFERRED if name in there), None)
    return tuple(dict.fromkeys(name for name in (first, PRIMARY) if name in there))


def size_table(
    size: tuple[int, int, int, int], same: pd.DataFrame, found: Sequence[Speedup], baselines: Sequence[str]
) -> Table:
    """One row a case of one size, sorted by median latency; speedups with their intervals against `baselines`."""
    flops = Problem(*size).flops
    table = Table(
        title=f"N x D_in x H x D_out = {'x'.join(map(str, size))}, {engineering(flops, 'FLOP')} an iteration",
        caption=caption(same, found, baselines),
        title_justify="left",
        caption_justify="left",
        box=None,
        pad_edge=False,
        header_style="bold",
    )
    for name in ("style", "device", "dtype"):
        table.add_column(name, no_wrap=True)
    for name in ("threads", "latency us", "spread", "throughput us", "first call us", "of floor"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in baselines:
        table.add_column(f"speedup over {name}", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    by_case = {(one.contender, one.baseline): one for one in found}
    cases = sorted(same.groupby(list(CASE_COLUMNS), sort=False), key=lambda item: _latency(item[1]))
    for key, rows in cases:
        table.add_row(*case_cells(key, rows), *(ratio_cell(by_case, key, name) for name in baselines), flags(rows))
    return table


def _latency(rows: pd.DataFrame) -> float:
    return float(rows["latency_median_us"].median())


def case_cells(key: tuple[Any, ...], rows: pd.DataFrame) -> list[str]:
    """Style to first call of one case: median over blocks of the process medians, and their half range."""
    style, device, dtype, precision, threads = key[:5]
    latency = rows["latency_median_us"]
    middle = float(latency.median())
    spread = (float(latency.max()) - float(latency.min())) / 2 / middle
    return [
        style,
        device,
        dtype if precision == "ieee" else f"{dtype} {precision}",
        str(threads) if device == "cpu" else "",
        microseconds(middle),
        f"±{spread:.1%}" if len(rows) > 1 else "",
        microseconds(float(rows["throughput_us"].median())),
        microseconds(float(rows["first_iteration_seconds"].median()) * 1e6),
        share(float(rows["floor_share"].median())) if rows["floor_share"].notna().any() else "",
    ]


def ratio_cell(by_case: Mapping[tuple[Any, str], Speedup], key: tuple[Any, ...], baseline: str) -> Text:
    """`12.3 [11.9, 12.7]`; the baseline itself says so, an unknown interval is a question mark."""
    one = by_case.get((key, baseline))
    if one is None:
        is_it = any(other.baseline_case == key and other.baseline == baseline for other in by_case.values())
        return Text("baseline" if is_it else "")
    ratio = one.ratio
    interval = f"[{number(ratio.low)}, {number(ratio.high)}]" if math.isfinite(ratio.low) else "[?]"
    return Text(f"{number(ratio.value)} {interval}")


def flags(rows: pd.DataFrame) -> str:
    """`noisy 2/10`: so many of so many blocks failed a gate, even when measured again."""
    noisy = int(rows["noisy"].astype(bool).sum())
    return f"noisy {noisy}/{len(rows)}" if noisy else ""


def caption(same: pd.DataFrame, found: Sequence[Speedup], baselines: Sequence[str]) -> str:
    """What the columns mean, with n and each baseline's whole name."""
    blocks = int(same["block"].nunique())
    lines = [
        f"latency: one iteration and its loss read on the host, median of {blocks} processes, ± half their range; "
        "throughput: an iteration in a batch; of floor: the machine's fastest product needs that share of the time."
    ]
    for name in baselines:
        one = next((speedup for speedup in found if speedup.baseline == name), None)
        if one is not None:
            style, device, dtype, _precision, threads = one.baseline_case[:5]
            lines.append(
                f"{name}: {BASELINES[name]}; here {style} {device} {dtype} {thread_count(int(threads))}, "
                f"{microseconds(one.baseline_us)} us. Intervals: 95%, paired by block."
            )
    return "\n".join(lines)


def print_leftovers(console: Console, rows: pd.DataFrame) -> None:
    """Cases without a number, grouped by status and reason."""
    bad = rows[rows["status"] != "ok"]
    for (status, reason), group in bad.groupby(["status", "reason"], sort=False):
        styles = dict.fromkeys(f"{row.style} {row.device} {row.dtype}" for row in group.itertuples())
        shown = ", ".join(list(styles)[:3]) + (f" and {len(styles) - 3} more" if len(styles) > 3 else "")
        console.print(Text(f"{status}: {shown}: {reason}"))


def number(value: float) -> str:
    """A ratio with three figures: 0.0421, 1.23, 12.3, 123."""
    if not math.isfinite(value) or value == 0:
        return str(value)
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{digits}f}"


def microseconds(value: float) -> str:
    """Microseconds with about three figures and thousands separated."""
    if not math.isfinite(value):
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def share(value: float) -> str:
    """`62%`, and `<1%` rather than 0%."""
    return "<1%" if value < 0.01 else f"{value:.0%}"


def thread_count(threads: int) -> str:
    """`1 thread`, `2 threads`."""
    return "1 thread" if threads == 1 else f"{threads} threads"


def engineering(value: float, unit: str) -> str:
    """26.2 MFLOP."""
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{number(value / factor)} {prefix}{unit}"
    return f"{value:.0f} {unit}"


def duration(seconds: float) -> str:
    """45 s, 3 min 20 s, 1 h 05 min."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
