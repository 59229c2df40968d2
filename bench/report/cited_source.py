"""What `verdict --published` prints: the source's own figures, ratio by ratio, and what they say of its headline."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.verdict.cited_source import (
    CPU,
    CPU_CORES,
    CPU_FLOPS_A_CYCLE,
    CPU_GHZ,
    CPU_SOCKETS,
    GPU_PEAK_GFLOPS,
    HEADLINE,
    HEADLINE_CARD,
    NO_CUDNN,
    SOURCE,
    Audit,
    Group,
    group_rows,
    headline_words,
    peak_ratio,
)


def print_audit(console: Console, found: Audit, threshold: float) -> None:
    """The sentence first, then a row a card and cuDNN version, every network, and how the figures were read."""
    for line in summary(found, threshold):
        console.print(line, markup=False, soft_wrap=True)
    console.print()
    console.print(groups_table(found, threshold))
    console.print()
    console.print(networks_table(found))
    console.print()
    for line in reading(found):
        console.print(line, markup=False, soft_wrap=True)


def summary(found: Audit, threshold: float) -> Iterator[str]:
    """What the source's figures say, in sentences."""
    yield f'The source: {SOURCE}. Its headline: "{HEADLINE}".'
    for cudnn in ("5.1", NO_CUDNN):
        group = found.group(HEADLINE_CARD, cudnn)
        if group is not None:
            yield group_words(group, threshold)
    yield from headline_words(found)
    yield (
        f"By peak float32 FLOP/s the ratio would be {peak_ratio():.1f}x: {GPU_PEAK_GFLOPS / 1000:g} TFLOP/s against "
        f"{CPU_SOCKETS} x {CPU_CORES} cores x {CPU_GHZ} GHz x {CPU_FLOPS_A_CYCLE}. "
        "What lies above it is the CPU's unused share, not the GPU's strength."
    )


def group_words(group: Group, threshold: float) -> str:
    """`Pascal Titan X, cuDNN 5.1: 64.0-77.4x, all 8 networks above 50x.`"""
    count, of = group.reaching(threshold), len(group.cells)
    share = f"all {of}" if count == of else "none" if count == 0 else f"{count} of {of}"
    kind = "without cuDNN, the same layers on both sides" if group.cudnn == NO_CUDNN else f"cuDNN {group.cudnn}"
    span = f"{group.lowest.ratio:.1f}-{group.highest.ratio:.1f}x"
    return f"{group.card}, {kind}: {span}, {share} {'' if count == 0 else 'networks '}above {threshold:g}x."


def groups_table(found: Audit, threshold: float) -> Table:
    """A row a card and cuDNN version, the highest first."""
    table = _table("GPU against two Xeon E5-2630 v3, forward and backward, batch 16")
    for header in ("card", "cuDNN"):
        table.add_column(header, no_wrap=True)
    for header in ("lowest-highest", f"networks at {threshold:g}x or more"):
        table.add_column(header, justify="right", no_wrap=True)
    for row in group_rows(found.groups, threshold):
        table.add_row(*row)
    return table


def networks_table(found: Audit) -> Table:
    """A row a network: CPU ms, then the ratio on each card and cuDNN version."""
    cpu_ms = {cell.network: cell.cpu_ms for group in found.groups for cell in group.cells}
    table = _table("every network: CPU ms (mean of 10 passes), then how many times as fast on")
    table.add_column("network", no_wrap=True)
    for header in ("CPU ms", *(f"{_short(group.card)}\n{group.cudnn}" for group in found.groups)):
        table.add_column(header, justify="right", no_wrap=True)
    for network in sorted(cpu_ms, key=lambda name: cpu_ms[name]):
        ratios = [{cell.network: f"{cell.ratio:.1f}" for cell in group.cells} for group in found.groups]
        table.add_row(network, f"{cpu_ms[network]:,.0f}", *(one.get(network, "") for one in ratios))
    return table


def reading(found: Audit) -> Iterator[str]:
    """Which mean, which of two runs, and what has no ratio."""
    yield "Times are the source's means of 10 passes (total_ms), as its own tables print them."
    yield "Of two runs of a cell the one with the lower mean counts:"
    for one in found.twice:
        where = "CPU" if one.card == CPU else f"{one.card} cuDNN {one.cudnn}"
        runs = " and ".join(f"{run:g}" for run in one.runs_ms)
        yield f"  {where}, {one.network}: {runs} ms; used {one.used_ms:g}"
    if found.without_cpu:
        yield f"Without a time on the CPU, so without a ratio: {', '.join(found.without_cpu)}."
    yield "GPU and CPU were in different hosts for the Pascal Titan X and the GTX 1080 Ti, by the source's own account."


def audit_values(found: Audit, threshold: float) -> dict[str, Any]:
    """As plain values for JSON."""
    return {
        "source": SOURCE,
        "headline": HEADLINE,
        "threshold": threshold,
        "groups": [
            {
                "card": group.card,
                "cudnn": group.cudnn,
                "low": group.lowest.ratio,
                "high": group.highest.ratio,
                "reaching": group.reaching(threshold),
                "networks": {cell.network: cell.ratio for cell in group.cells},
            }
            for group in found.groups
        ],
        "peak_ratio": peak_ratio(),
        "notes": list(headline_words(found)),
        "run_twice": [
            {"card": one.card, "cudnn": one.cudnn, "network": one.network, "runs_ms": one.runs_ms, "used": one.used_ms}
            for one in found.twice
        ],
        "without_cpu": list(found.without_cpu),
    }


def _short(card: str) -> str:
    return card.replace(" Titan X", "").replace("GTX ", "")


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
