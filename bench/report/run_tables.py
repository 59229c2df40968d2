"""What is printed: tables and sentences for a terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from bench.cases.case import CaseKey
from bench.cases.problem import Size
from bench.tables.by_case import cases_in, sizes_in
from bench.verdict.evidence import Evidence
from bench.verdict.one_speed import speed_words
from bench.verdict.speedup import BASELINES, Speedup, chosen_baselines, mean_us
from bench.words import engineering, microseconds, number, percent, share

LEFT = ("style", "device", "dtype", "")
LEGEND = (
    "latency: one iteration and its loss read on the host, mean over processes of their medians; spread: half the "
    "range of these; throughput: an iteration within a batch; of floor: the share of the time that the machine's "
    "fastest product would need; vs: how many times as fast as that baseline, [low, high] its {confidence} interval, "
    "paired by block. On {machine}."
)


LEAVE_OUT = ("first call us", "throughput us", "of floor")  # in this order, where a line is short


def print_run(console: Console, evidence: Evidence, baselines: Sequence[str] = ()) -> None:
    """A table a size, fastest first, then what was noisy, wrong or left out, each with its reason."""
    run = evidence.run
    for size, same in sizes_in(evidence.rows):
        here = evidence.by_iteration(size)
        console.print(fitting_table(console, size, same, here, baselines or chosen_baselines(here)))
        console.print()
    if len(evidence.rows):
        console.print(
            LEGEND.format(
                machine=run.machine.get("cpu_model") or "unknown processor", confidence=percent(evidence.confidence)
            )
        )
        if moved := speed_words(run.measurements):
            console.print(moved)
    else:
        console.print("no case could be measured")
    print_leftovers(console, run.measurements)
    if (run.measurements["environment"] == "kept").any():
        console.print("measured with distorting variables kept (--keep-env): these times are not comparable")


def fitting_table(
    console: Console,
    size: Size,
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


def size_table(
    size: Size,
    same: pd.DataFrame,
    found: Sequence[Speedup],
    baselines: Sequence[str],
    leave_out: Sequence[str] = (),
) -> Table:
    """One row a case of one size, sorted by median latency; speedups with their intervals against `baselines`."""
    table = Table(
        title=f"{size} (N x D_in x H x D_out), {engineering(size.flops, 'FLOP')} an iteration",
        caption=caption(found, baselines),
        title_justify="left",
        caption_justify="left",
        box=None,
        pad_edge=False,
        header_style="bold",
    )
    by_case = {(one.contender, one.baseline): one for one in found}
    cases = sorted(cases_in(same), key=lambda item: mean_us(item[1]))
    for index, (key, rows) in enumerate(cases):
        ratios = {f"vs {name}": ratio_cell(by_case, key, name) for name in baselines}
        cells: dict[str, str | Text] = {**case_cells(key, rows), **ratios, "": flags(rows)}
        shown = {name: cell for name, cell in cells.items() if name not in leave_out}
        if index == 0:
            for name in shown:
                table.add_column(name, justify="left" if name in LEFT else "right", no_wrap=True)
        table.add_row(*shown.values())
    return table


def case_cells(case: CaseKey, rows: pd.DataFrame) -> dict[str, str]:
    """Style to floor of one case by column: means over blocks of the processes' values, and half their range."""
    latency = rows["latency_median_us"]
    mean = mean_us(rows)
    spread = (float(latency.max()) - float(latency.min())) / 2 / mean
    return {
        "style": case.style,
        "device": case.device,
        "dtype": case.arithmetic,
        "threads": str(case.threads) if case.on_cpu else "",
        "latency us": microseconds(mean),
        "spread": f"±{spread:.1%}" if len(rows) > 1 else "",
        "throughput us": microseconds(mean_us(rows, "throughput")),
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
            who = f"{one.baseline_case.label}, {microseconds(one.baseline_us)} us"
            lines.append(f"{name}: {BASELINES[name]}; here {who}")
    return "\n".join(lines)


def print_leftovers(console: Console, rows: pd.DataFrame) -> None:
    """Cases without a number, grouped by status and reason."""
    bad = rows[rows["status"] != "ok"]
    for (status, reason), group in bad.groupby(["status", "reason"], sort=False):
        styles = dict.fromkeys(f"{row.style} {row.device} {row.dtype}" for row in group.itertuples())
        shown = ", ".join(list(styles)[:3]) + (f" and {len(styles) - 3} more" if len(styles) > 3 else "")
        console.print(Text(f"{status}: {shown}: {reason}"))
