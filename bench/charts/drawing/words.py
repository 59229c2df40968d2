"""The words around a chart that come from a run: its finding, its size, n, what was left out, the machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import pandas as pd

from bench.cases.case import CASE_COLUMNS
from bench.cases.problem import Size
from bench.charts.drawing.quantity import quantity
from bench.tables.by_case import cases_in, sizes_in
from bench.tables.machine_words import processor, versions
from bench.tables.run import Run
from bench.verdict.claim import REFUTED, SUPPORTED, TUTORIAL_CLAIM, Finding
from bench.verdict.crossover import Crossover
from bench.verdict.judgement import base_words
from bench.verdict.ratios.speedup import Speedup, mean_us
from bench.words import beside, counted, engineering, number, percent, thread_count

BY_OUTCOME = {SUPPORTED: "which is 50x", REFUTED: "not 50x"}


def interval_words(confidence: float) -> str:
    """`95% interval`; a run that judged several times says `98.3% interval`."""
    return f"{percent(confidence)} interval"


def finding_words(one: Finding) -> str:
    """What a ladder found, for its title: `12.3x, not 50x: torch_tensors on a GPU over the fastest CPU style`."""
    base = base_words(one.baseline)
    if one.speedup is None:
        case = one.baseline_case
        return f"Nothing in float32 here is faster than {base}" + (
            f", {case.style} on {thread_count(case.threads)}" if case else ""
        )
    who, ratio = one.speedup.contender, beside(one.speedup.ratio.value, TUTORIAL_CLAIM.threshold)
    if who.on_cpu:
        return f"{who.style} on {thread_count(who.threads)} is {ratio}x as fast as {base}"
    return f"{ratio}x, {BY_OUTCOME.get(one.verdict.outcome, '50x undecided')}: {who.style} on a GPU over {base}"


def work_words(found: Sequence[Finding], crossovers: Sequence[Crossover]) -> str:
    """What the sizes found, for a title: from which work on a GPU is faster and 50x as fast, else the CPU's range."""
    known = [one.speedup for one in found if one.speedup is not None]
    base = base_words(found[0].baseline) if found else "any baseline"
    if not crossovers:
        values = [one.ratio.value for one in known]
        least, most = (number(value) for value in (min(values, default=1.0), max(values, default=1.0)))
        times = f"{least}x" if least == most else f"{least}x to {most}x"
        on_cpu = f"the fastest CPU style is {times} as fast as {base}"
        return f"No GPU was measured in float32; {on_cpu}" if known else "No speedup in float32"
    at = {one.target: one for one in crossovers}
    faster, fifty = _from_words(at[1.0], f"faster than {base}", known), _from_words(at[50.0], "50x as fast", known)
    return f"A GPU is {faster}, {fifty}"


def growth_words(rows: pd.DataFrame) -> str:
    """What the sizes found: how much more time so much more work takes, each size in its fastest case."""
    fastest = {float(size.flops): min(mean_us(case) for _, case in cases_in(same)) for size, same in sizes_in(rows)}
    least, most = min(fastest), max(fastest)
    work, time = (f"{float(f'{one:.2g}'):,.6g}" for one in (most / least, fastest[most] / fastest[least]))
    ends = f"from {time_words(fastest[least])} to {time_words(fastest[most])} at best"
    return f"{work} times the work takes {time} times as long: {ends}"


def _from_words(one: Crossover, what: str, known: Sequence[Speedup]) -> str:
    """Where the target is reached, perhaps if an interval holds it; how often, where a larger size falls below it."""
    ratios = [each.ratio for each in known]
    reached = [ratio.value >= one.target for ratio in ratios]
    from_there_on = [each.ratio.value >= one.target for each in known if each.contender.size.flops >= (one.flops or 0)]
    if one.flops is None and not any(reached):
        return f"nowhere {what}" if all(ratio.high < one.target for ratio in ratios) else f"nowhere surely {what}"
    if not all(ratio.low >= one.target for ratio in ratios if ratio.value >= one.target):
        what = f"perhaps {what}"
    if one.flops is None or not all(from_there_on):
        return f"{what} at {sum(reached)} of {len(reached)} sizes"
    return f"{what} from {engineering(one.flops, 'FLOP')} on" if not one.already else f"{what} at every size measured"


def time_words(value: float, unit: str = "us") -> str:
    """A time with three figures: `174 us`, `2.14 ms`."""
    return quantity(float(f"{value:.3g}"), unit)


def size_words(size: Size) -> str:
    """`N x D_in x H x D_out = 64x1000x100x10, 26.2 MFLOP an iteration`."""
    return f"N x D_in x H x D_out = {size}, {engineering(size.flops, 'FLOP')} an iteration"


def footer(run: Run, rows: pd.DataFrame, more: str = "") -> str:
    """n, what was left out and what `more` says of these rows, and the machine."""
    parts = [f"{count_words(rows)}, in each a fresh process a case", run.unfinished, left_out(run.measurements)]
    if (rows["environment"] == "kept").any():
        parts.append("distorting variables kept: not comparable")
    return f"{'; '.join(filter(None, [*parts, more]))}\n{machine_words(run.machine, rows)}"


def count_words(rows: pd.DataFrame) -> str:
    """`n = 10 blocks`, `n = 3 to 5 blocks`: those that a case of these rows has."""
    blocks = rows.groupby(list(CASE_COLUMNS))["block"].nunique()
    least, most = int(blocks.min()), int(blocks.max())
    return f"n = {'' if least == most else f'{least} to '}{counted(most, 'block')}"


def left_out(rows: pd.DataFrame) -> str:
    """`not in the chart: 3 skipped, 1 wrong`, counted in cases; nothing where every case has its number.

    A case that failed in some blocks has it from the others, unless it was wrong in one.
    """
    each = [set(same["status"]) for _, same in cases_in(rows)]
    without = [found - {"ok"} for found in each if "ok" not in found or "wrong" in found]
    counts = sorted(Counter(chain.from_iterable(without)).items())
    return f"not in the chart: {', '.join(f'{n} {status}' for status, n in counts)}" if counts else ""


def machine_words(machine: Mapping[str, Any], rows: pd.DataFrame) -> str:
    """The processor, the accelerators in these rows, versions of what matters, and the run."""
    named = rows[rows["device"] != "cpu"].drop_duplicates("device").set_index("device")["device_model"]
    parts = [
        processor(machine),
        *(f"{device} {model or 'of unknown model'}" for device, model in named.items()),
        " ".join(versions(machine)),
        f"run {machine['run_id']}",
    ]
    return "; ".join(part for part in parts if part)
