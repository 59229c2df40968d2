"""What `verdict` prints of the claim's own networks: shares of peaks, and the source's ratio at equal shares."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from rich.console import Console

from bench.plain import to_plain
from bench.report.run_tables import ratio_cell, times_cell
from bench.report.sheet import Cell, Sheet, print_sheet, print_words, sheet
from bench.verdict.published.cited_source import HEADLINE_CARD
from bench.verdict.published.cnn import CUDNN, THEIR_PEAK_GFLOPS, Cnn
from bench.verdict.ratios.intervals import Ratio
from bench.words import counted, grouped, number, percent, share

PRECISIONS = {"ieee": "float32", "tf32": "TF32"}


def print_cnn(console: Console, cnn: Cnn) -> None:
    """The sentence, a row a network, how to read it, what is missing."""
    print_words(console, f"{cnn.name}: {sentence(cnn)}")
    console.print()
    print_sheet(console, cnn_sheet(cnn), ("step ms", "noisy", "GFLOP"))
    if measured := gpu_sheet(cnn):
        console.print()
        print_sheet(console, measured, ("noisy", "step ms"))
    for line in grouped(cnn.missing):
        print_words(console, f"missing: {line}")
    print_words(console, f"Machine: {cnn.machine}; {counted(cnn.rows[0].pass_ms.blocks, 'block')}.")


def sentence(cnn: Cnn) -> str:
    """The outcome, by how much if a GPU was measured, and what the source's ratio hangs on."""
    ours = _range([one.our_share for one in cnn.rows], share)
    theirs = _range([one.their_share for one in cnn.rows], percent)
    ratios = _range([one.ratio for one in cnn.rows], number)
    equal = _range([one.at_equal_shares for one in cnn.rows], number)
    head = f"{cnn.verdict.outcome.capitalize()}: {cnn.verdict.reason}."
    hangs = (
        f"A pass of the claim's own networks reaches {ours} of this CPU's fastest product; the source's two Xeons "
        f"reached {theirs} of their peak. At our shares its {ratios}x ({HEADLINE_CARD}, cuDNN {CUDNN}) would be "
        f"{equal}x."
    )
    return " ".join([head, *_measured(cnn), hangs])


def _measured(cnn: Cnn) -> Iterator[str]:
    """A sentence a device and precision."""
    each = [(gpu, row) for row in cnn.rows for gpu in row.gpus if not math.isnan(gpu.ratio.value)]
    for key in dict.fromkeys((gpu.model or gpu.device, gpu.precision) for gpu, _ in each):
        mine = [(gpu, row) for gpu, row in each if (gpu.model or gpu.device, gpu.precision) == key]
        ratios = _range([gpu.ratio.value for gpu, _ in mine], number)
        theirs = _range([row.ratio for _, row in mine], number)
        yield (
            f"On {key[0]} ({PRECISIONS[key[1]]}) a pass is {ratios}x as fast as on this CPU, where the source measured "
            f"{theirs}x."
        )


def _range(values: list[float], words: Any) -> str:
    low, high = words(min(values)), words(max(values))
    return low if low == high else f"{low}-{high}"


def cnn_sheet(cnn: Cnn) -> Sheet:
    """A row a network and thread count."""
    rows = [
        {
            "network": Cell(one.network),
            "threads": Cell(str(one.threads), sort=one.threads),
            "GFLOP": Cell(f"{one.gflop:,.0f}", sort=one.gflop),
            "pass ms": _time(one.pass_ms),
            "step ms": _time(one.step_ms),
            "of our peak": Cell(share(one.our_share), sort=one.our_share),
            "2017 CPU ms": Cell(f"{one.their_ms:,.0f}", sort=one.their_ms),
            "of their peak": Cell(percent(one.their_share), sort=one.their_share),
            "2017 ratio": times_cell(one.ratio),
            "at equal shares": times_cell(one.at_equal_shares),
            "noisy": Cell(f"{one.noisy}/{one.pass_ms.blocks}" if one.noisy else "", sort=one.noisy),
        }
        for one in cnn.rows
    ]
    peaks = _range([one.peak_gflops for one in cnn.rows], number)
    note = (
        "pass: forward and backward without an update, as the source timed it, the mean of its passes after one that "
        "is discarded; step: a whole training step, its loss read, the median; both over processes, with 95% "
        f"intervals. Our peak is the fastest product measured here, {peaks} GFLOP/s; theirs {THEIR_PEAK_GFLOPS:,.0f} "
        "GFLOP/s by the base clock. At equal shares: the source's ratio times their share over ours."
    )
    title = f"the claim's own networks, batch {cnn.rows[0].batch}, 3 x 224 x 224, float32"
    return sheet(title, rows, [note], constant=("threads",))


def gpu_sheet(cnn: Cnn) -> Sheet | None:
    """A row a network, device, precision and thread count of the CPU; None where no GPU was measured."""
    rows = [
        {
            "network": Cell(row.network),
            "device": Cell(gpu.model or gpu.device),
            "products": Cell(PRECISIONS[gpu.precision]),
            "CPU threads": Cell(str(row.threads), sort=row.threads),
            "pass ms": _time(gpu.pass_ms),
            "step ms": _time(gpu.step_ms),
            "of its peak": Cell(share(row.gflop / gpu.pass_ms.value * 1e3 / gpu.peak_gflops)),
            "pass ratio": _ratio(gpu.ratio),
            "2017 ratio": times_cell(row.ratio),
            "step ratio": _ratio(gpu.step_ratio),
            "noisy": Cell(f"{gpu.noisy}/{gpu.pass_ms.blocks}" if gpu.noisy else "", sort=gpu.noisy),
        }
        for row in cnn.rows
        for gpu in row.gpus
    ]
    note = (
        "ratio: this CPU's time over the device's, paired by block, with a 95% interval; its peak is the fastest "
        f"product of that device and precision measured here. 2017 ratio: a pass on {HEADLINE_CARD}, cuDNN {CUDNN}, "
        "over two Xeons."
    )
    title = "the same on a GPU, its inputs there, every pass waited for"
    return sheet(title, rows, [note], constant=("device", "CPU threads"), once=("network",)) if rows else None


def _ratio(one: Ratio) -> Cell:
    return Cell("no block in common") if math.isnan(one.value) else ratio_cell(one)


def _time(ms: Ratio) -> Cell:
    def words(value: float) -> str:
        return f"{value:,.0f}" if ms.value >= 1000 else number(value)

    return Cell(words(ms.value), f"[{words(ms.low)}, {words(ms.high)}]" if ms.low > 0 else "", ms.value)


def cnn_values(cnn: Cnn) -> dict[str, Any]:
    """As plain values for JSON."""
    derived = ("our_share", "their_share", "ratio", "at_equal_shares")
    rows = [to_plain(one) | {name: getattr(one, name) for name in derived} for one in cnn.rows]
    head = {"run": cnn.name, "outcome": cnn.verdict.outcome, "reason": cnn.verdict.reason}
    return {**head, **to_plain(cnn), "rows": rows}
