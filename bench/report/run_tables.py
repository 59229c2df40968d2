"""The tables of a run, for the terminal and the page: a sheet a size, every speedup, what has no number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd
from rich.console import Console

from bench.cases.case import CASE_COLUMNS, CaseKey
from bench.cases.problem import Size
from bench.report.at_once import at_once_notes, launch_cell
from bench.report.notes import baseline_notes, common_notes
from bench.report.sheet import Cell, Sheet, print_sheet, print_words, sheet
from bench.tables.by_case import cases_in, sizes_in
from bench.verdict.evidence import Evidence
from bench.verdict.judgement import base_words, best_of_each, leads, style_words
from bench.verdict.ratios.intervals import Ratio
from bench.verdict.ratios.one_speed import speed_words
from bench.verdict.ratios.speedup import PRIMARY, Speedup, chosen_baselines, mean_us
from bench.words import counted, engineering, grouped, microseconds, number, percent, share, thread_count

LEGEND = (
    "latency: one iteration and its loss read on the host, the geometric mean over processes of their medians; ±: half "
    "the range of these; speedup: how many times as fast as that baseline, [low, high] its {confidence} interval, "
    "paired by block (a verdict's is wider, for its choice); us in a batch: an iteration of many whose losses nobody "
    "reads; first call: the first iteration of a process, the median over processes; of floor: the share of the time "
    "that the machine's fastest product would need; noisy: how many of the blocks failed a noise gate, even when "
    "measured again."
)
HEAPS = "heap: malloc's, as the tutorial's script alone has it, kept whole, or warm from what a worker did before."
KEPT = "measured with distorting variables kept: these times are not comparable"
MOST_FIRST = 8  # rows of a page's first table
IN_A_BATCH = "us in a batch"  # the scope `throughput`, which is a time
CONSTANT = ("device", "dtype", "threads", "heap", "blocks")
LEAVE_OUT = ("first call us", "blocks", IN_A_BATCH, "of floor", "heap")  # in this order, where a line is short
SPEEDUP_OVER = "speedup over "


def print_run(console: Console, evidence: Evidence, baselines: Sequence[str] = (), *, explain: bool = True) -> None:
    """A table a size, fastest first, what its columns mean, then what was wrong or left out, each with its reason."""
    run = evidence.run
    for table in size_sheets(evidence, baselines):
        ratios = [column.name for column in table.columns if column.name.startswith(SPEEDUP_OVER)]
        ratios.sort(key=f"{SPEEDUP_OVER}{PRIMARY}".__eq__)  # the last one stays
        print_sheet(console, table, (*LEAVE_OUT, *ratios[:-1]))
        console.print()
    if explain and len(evidence.rows):
        print_words(console, f"{legend(evidence)} On {run.machine.get('cpu_model') or 'unknown processor'}.")
        if moved := speed_words(run.measurements):
            print_words(console, moved)
    for line in leftover_lines(run.measurements):
        print_words(console, line)
    if (run.measurements["environment"] == "kept").any():
        print_words(console, KEPT)


def legend(evidence: Evidence) -> str:
    """What the columns of `size_sheets` mean."""
    words = LEGEND.format(confidence=percent(evidence.confidence))
    return f"{words} {HEAPS}" if evidence.rows["heap"].notna().any() else words


def size_sheets(evidence: Evidence, baselines: Sequence[str] = ()) -> list[Sheet]:
    """A sheet for each size, small to large; cases fastest first, speedups over `baselines` or the chosen two."""
    return [_size_sheet(evidence, size, same, baselines) for size, same in sizes_in(evidence.rows)]


def first_sheet(evidence: Evidence) -> Sheet:
    """What a page begins with, narrow enough for a phone: the answer at each size, or at one the best of each style."""
    found = [one for one in leads(evidence) if one.speedup is not None]
    if not found:
        return sheet("", [])
    name = f"{SPEEDUP_OVER}{base_words(found[0].baseline)}"
    best = {one.speedup.contender: one.speedup for one in found if one.speedup is not None}
    sizes = len(found) > 1
    if not sizes:
        over = [one for one in evidence.by_iteration(found[0].size) if one.baseline == found[0].baseline]
        best = {one.contender: best.get(one.contender, one) for one in best_of_each(over)[:MOST_FIRST]}
    rows: list[Mapping[str, Cell | str]] = []
    for case, one in best.items():
        work = Cell(case.size.short, engineering(case.size.flops, "FLOP"))
        who = f"{style_words(case)}, {thread_count(case.threads) if case.on_cpu else case.device}"
        rows.append(
            {"size": work if sizes else "", "fastest" if sizes else "style": who,
             "us": time_cell(one.contender_us), name: ratio_cell(one.ratio)}
        )  # fmt: skip
    title = "The fastest at each size" if sizes else f"The best of each style at {found[0].size.short}"
    notes = [] if sizes else baseline_notes(evidence, found[0].size, [found[0].baseline])
    return sheet(title, rows, notes, prose=("fastest", "style"))


def _size_sheet(evidence: Evidence, size: Size, same: pd.DataFrame, baselines: Sequence[str]) -> Sheet:
    found = evidence.by_iteration(size)
    baselines = baselines or chosen_baselines(found)
    by_case = {(one.contender, one.baseline): one.ratio for one in found}
    bases = {(one.baseline_case, one.baseline) for one in found}
    rows: list[Mapping[str, Cell | str]] = []
    for case, of_case in sorted(cases_in(same), key=lambda item: _place(item[1])):
        speedups = {
            f"{SPEEDUP_OVER}{name}": ratio_cell(by_case.get((case, name)), is_baseline=(case, name) in bases)
            for name in baselines
        }
        rows.append(
            {**case_cells(case), "heap": _heap(of_case), **_time_cells(of_case), **speedups, **_side_cells(of_case)}
        )
    title = f"{size} (N x D_in x H x D_out), {engineering(size.flops, 'FLOP')} an iteration"
    shown = [one for one in found if one.baseline in baselines]
    notes = [*baseline_notes(evidence, size, baselines), *common_notes(same, shown), *at_once_notes(same)]
    return sheet(title, rows, notes, constant=CONSTANT)


def _place(rows: pd.DataFrame) -> tuple[bool, float]:
    """Fastest first; last the cases that have no time by iteration, by throughput."""
    latency = mean_us(rows)
    return (False, latency) if latency > 0 else (True, mean_us(rows, "throughput"))


def case_cells(case: CaseKey) -> dict[str, Cell]:
    """Style, device, dtype and, on a CPU, threads."""
    threads = Cell(str(case.threads), sort=float(case.threads)) if case.on_cpu else Cell("")
    words = {"style": case.style, "device": case.device, "dtype": case.arithmetic}
    return {**{name: Cell(text) for name, text in words.items()}, "threads": threads}


def _heap(rows: pd.DataFrame) -> str:
    """Of malloc; empty for cases on an accelerator, and where an older run does not say."""
    known = rows["heap"][rows["device"] == "cpu"].dropna()
    return str(known.iloc[0]) if len(known) else ""


def _time_cells(rows: pd.DataFrame) -> dict[str, Cell]:
    latency, mean = rows["latency_median_us"], mean_us(rows)
    if latency.isna().all():
        return {"latency us": Cell("")}
    spread = f"±{(float(latency.max()) - float(latency.min())) / 2 / mean:.1%}" if len(rows) > 1 else ""
    return {"latency us": Cell(microseconds(mean), spread, mean)}


def _side_cells(rows: pd.DataFrame) -> dict[str, Cell]:
    floor, noisy = float(rows["floor_share"].median()), int(rows["noisy"].astype(bool).sum())
    return {
        IN_A_BATCH: time_cell(mean_us(rows, "throughput")),
        "first call us": time_cell(float(rows["first_iteration_seconds"].median()) * 1e6),
        **launch_cell(rows),
        "of floor": Cell(share(floor), sort=floor) if math.isfinite(floor) else Cell(""),
        "blocks": count_cell(len(rows)),
        "noisy": Cell(f"{noisy}/{len(rows)}", sort=noisy / len(rows)) if noisy else Cell(""),
    }


def time_cell(us: float) -> Cell:
    """Microseconds; empty where unknown."""
    return Cell(microseconds(us), sort=us) if math.isfinite(us) else Cell("")


def times_cell(ratio: float, small: str = "") -> Cell:
    """`98.1x`."""
    return Cell(f"{number(ratio)}x", small, ratio)


def count_cell(count: int) -> Cell:
    """A whole number."""
    return Cell(f"{count:,}", sort=float(count))


def ratio_cell(ratio: Ratio | None, *, is_baseline: bool = False) -> Cell:
    """`12.3` and `[11.9, 12.7]`; the baseline itself says so, an unknown interval is a question mark."""
    if ratio is None:
        return Cell("baseline", sort=1.0) if is_baseline else Cell("")
    return Cell(number(ratio.value), interval_words(ratio), ratio.value)


def interval_words(ratio: Ratio) -> str:
    """`[11.9, 12.7]`, `[?]` without an interval."""
    return f"[{number(ratio.low)}, {number(ratio.high)}]" if math.isfinite(ratio.low) else "[?]"


def speedup_sheet(found: Sequence[Speedup]) -> Sheet:
    """Every speedup there is: each case, baseline and scope."""
    rows: list[Mapping[str, Cell | str]] = [
        {
            **case_cells(one.contender),
            "size": Cell(str(one.contender.size), sort=float(one.contender.size.flops)),
            "scope": one.scope,
            "against": Cell(one.baseline, one.baseline_case.label),
            "baseline us": time_cell(one.baseline_us),
            "time us": time_cell(one.contender_us),
            "speedup": ratio_cell(one.ratio),
            "blocks": count_cell(one.ratio.blocks),
            "noisy": "noisy" if one.noisy else "",
        }
        for one in found
    ]
    return sheet("Every speedup", rows)


def leftover_sheet(measurements: pd.DataFrame) -> Sheet:
    """Cases without a number, each with its status and reason."""
    bad = measurements[measurements["status"] != "ok"]
    rows: list[Mapping[str, Cell | str]] = []
    for (*key, status, reason), group in bad.groupby([*CASE_COLUMNS, "status", "reason"], sort=False):
        what, why = str(CaseKey.of(key)), str(reason) or "no reason given"
        rows.append({"what": what, "status": str(status), "why": why, "times": count_cell(len(group))})
    return sheet("What has no number", rows, prose=("what", "why"))


def leftover_lines(measurements: pd.DataFrame) -> list[str]:
    """The same in a line a status and reason, three cases named; of a case the first reason for each status."""
    bad = measurements[measurements["status"] != "ok"].drop_duplicates([*CASE_COLUMNS, "status"])
    cases = map(CaseKey.of, bad[list(CASE_COLUMNS)].itertuples(index=False))
    whys = bad["status"] + ": " + bad["reason"].replace("", "no reason given")
    return grouped(zip(whys, map(str, cases), strict=True))


def best_sheet(evidence: Evidence, most: int = 5) -> Sheet:
    """The fastest cases at the size that is shown, against the tutorial's own numpy as far as that was measured."""
    size = evidence.shown_size
    baselines = chosen_baselines(evidence.by_iteration(size))[:1]
    whole = _size_sheet(evidence, size, evidence.rows_at(size), baselines)
    few = f"the {most} fastest of {len(whole.rows)}, " if len(whole.rows) > most else ""
    shown = whole.without((*LEAVE_OUT, "noisy"))
    return replace(shown, title=few + whole.title, rows=shown.rows[:most], notes=())


def noise_words(measurements: pd.DataFrame, busiest: str = "") -> str:
    """Which cases failed the noise gates in most of their blocks, and the cure; empty where at most a few did."""
    ok = measurements[measurements["status"] == "ok"]
    shares = [float(rows["noisy"].astype(bool).mean()) for _, rows in cases_in(ok)]
    noisy = sum(share > 0.5 for share in shares)
    if noisy * 2 < max(len(shares), 1):
        return ""
    which = f"all {counted(noisy, 'case')}" if noisy == len(shares) else f"{noisy} of {counted(len(shares), 'case')}"
    return f"{which} noisy: the machine is busy; stop {busiest or 'what else runs'} or add blocks (--blocks)"
