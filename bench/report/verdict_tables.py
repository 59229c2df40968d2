"""Findings, scopes, crossovers, break-even, decomposition and peaks of a verdict, as sheets and sentences."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from bench.cases.case import AS_FOUND
from bench.machine.ceilings import Peaks
from bench.report.reach import reach_cell
from bench.report.run_tables import ratio_cell, time_cell
from bench.report.sheet import Cell, Sheet, sheet
from bench.verdict.break_even import BreakEven, Iterations
from bench.verdict.claim import REFUTED, SUPPORTED, Finding
from bench.verdict.crossover import Crossover
from bench.verdict.decomposition import ENVIRONMENT, Decomposition, Factor
from bench.verdict.judgement import Judgement
from bench.verdict.ratios.pairs import SCOPES
from bench.words import engineering, number, thread_count

Row = Mapping[str, Cell | str]
AS_WRITTEN = ("tutorial", "tutorial-1")  # baselines that are numpy in float64


def answers_sheet(judgement: Judgement) -> Sheet:
    """A row a size against the question's baseline; without any contender, how fast that baseline is over numpy."""
    question = judgement.question
    mine = sorted(judgement.main, key=lambda one: one.size.flops)
    title = f"{question.contender} over {question.baseline} by {question.scope}"
    none = all(one.speedup is None for one in mine)
    if none:
        there = any(judgement.evidence.is_named(case, question.contender) for case in judgement.evidence.measured)
        why = "has no speedup over it" if there else "was not measured"
        title = f"{question.baseline} by {question.scope}; {question.contender} {why}"
    rows = []
    for one in mine:
        row = {name: cell for name, cell in _finding_row(one).items() if name != "baseline"}
        if none or one.verdict.outcome in (SUPPORTED, REFUTED):
            row["why"] = ""  # there the interval says it
        if none:
            row |= {"over the tutorial's numpy": over_tutorial(judgement, one), "a GPU at most": reach_cell(one)}
            row["outcome"] = one.verdict.outcome if one.reach else ""
        rows.append(row)
    return sheet(title, rows, constant=("its case", "contender", "outcome"), prose=("its case", "contender", "why"))


def over_tutorial(judgement: Judgement, one: Finding) -> Cell:
    """The speedup of a finding's baseline case over numpy as the tutorial writes it, the first of AS_WRITTEN here."""
    bases = ((name, judgement.evidence.baseline(one.size, name, one.scope)[0]) for name in AS_WRITTEN)
    name, base = next(((name, case) for name, case in bases if case is not None), ("", None))
    found = [
        judgement.evidence.as_the_best(each).ratio
        for each in judgement.evidence.speedups
        if (each.contender, each.scope, each.baseline) == (one.baseline_case, one.scope, name)
    ]
    return ratio_cell(found[0] if found else None, is_baseline=base is not None and base == one.baseline_case)


def findings_sheet(judgement: Judgement, notes: Sequence[str] = ()) -> Sheet:
    """Per size and baseline: absolute times, the speedup with its interval, the outcome and why."""
    question = judgement.question
    mine = sorted((one for one in judgement.findings if one.scope == question.scope), key=lambda one: one.size.flops)
    rows = [_finding_row(one) for one in mine]
    title = f"{question.contender} by {question.scope}, us an iteration"
    whys = {str(row["why"]) for row in rows}
    if len(rows) > 1 and len(whys) == 1:
        title = "; ".join(filter(None, (title, *whys)))
        rows = [{name: cell for name, cell in row.items() if name != "why"} for row in rows]
    prose = ("its case", "contender", "why")
    return sheet(title, rows, notes, constant=("size", "work"), once=("size", "work"), prose=prose)


def _finding_row(one: Finding) -> Row:
    contender = one.speedup
    return {
        "size": Cell(str(one.size)),
        "work": Cell(engineering(one.size.flops, "FLOP"), sort=float(one.size.flops)),
        "baseline": one.baseline,
        "its case": one.baseline_case.label if one.baseline_case else "",
        "baseline us": time_cell(one.baseline_us),
        "contender": contender.contender.label if contender else "",
        "contender us": time_cell(contender.contender_us) if contender else "",
        "speedup": ratio_cell(contender.ratio if contender else None),
        "outcome": one.verdict.outcome,
        "why": re.split(r": (?![^(]*\))", one.verdict.reason)[0],
    }


def scopes_sheet(judgement: Judgement) -> Sheet | None:
    """The same machine by iteration, throughput, loop and program; None where no speedup was measured in any."""
    by_key = {(one.size, one.baseline, one.scope): one for one in judgement.findings}
    there = {(one.size, one.baseline) for one in judgement.findings if one.speedup is not None}
    order = [(one.size, one.baseline) for one in judgement.findings if one.scope == "iteration"]
    rows: list[Row] = []
    for size, baseline in sorted((key for key in order if key in there), key=lambda key: key[0].flops):
        cells = {scope: scope_cell(by_key[size, baseline, scope]) for scope in SCOPES}
        rows.append({"size": str(size), "baseline": baseline, **cells})
    title = "by scope: an iteration with its loss read, in a batch, a cold loop of 500, a whole python"
    return sheet(title, rows, constant=("size",)) if rows else None


def scope_cell(one: Finding) -> Cell:
    """`8.12 [7.94, 8.30]` and `refuted`, or that it was not measured."""
    if one.speedup is None:
        return Cell("not measured", sort=math.nan)
    ratio = ratio_cell(one.speedup.ratio)
    return Cell(f"{ratio.text} {ratio.small}", one.verdict.outcome, ratio.sort)


def crossover_sheet(judgement: Judgement) -> Sheet | None:
    """The smallest size, in FLOP an iteration, from which each contender reaches 1x, 10x and 50x."""
    baseline, scope = judgement.question.baseline, judgement.question.scope
    rows: list[Row] = []
    for name in dict.fromkeys(one.contender for one in judgement.crossovers):
        mine = [one for one in judgement.crossovers if one.contender == name]
        rows.append({"contender": name, **{f"{one.target:g}x": crossover_words(one) for one in mine}})
    title = f"the smallest size that reaches a speedup over {baseline} by {scope}, in FLOP an iteration"
    note = "Intervals hold the spread of the ratios and what interpolating between the sizes can miss."
    return sheet(title, rows, [note], prose=[name for row in rows for name in row]) if rows else None


def crossover_words(one: Crossover) -> str:
    """`209 MFLOP [198, 221]`, or that it lies outside what was measured."""
    noisy = " (noisy)" if one.noisy else ""
    if one.flops is None:
        perhaps = "" if one.low is None else f", perhaps from {_work(one.low)}"
        return f"not up to {_work(one.largest)}{perhaps}{noisy}"
    if one.already:
        high = "" if one.high == one.flops else f", surely from {_work(one.high)}" if one.high else ", perhaps"
        return f"at {_work(one.smallest)}, the smallest measured, already{high}{noisy}"
    return f"from {_work(one.flops)} [{_work(one.low)}, {_work(one.high)}]{noisy}"


def _work(flops: float | None) -> str:
    return "?" if flops is None else engineering(flops, "FLOP")


def break_even_sheet(found: Sequence[BreakEven]) -> Sheet | None:
    """After how many iterations the contender has repaid its start."""
    rows: list[Row] = [
        {
            "size": str(one.contender.size),
            "contender": one.contender.label,
            "saves": Cell(f"{one.saved_us:,.1f} us", sort=one.saved_us),
            "start": Cell(f"{one.start_seconds:+.3g} s", sort=one.start_seconds),
            "repaid after": iterations_cell(one.warm),
            "import": Cell(f"{one.import_seconds:+.3g} s", sort=one.import_seconds),
            "with import after": iterations_cell(one.cold),
        }
        for one in found
    ]
    if not rows:
        return None
    title = f"break-even with {found[0].baseline}: iterations until the start is repaid, with Fieller's interval"
    sooner = any(one.saved_us < 0 and one.start_seconds < 0 for one in found)
    notes = ["saves and start below 0: begun sooner but slower, it is ahead for start / saves iterations alone."]
    return sheet(title, rows, notes * sooner, constant=("size", "contender"), prose=("contender",))


def iterations_cell(found: Iterations) -> Cell:
    """`1,234` and `[1,100, 1,300]`, `never` where an iteration saves nothing, `[?]` without an interval."""
    if math.isnan(found.value):
        return Cell("unknown", sort=math.nan)
    if math.isinf(found.low):
        return Cell("never", sort=math.inf)
    known = not math.isnan(found.low)
    interval = f"[{_count(found.low)}, {_count(found.high)}]" if known else "[?]"
    return Cell(_count(found.value), interval, found.value)


def _count(iterations: float) -> str:
    return "never" if math.isinf(iterations) else f"{math.ceil(iterations):,}"


def decomposition_sheet(found: Decomposition | None) -> Sheet:
    """The tutorial's speedup as a product, or that its first link was not measured."""
    if found is None:
        return Sheet("decomposition: the tutorial's numpy in float64 at its own size was not measured", (), ())
    rows: list[Row] = [
        {
            "link": one.label,
            "factor": Cell("1", "[same case]", 1.0) if one.chosen else ratio_cell(one.ratio),
            "from": start_name(one),
            "from us": time_cell(one.before_us),
            "to": one.after.label,
            "to us": time_cell(one.after_us),
        }
        for one in found.factors
    ]
    ends: Row = {"from": start_name(found.factors[0]), "from us": "", "to": found.end.label, "to us": ""}
    rows.append({"link": "product", "factor": ratio_cell(found.headline), **ends})
    title = f"where {number(found.headline.value)}x at the tutorial's size comes from, by latency"
    return sheet(title, rows, decomposition_lines(found), prose=("link", "from", "to"))


def start_name(link: Factor) -> str:
    """The case that a link starts from; where its environment is what changes, that in place of the other words."""
    return f"{link.before.style} {AS_FOUND}" if link.label == ENVIRONMENT else link.before.label


def decomposition_lines(found: Decomposition) -> list[str]:
    """What the chain does not hold."""
    lines = [] if found.on_gpu else ["No GPU was measured: the chain ends at the fastest CPU case."]
    if found.unmeasured:
        lines.append(f"Links that were not measured, merged into the next or left out: {', '.join(found.unmeasured)}.")
    lines.append(found.environment)
    return lines + (["Some of these cases are noisy."] if found.noisy else [])


def peaks_words(found: Peaks | None) -> str:
    """The ratio of measured ceilings as a bound of sanity."""
    if found is None:
        return "peaks: no ceilings of both sides were measured, so no bound from them"
    copies = "" if found.copy_ratio is None else f", by copies {number(found.copy_ratio)}x"
    return (
        f"peaks: {number(found.ratio)}x by float32 products, {found.gpu.gflops:,.0f} GFLOP/s "
        f"({found.gpu.framework} {found.gpu.device}) over {found.cpu.gflops:,.0f} ({found.cpu.framework} cpu, "
        f"{thread_count(found.cpu.threads)}){copies}: more over best-cpu is caches, launch cost or an error"
    )
