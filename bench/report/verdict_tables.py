"""Crossovers, break-even, decomposition and peaks as tables and sentences of a verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from bench.cases.case import AS_FOUND
from bench.machine.ceilings import Peaks
from bench.verdict.break_even import BreakEven, Iterations
from bench.verdict.crossover import Crossover
from bench.verdict.decomposition import ENVIRONMENT, Decomposition, Factor
from bench.verdict.intervals import Ratio
from bench.verdict.judgement import Judgement
from bench.words import engineering, microseconds, number, thread_count


def crossover_table(judgement: Judgement) -> Table | None:
    """The smallest size, in FLOP an iteration, from which each contender reaches 1x, 10x and 50x."""
    if not judgement.crossovers:
        return None
    targets = list(dict.fromkeys(one.target for one in judgement.crossovers))
    baseline, scope = judgement.question.baseline, judgement.question.scope
    table = plain_table(f"the smallest size that reaches a speedup over {baseline} by {scope}, in FLOP an iteration")
    table.caption = "Intervals hold the spread of the ratios and what interpolating between the sizes can miss."
    table.caption_justify = "left"
    table.add_column("contender", no_wrap=True)
    for target in targets:
        table.add_column(f"{target:g}x", no_wrap=True)
    for name in dict.fromkeys(one.contender for one in judgement.crossovers):
        cells = [crossover_words(one) for one in judgement.crossovers if one.contender == name]
        table.add_row(name, *cells)
    return table


def crossover_words(one: Crossover) -> str:
    """`209 MFLOP [198, 221]`, or that it lies outside what was measured."""
    noisy = " (noisy)" if one.noisy else ""
    if one.flops is None:
        perhaps = "" if one.low is None else f", perhaps from {engineering(one.low, 'FLOP')}"
        return f"not up to {engineering(one.largest, 'FLOP')}{perhaps}{noisy}"
    if one.already:
        return f"at {engineering(one.smallest, 'FLOP')}, the smallest measured, already{noisy}"
    low = "?" if one.low is None else engineering(one.low, "FLOP")
    high = "?" if one.high is None else engineering(one.high, "FLOP")
    return f"from {engineering(one.flops, 'FLOP')} [{low}, {high}]{noisy}"


def break_even_table(found: Sequence[BreakEven]) -> Table | None:
    """After how many iterations the contender has repaid its start."""
    if not found:
        return None
    against = found[0].baseline
    table = plain_table(f"break-even with {against}: iterations until the start is repaid, with Fieller's interval")
    table.add_column("size", no_wrap=True)
    table.add_column("contender", no_wrap=True)
    for header in ("saves", "start", "repaid after", "import", "with import after"):
        table.add_column(header, justify="right", no_wrap=True)
    for one in found:
        table.add_row(
            str(one.contender.size),
            one.contender.label,
            f"{one.saved_us:,.1f} us",
            f"{one.start_seconds:+.3g} s",
            iterations_words(one.warm),
            f"{one.import_seconds:+.3g} s",
            iterations_words(one.cold),
        )
    return table


def iterations_words(found: Iterations) -> str:
    """`1,234 [1,100, 1,300]`, `never` where an iteration saves nothing, `[?]` without an interval."""
    if math.isnan(found.value):
        return "unknown"
    if math.isinf(found.low):
        return "never"
    if math.isnan(found.low):
        return f"{_count(found.value)} [?]"
    return f"{_count(found.value)} [{_count(found.low)}, {_count(found.high)}]"


def _count(iterations: float) -> str:
    return "never" if math.isinf(iterations) else f"{math.ceil(iterations):,}"


def print_decomposition(console: Console, found: Decomposition | None) -> None:
    """The headline as a product, or that its first link was not measured."""
    if found is None:
        console.print("decomposition: the tutorial's numpy in float64 at its own size was not measured")
        return
    table = plain_table(f"where {number(found.headline.value)}x at the tutorial's size comes from, by latency")
    for header, right in headers("link", "factor>", "from", "us>", "to", "us>"):
        table.add_column(header, justify="right" if right else "left", no_wrap=True)
    for one in found.factors:
        before, after = microseconds(one.before_us), microseconds(one.after_us)
        table.add_row(one.label, ratio_words(one.ratio), start_name(one), before, one.after.label, after)
    start, end = start_name(found.factors[0]), found.end.label
    table.add_row("product", ratio_words(found.headline), start, "", end, "")
    console.print(table)
    for line in decomposition_lines(found):
        console.print(line, markup=False, soft_wrap=True)


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


def ratio_words(ratio: Ratio) -> str:
    """`8.12 [7.94, 8.30]`, `[?]` without an interval."""
    interval = f"[{number(ratio.low)}, {number(ratio.high)}]" if math.isfinite(ratio.low) else "[?]"
    return f"{number(ratio.value)} {interval}"


def plain_table(title: str) -> Table:
    """A table without lines, its title at the left."""
    return Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")


def headers(*names: str) -> list[tuple[str, bool]]:
    """Headers, and whether the column stands to the right (a header that ends in `>`)."""
    return [(header.removesuffix(">"), header.endswith(">")) for header in names]
