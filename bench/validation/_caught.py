"""What became of a known cheat next to an honest style: `cheats.csv`, its judgement and its words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench.cases.measurement import Measurement
from bench.cases.problem import TUTORIAL_SIZE, Size
from bench.machine.device import cpu_model
from bench.validation._cheats import Cheat
from bench.validation.acceptance import Check

CHEATS_TABLE = "cheats.csv"
SIZES = (TUTORIAL_SIZE, Size(16, 250, 25, 5))
BLOCKS, MOST_BLOCKS = 2, 8  # more than BLOCKS for who seems to gain
WITHOUT_GAIN = 1.05
SCOPES = ("latency_median_us", "throughput_us", "loop_seconds", "program_seconds")
BESIDE = "beside"


@dataclass(frozen=True, slots=True)
class Caught:
    """What became of a cheat at one size: of `rows` so many were no time, and what the others gained by scope.

    A gain is the honest style's time of the same block over the cheat's, the median over blocks; empty where no row
    came through. `ended` are the statuses of rows that are no time, `must_end` the one that they should have, `reason`
    is of the first. `held` counts rows of the honest style beside it that were held back.
    """

    cheat: str
    source: str
    does: str
    size: str
    rows: int
    caught: int
    latency_gain: float | None
    throughput_gain: float | None
    loop_gain: float | None
    program_gain: float | None
    must_end: str
    ended: str
    held: int
    reason: str

    @property
    def honest(self) -> bool:
        """Whether it is no cheat but the loop as it should be."""
        return not self.source

    @property
    def gain(self) -> float:
        """The most in any scope; 0 where no row came through."""
        gains = (self.latency_gain, self.throughput_gain, self.loop_gain, self.program_gain)
        return max((gain for gain in gains if gain is not None), default=0.0)

    @property
    def right(self) -> bool:
        """No honest row is held back; no cheat that comes through has gained, and the others end as they must."""
        if self.honest:
            return self.caught == 0
        return self.gain <= WITHOUT_GAIN and set(self.ended.split()) <= {self.must_end}


def caught(cheat: Cheat, size: Size, rows: Sequence[Measurement]) -> Caught:
    """What its rows came to."""
    mine = [one for one in rows if one.case.style == cheat.name]
    honest = [one for one in rows if one.case.style == BESIDE]
    through, others = [[one for one in mine if (one.status == "ok") is ok] for ok in (True, False)]
    latency, throughput, loop, program = (gain(through, honest, scope) for scope in SCOPES)
    return Caught(
        cheat.name, cheat.source, cheat.does, str(size), len(mine), len(others), latency, throughput, loop, program,
        cheat.ends, " ".join(sorted({one.status for one in others})), sum(one.status != "ok" for one in honest),
        others[0].reason if others else "",
    )  # fmt: skip


def gain(rows: Sequence[Measurement], honest: Sequence[Measurement], scope: str) -> float | None:
    """By what factor a row is faster than the honest one of its block, the median over blocks.

    At one speed of the core if that was read.
    """
    per = {"latency_median_us": "latency_per_reference", "throughput_us": "throughput_per_reference"}.get(scope, scope)
    base = {one.block: one.values for one in honest if one.status == "ok"}
    found = []
    for one in rows:
        name = per if one.values.get(per) and base.get(one.block, {}).get(per) else scope
        mine, theirs = one.values.get(name), base.get(one.block, {}).get(name)
        if mine and theirs:
            found.append(float(theirs) / float(mine))
    return median(found) if found else None


def judge_cheats(found: Sequence[Caught]) -> Check:
    """Every known cheat is wrong or gains nothing, and the honest loop next to it is let through."""
    name, must = "known cheats", "all wrong, or within 5% of honest; the honest let through"
    if not found:
        return Check(name, must, "", None, 0, "none tried; see --resume")
    cheats = [one for one in found if not one.honest]
    missed = [one for one in found if not one.right]
    got = f"{sum(one.right for one in cheats)} of {len(cheats)}"
    held = sum(one.held for one in found)
    notes = [
        f"{one.cheat} at {one.size}: " + (one.reason if one.honest or one.gain <= WITHOUT_GAIN else f"{one.gain:.2f}x")
        for one in missed
    ]
    notes += [f"{held} honest rows held back"] if held else []
    met = not missed and not held
    return Check(name, must, got, met, len(cheats), "; ".join(notes) or "two sizes, two blocks, four scopes")


README = """\
# Known cheats, tried

{right} of {cheats} cheats at {sizes} were wrong in every row that would have gained, {held} of {honest} honest rows
were held back; {model}, made by `{command}`.

A row of `cheats.csv` is a cheat at one size, in two blocks exactly as a run measures them, an honest style in the same
blocks, and in up to {most} blocks where there seemed to be a gain. `caught` of `rows` got no time and have the statuses
`ended`, the gains are the honest style's time over the cheat's where a row came through, the median over blocks;
`reason` is of the first row that is no time. A cheat that ends its process instead of answering must end `crashed`: a
row with a reason and no figure is no gain. `source`: KB KernelBench, KG kernelguard, PG pygpubench, RK
reference-kernels, KBot kernelbot, DR deep-reinforce, W wafer, T tensara, METR, S Sakana; ours where nobody else has
published it.
"""


def summary(found: Sequence[Caught], command: str) -> str:
    """The folder's README."""
    cheats, honest = [one for one in found if not one.honest], [one for one in found if one.honest]
    return README.format(
        right=sum(one.right for one in cheats), cheats=len(cheats), sizes=" and ".join(map(str, SIZES)),
        held=sum(one.caught for one in honest) + sum(one.held for one in found), most=MOST_BLOCKS,
        honest=sum(one.rows for one in honest) + sum(one.rows for one in found), model=cpu_model(), command=command,
    )  # fmt: skip
