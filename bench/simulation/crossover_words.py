"""What the table of simulated crossovers comes to, as Markdown: of all machines, and of each kind by itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from statistics import fmean
from typing import Any

from bench.words import markdown

BAND = (0.90, 0.98)
SIZES = {"preset": "the preset's", "preset + 2": "and two more"}
Row = Mapping[str, Any]  # as they are written, or as they are read


def tables(rows: Sequence[Row]) -> str:
    """Both tables and how often `not reached` is wrong; `rows` are those of crossovers.csv."""
    kinds = len({one["machines_of"] for one in rows})
    asked = markdown(("blocks", "target", *SIZES.values(), "machines"), _asked(rows))
    head = (
        "machines of", "sizes", "coverage, mean", "least and most of a row", "rows below 90%, above 98%, of",
        "median width of a row", "bumpy machines, mean and least",
    )  # fmt: skip
    calls = sum(int(one["called_not_reached"]) for one in rows)
    wrong = sum(int(one["called_not_reached"]) * float(one["wrongly"]) for one in rows if one["wrongly"])
    return (
        f"{asked}\n\nEach of the {kinds} kinds by itself:\n\n{markdown(head, _of_kinds(rows))}\n\n"
        f'"Not reached" is wrong in {wrong / calls:.1%} of {calls:,} such calls.'
    )


def _asked(rows: Sequence[Row]) -> Iterable[Sequence[str]]:
    """A line for each number of blocks and target: coverage over machines of all kinds, presets, noise and drifts."""
    for blocks, target in product(_in_order(rows, "blocks"), _in_order(rows, "target")):
        mine = [one for one in rows if (one["blocks"], one["target"]) == (blocks, target)]
        by_sizes = [[one for one in mine if one["sizes"] == sizes] for sizes in SIZES]
        machines = sum(int(one["machines"]) for one in by_sizes[0])
        yield [str(blocks), f"{target}x", *(f"{_coverage(one):.1%}" for one in by_sizes), f"{machines:,}"]


def _coverage(rows: Sequence[Row]) -> float:
    machines = [int(one["machines"]) for one in rows]
    return sum(n * float(one["coverage"]) for n, one in zip(machines, rows, strict=True)) / sum(machines)


def _of_kinds(rows: Sequence[Row]) -> Iterable[Sequence[str]]:
    for kind, (sizes, words) in product(_in_order(rows, "machines_of"), SIZES.items()):
        mine = [one for one in rows if (one["machines_of"], one["sizes"]) == (kind, sizes)]
        found, widths = ([float(one[name]) for one in mine] for name in ("coverage", "median_width"))
        bumpy = [float(one["bumpy_coverage"]) for one in mine if one["bumpy_coverage"]]
        below, above = sum(one < BAND[0] for one in found), sum(one > BAND[1] for one in found)
        yield (
            kind, words, f"{fmean(found):.1%}", f"{min(found):.1%} to {max(found):.1%}",
            f"{below}, {above}, of {len(mine)}", f"{min(widths):.2f} to {max(widths):.2f}",
            f"{fmean(bumpy):.1%}, {min(bumpy):.1%}" if bumpy else "",
        )  # fmt: skip


def _in_order(rows: Sequence[Row], name: str) -> list[Any]:
    return list(dict.fromkeys(one[name] for one in rows))
