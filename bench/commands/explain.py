"""The command `explain`: what an iteration of each case is made of, and what binds it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from typer import Option

from bench.commands._common import DONE, OPEN, AsJson, Folders, console, evidence_of

if TYPE_CHECKING:
    from bench.causes.device import OnDevice
    from bench.causes.shares import Explained, Share
    from bench.report.sheet import Cell

    Explanation: TypeAlias = Explained | OnDevice

CPU_LEGEND = (
    "products: those of the iteration alone, in the style's library; memory: what all its operations in "
    "their order take more than these; Python and calls: the same style on arrays of 2 x 2, right after them; page "
    "faults: their number at the measured cost of one. Each was measured by itself, in the process that timed "
    "the case: what they leave (below 0%: explained twice) is a finding. ±: half the 95% interval over processes."
)
DEVICE_LEGEND = (
    "enqueuing, kernels: their shares of the time in a batch; launches, FLOP, bytes: the least that each takes, over "
    "that time; round trip: a launch and a read, over the latency."
)


def explain(
    folders: Folders,
    every: Annotated[bool, Option("--all", help="every size, not only the one that is shown")] = False,
    as_json: AsJson = False,
) -> int:
    """Why each case takes the time that it takes, part by part.

    Exit code 3 when a run holds no case that was measured.
    """
    from bench.causes.device import on_devices
    from bench.causes.shares import explain as explain_run

    rows, code = [], DONE
    for folder in folders:
        evidence = evidence_of(folder)
        sizes = evidence.sizes if every or not evidence.measured else (evidence.shown_size,)
        on_cpu = [one for one in explain_run(evidence.run) if one.case.size in sizes]
        on_device = [one for one in on_devices(evidence.run) if one.case.size in sizes]
        both: list[Explanation] = [*on_cpu, *on_device]
        rows += [{"run": folder.name, **row(one)} for one in both]
        if not as_json:
            print_run(on_cpu, on_device)
        if not (on_cpu or on_device):
            code = OPEN
    if as_json:
        print(json.dumps(rows, indent=1))
    return code


def print_run(on_cpu: Sequence[Explained], on_device: Sequence[OnDevice]) -> None:
    """A sentence a case, fastest first, then the shares and what they mean."""
    from bench.causes.shares import summary
    from bench.report.sheet import print_sheet, print_words, sheet

    to = console()
    if not (on_cpu or on_device):
        print_words(to, "no case of this run was measured, so there is nothing to explain")
    kinds: list[tuple[Sequence[Explanation], str]] = [
        (on_cpu, f"{summary(on_cpu)} {CPU_LEGEND}"), (on_device, DEVICE_LEGEND)
    ]  # fmt: skip
    for found, legend in kinds:
        ordered = sorted(found, key=lambda one: (one.case.size.flops, one.us))
        for one in ordered:
            print_words(to, one.words, "  ")
        if ordered:
            to.print()
            print_sheet(to, sheet("", map(cells, ordered), constant=("size", "device", "dtype")))
            print_words(to, legend)


def cells(one: Explanation) -> Mapping[str, Cell | str]:
    """The row of a case: what it is, its time, each share of it."""
    from bench.report.run_tables import case_cells, time_cell
    from bench.report.sheet import Cell

    def cell(share: Share) -> Cell:
        small = f"±{100 * share.half:.0f}" if math.isfinite(share.half) else ""
        text = f"{'≥' if share.least else ''}{round(share.value, 2) + 0.0:.0%}"  # -0.3% is 0%
        return Cell(text, small, share.value) if share.known else Cell("")

    size = {"size": Cell(str(one.case.size), sort=float(one.case.size.flops))}
    shares = {name: cell(share) for name, share in shares_of(one).items()}
    return {**size, **case_cells(one.case), "us": time_cell(one.us), **shares}


def shares_of(one: Explanation) -> dict[str, Share]:
    """Of a case on a CPU its parts and what they leave, on an accelerator shares of its time; NaN is not known."""
    from bench.causes.device import BYTES, FLOP, LAUNCHES, ROUND_TRIP
    from bench.causes.shares import NOT_EXPLAINED, Explained, Share

    if isinstance(one, Explained):
        return {**one.parts, NOT_EXPLAINED: Share(one.rest, one.total.half)}
    floors = {name: one.floors.get(name, math.nan) for name in (LAUNCHES, FLOP, BYTES, ROUND_TRIP)}
    each = {"enqueuing": one.enqueuing, "kernels": one.busy, **floors}
    return {name: Share(value) for name, value in each.items()}


def row(one: Explanation) -> dict[str, Any]:
    """The same for a program: shares of 1, null where nobody measured one."""
    known = {name: share.value if share.known else None for name, share in shares_of(one).items()}
    return {**one.case._asdict(), "us": one.us, "bound_by": one.bound_by, "shares": known, "words": one.words}
