"""What is printed: tables and sentences for a terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pandas as pd
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from bench.case import CASE_COLUMNS, SIZE_COLUMNS
from bench.core_speed import at_one_speed, speed_words
from bench.problem import Problem
from bench.speedup import BASELINES, Speedup, confidence_of
from bench.table import Run

PREFERRED = ("tutorial", "tutorial-1", "numpy-1", "best-cpu")
PRIMARY = "best-cpu"
LEFT = ("style", "device", "dtype", "")
LEGEND = (
    "latency: one iteration and its loss read on the host, median over processes of their medians; spread: half the "
    "range of these; throughput: an iteration within a batch; of floor: the share of the time that the machine's "
    "fastest product would need; vs: how many times as fast as that baseline, [low, high] its {confidence} interval, "
    "paired by block. On {machine}."
)


LEAVE_OUT = ("first call us", "throughput us", "of floor")  # in this order, where a line is short


def print_run(console: Console, run: Run, found: Sequence[Speedup], baselines: Sequence[str] = ()) -> None:
    """A table a size, fastest first, then what was noisy, wrong or left out, each with its reason."""
    rows = run.measurements
    ok = at_one_speed(rows[rows["status"] == "ok"])
    for group, same in ok.groupby(list(SIZE_COLUMNS), sort=True):
        size = cast(tuple[int, int, int, int], group)
        here = [one for one in found if one.contender[5:] == size and one.scope == "iteration"]
        console.print(fitting_table(console, size, same, here, baselines or chosen_baselines(here)))
        console.print()
    if len(ok):
        console.print(
            LEGEND.format(
                machine=run.machine.get("cpu_model") or "unknown processor",
                confidence=percent(confidence_of(run.machine)),
            )
        )
        if moved := speed_words(rows):
            console.print(moved)
    else:
        console.print("no case could be measured")
    print_leftovers(console, rows)
    if (rows["environment"] == "kept").any():
        console.print("measured with distorting variables kept (--keep-env): these times are not comparable")


def fitting_table(
    console: Console,
    size: tuple[int, int, int, int],
    same: pd.DataFrame,
    found: Sequence[Speedup],
    baselines: Sequence[str],
) -> Table:
    """The table of one size with as many columns as the console has room for; the speedups always stay."""
    for dropped in range(len(LEAVE_OUT) + 1):
        table = size_table(size, same, found, baselines, LEAVE_OUT[:dropped])
        table.expand = False
        if Measurement.get(console, console.options.update(width=10**4), table).maximum <= console.width:
            break
    return table


def chosen_baselines(found: Sequence[Speedup]) -> tuple[str, ...]:
    """Two baselines to show: the tutorial's own as far as it was measured, and the best CPU."""
    there = {one.baseline for one in found}
    first = next((name for name in PREFERRED if name in there), None)
    return tuple(dict.fromkeys(name for name in (first, PRIMARY) if name in there))


def size_table(
    size: tuple[int, int, int, int],
    same: pd.DataFrame,
    found: Sequence[Speedup],
    baselines: Sequence[str],
    leave_out: Sequence[str] = (),
) -> Table:
    """One row a case of one size, sorted by median latency; speedups with their intervals against `baselines`."""
    flops = Problem(*size).flops
    table = Table(
        title=f"{'x'.join(map(str, size))} (N x D_in x H x D_out), {engineering(flops, 'FLOP')} an iteration",
        caption=caption(found, baselines),
        title_justify="left",
        caption_justify="left",
        box=None,
        pad_edge=False,
        header_style="bold",
    )
    by_case = {(one.contender, one.baseline): one for one in found}
    cases = sorted(same.groupby(list(CASE_COLUMNS), sort=False), key=lambda item: _latency(item[1]))
    for index, (key, rows) in enumerate(cases):
        ratios = {f"vs {name}": ratio_cell(by_case, key, name) for name in baselines}
        cells: dict[str, str | Text] = {**case_cells(key, rows), **ratios, "": flags(rows)}
        shown = {name: cell for name, cell in cells.items() if name not in leave_out}
        if index == 0:
            for name in shown:
                table.add_column(name, justify="left" if name in LEFT else "right", no_wrap=True)
        table.add_row(*shown.values())
    return table


def _latency(rows: pd.DataFrame) -> float:
    return float(rows["latency_median_us"].median())


def case_cells(key: tuple[Any, ...], rows: pd.DataFrame) -> dict[str, str]:
    """Style to floor of one case by column: medians over blocks of the processes' values, and half their range."""
    style, device, dtype, precision, threads = key[:5]
    latency = rows["latency_median_us"]
    middle = float(latency.median())
    spread = (float(latency.max()) - float(latency.min())) / 2 / middle
    return {
        "style": style,
        "device": device,
        "dtype": dtype if precision == "ieee" else f"{dtype} {precision}",
        "threads": str(threads) if device == "cpu" else "",
        "latency us": microseconds(middle),
        "spread": f"±{spread:.1%}" if len(rows) > 1 else "",
        "throughput us": microseconds(float(rows["throughput_us"].median())),
        "first call us": microseconds(float(rows["first_iteration_seconds"].median()) * 1e6),
        "of floor": share(float(rows["floor_share"].median())) if rows["floor_share"].notna().any() else "",
    }


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


def caption(found: Sequence[Speedup], baselines: Sequence[str]) -> str:
    """Who each baseline is at this size, and its time."""
    lines = []
    for name in baselines:
        one = next((speedup for speedup in found if speedup.baseline == name), None)
        if one is not None:
            style, device, dtype, _precision, threads = one.baseline_case[:5]
            who = f"{style} {device} {dtype} {thread_count(int(threads))}, {microseconds(one.baseline_us)} us"
            lines.append(f"{name}: {BASELINES[name]}; here {who}")
    return "\n".join(lines)


def print_leftovers(console: Console, rows: pd.DataFrame) -> None:
    """Cases without a number, grouped by status and reason."""
    bad = rows[rows["status"] != "ok"]
    for (status, reason), group in bad.groupby(["status", "reason"], sort=False):
        styles = dict.fromkeys(f"{row.style} {row.device} {row.dtype}" for row in group.itertuples())
        shown = ", ".join(list(styles)[:3]) + (f" and {len(styles) - 3} more" if len(styles) > 3 else "")
        console.print(Text(f"{status}: {shown}: {reason}"))


def number(value: float) -> str:
    """A ratio with three figures: 0.0421, 1.23, 12.3, 123; beyond what anybody compares only its side."""
    if not math.isfinite(value) or value == 0:
        return str(value)
    if not 1e-3 <= abs(value) < 1e5:
        return "<0.001" if abs(value) < 1 else ">99,999"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{digits}f}"


def microseconds(value: float) -> str:
    """Microseconds with about three figures and thousands separated."""
    if not math.isfinite(value):
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def percent(value: float) -> str:
    """`95%`, `98.3%`."""
    return f"{100 * value:.3g}%"


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
