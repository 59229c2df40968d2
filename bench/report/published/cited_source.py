"""What `verdict --published` prints: the source's own figures, ratio by ratio, and what they say of its headline."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
from rich.console import Console

from bench.report.sheet import Cell, Sheet, print_sheet, print_words, sheet
from bench.verdict.published.cited_source import (
    CPU,
    CPU_CORES,
    CPU_FLOPS_A_CYCLE,
    CPU_GHZ,
    CPU_SOCKETS,
    GPU_PEAK_GFLOPS,
    GROUP,
    HEADLINE,
    HEADLINE_CARD,
    HEADLINE_RANGE,
    NO_CUDNN,
    SOURCE,
    groups,
    peak_ratio,
    ratios,
    run_twice,
    without_cpu,
)


def print_audit(console: Console, figures: pd.DataFrame, threshold: float) -> None:
    """The sentences first, then a row a card and cuDNN version, every network, and how the figures were read."""
    found = ratios(figures)
    for line in summary(found, threshold):
        print_words(console, line)
    console.print()
    print_sheet(console, groups_sheet(found, threshold))
    console.print()
    networks = networks_sheet(found)
    print_sheet(console, networks, [column.name for column in reversed(networks.columns[2:])])
    console.print()
    for line in reading(figures):
        print_words(console, line)


def summary(found: pd.DataFrame, threshold: float) -> Iterator[str]:
    """What the source's figures say, in sentences."""
    yield f'The source: {SOURCE}. Its headline: "{HEADLINE}".'
    for cudnn in ("5.1", NO_CUDNN):
        for group in rows_of(groups(found, threshold).query("card == @HEADLINE_CARD and cudnn == @cudnn")):
            count, of = group.reaching, group.networks
            share = f"all {of}" if count == of else "none" if count == 0 else f"{count} of {of}"
            kind = "without cuDNN, the same layers on both sides" if cudnn == NO_CUDNN else f"cuDNN {cudnn}"
            above = f"{share} {'' if count == 0 else 'networks '}above {threshold:g}x"
            yield f"{HEADLINE_CARD}, {kind}: {group.low:.1f}-{group.high:.1f}x, {above}."
    yield from headline_words(found)
    yield (
        f"By peak float32 FLOP/s the ratio would be {peak_ratio():.1f}x: {GPU_PEAK_GFLOPS / 1000:g} TFLOP/s against "
        f"{CPU_SOCKETS} x {CPU_CORES} cores x {CPU_GHZ} GHz x {CPU_FLOPS_A_CYCLE}. "
        "What lies above it is the CPU's unused share, not the GPU's strength."
    )


def headline_words(found: pd.DataFrame) -> list[str]:
    """What of the headline's "49x to 74x" stands in the source's tables of that card, in sentences."""
    cells = found[(found["card"] == HEADLINE_CARD) & (found["cudnn"] != NO_CUDNN)]
    if cells.empty:
        return [f"The figures hold no {HEADLINE_CARD} with cuDNN: the headline cannot be checked."]
    low, high = HEADLINE_RANGE
    words = []
    if (cells["ratio"].round() == low).any():
        words.append(f'The headline\'s "{low}x" is in the tables of that card.')
    else:
        lowest = rows_of(cells.nsmallest(1, "ratio"))[0]
        words.append(
            f"The headline's \"{low}x\" stands in no current table of the {HEADLINE_CARD}: that card's lowest is "
            f"{lowest.ratio:.1f}x ({lowest.network}, cuDNN {lowest.cudnn})."
        )
        for one in rows_of(found[found["ratio"].round() == low]):
            cudnn = "no cuDNN" if one.cudnn == NO_CUDNN else f"cuDNN {one.cudnn}"
            words.append(f"{one.ratio:.1f}x is there for another card: {one.card}, {one.network}, {cudnn}.")
    near = rows_of(cells[cells["ratio"] // 1 == high])
    return words + [f'"{high}x" is {one.ratio:.1f}x: {one.network}, cuDNN {one.cudnn}.' for one in near]


def groups_sheet(found: pd.DataFrame, threshold: float) -> Sheet:
    """A row a card and cuDNN version, the highest first."""
    rows = [
        {
            "card": Cell(one.card),
            "cuDNN": Cell(one.cudnn),
            "lowest-highest": Cell(f"{one.low:.1f}-{one.high:.1f}x", sort=one.high),
            f"networks at {threshold:g}x or more": Cell(f"{one.reaching} of {one.networks}", sort=one.reaching),
        }
        for one in rows_of(groups(found, threshold))
    ]
    return sheet("GPU against two Xeon E5-2630 v3, forward and backward, batch 16", rows)


def networks_sheet(found: pd.DataFrame) -> Sheet:
    """A row a network: CPU ms, then the ratio on each card and cuDNN version."""
    short = [card.replace(" Titan X", "").replace("GTX ", "") for card in found["card"]]
    cells = found.assign(column=[f"{card}\n{cudnn}" for card, cudnn in zip(short, found["cudnn"], strict=True)])
    names = dict.fromkeys(cells["column"])
    rows = []
    for network, same in cells.sort_values("cpu_ms").groupby("network", sort=False):
        cpu_ms, there = float(same["cpu_ms"].iloc[0]), dict(zip(same["column"], same["ratio"], strict=True))
        values = {name: Cell(f"{there[name]:.1f}", sort=there[name]) if name in there else Cell("") for name in names}
        rows.append({"network": Cell(str(network)), "CPU ms": Cell(f"{cpu_ms:,.0f}", sort=cpu_ms), **values})
    return sheet("every network: CPU ms (mean of 10 passes), then how many times as fast on", rows)


def reading(figures: pd.DataFrame) -> Iterator[str]:
    """Which mean, which of two runs, and what has no ratio."""
    yield "Times are the source's means of 10 passes (total_ms), as its own tables print them."
    yield "Of two runs of a cell the one with the lower mean counts:"
    for one in rows_of(run_twice(figures)):
        where = "CPU" if one.card == CPU else f"{one.card} cuDNN {one.cudnn}"
        yield f"  {where}, {one.network}: {' and '.join(f'{ms:g}' for ms in one.runs_ms)} ms; used {one.used:g}"
    if missing := without_cpu(figures):
        yield f"Without a time on the CPU, so without a ratio: {', '.join(missing)}."
    yield "GPU and CPU were in different hosts for the Pascal Titan X and the GTX 1080 Ti, by the source's own account."


def audit_values(figures: pd.DataFrame, threshold: float) -> dict[str, Any]:
    """As plain values for JSON."""
    found = ratios(figures)
    networks = {key: dict(zip(same["network"], same["ratio"], strict=True)) for key, same in found.groupby(GROUP)}
    return {
        "source": SOURCE,
        "headline": HEADLINE,
        "threshold": threshold,
        "groups": [
            {**one, "networks": networks[one["card"], one["cudnn"]]}
            for one in groups(found, threshold).to_dict("records")
        ],
        "peak_ratio": peak_ratio(),
        "notes": headline_words(found),
        "run_twice": run_twice(figures).to_dict("records"),
        "without_cpu": without_cpu(figures),
    }


def rows_of(frame: pd.DataFrame) -> list[Any]:
    """Its rows as tuples with names."""
    return list(frame.itertuples())
