"""What `verdict` prints of the claim's own networks: shares of peaks, and the source's ratio at equal shares."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from bench.plain import to_plain
from bench.report.run_tables import times_cell
from bench.report.sheet import Cell, Sheet, print_sheet, print_words, sheet
from bench.verdict._cnn import CUDNN, THEIR_PEAK_GFLOPS, Cnn
from bench.verdict.cited_source import HEADLINE_CARD
from bench.verdict.intervals import Ratio
from bench.words import counted, grouped, number, percent, share


def print_cnn(console: Console, cnn: Cnn) -> None:
    """The sentence, a row a network, how to read it, what is missing."""
    print_words(console, f"{cnn.name}: {sentence(cnn)}")
    console.print()
    print_sheet(console, cnn_sheet(cnn), ("step ms", "noisy", "GFLOP"))
    for line in grouped(cnn.missing):
        print_words(console, f"missing: {line}")
    print_words(console, f"Machine: {cnn.machine}; {counted(cnn.rows[0].pass_ms.blocks, 'block')}.")


def sentence(cnn: Cnn) -> str:
    """Untested without a GPU, and what the source's ratio hangs on."""
    ours = _range([one.our_share for one in cnn.rows], share)
    theirs = _range([one.their_share for one in cnn.rows], percent)
    ratios = _range([one.ratio for one in cnn.rows], number)
    equal = _range([one.at_equal_shares for one in cnn.rows], number)
    return (
        f"Untested: no GPU was measured. A pass of the claim's own networks reaches {ours} of this CPU's fastest "
        f"product; the source's two Xeons reached {theirs} of their peak. At our shares its {ratios}x "
        f"({HEADLINE_CARD}, cuDNN {CUDNN}) would be {equal}x."
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


def _time(ms: Ratio) -> Cell:
    interval = f"[{ms.low:,.0f}, {ms.high:,.0f}]" if ms.low > 0 else ""
    return Cell(f"{ms.value:,.0f}", interval, ms.value)


def cnn_values(cnn: Cnn) -> dict[str, Any]:
    """As plain values for JSON."""
    derived = ("our_share", "their_share", "ratio", "at_equal_shares")
    rows = [to_plain(one) | {name: getattr(one, name) for name in derived} for one in cnn.rows]
    head = {"run": cnn.name, "outcome": "untested", "reason": "no GPU was measured"}
    return {**head, **to_plain(cnn), "rows": rows}
