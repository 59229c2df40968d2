"""Every known cheat in real worker processes, two blocks of two sizes, by all four scopes: `cheats.csv`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median

from bench.adversary.cheats import BASES, PLAIN, Cheat
from bench.adversary.inroads import INROADS
from bench.adversary.lies import write_style
from bench.adversary.shortcuts import SHORTCUTS
from bench.cases.case import Case
from bench.cases.measurement import Measurement
from bench.cases.plan import Plan
from bench.cases.problem import TUTORIAL_SIZE, Problem, Size, stable_learning_rate
from bench.checks import Check
from bench.machine.device import cpu_model
from bench.machine.environment import available_cpus
from bench.runner.floor import Floors
from bench.runner.turns import process_launcher, run
from bench.status import Say
from bench.tables.csv_files import read_as, write_as
from bench.tables.writer import write_machine

CHEATS = (*PLAIN, *SHORTCUTS, *INROADS)
CHEATS_TABLE = "cheats.csv"
SIZES = (TUTORIAL_SIZE, Size(16, 250, 25, 5))
BLOCKS, MOST_BLOCKS = 2, 8  # more than BLOCKS for who seems to gain
WITHOUT_GAIN = 1.05
SCOPES = ("latency_median_us", "throughput_us", "loop_seconds", "program_seconds")
ONCE = ("loop_seconds", "program_seconds")
BESIDE = "beside"


@dataclass(frozen=True, slots=True)
class Caught:
    """What became of a cheat at one size, a row of cheats.csv; README below says what its columns are.

    `must_end` is the status that rows that are no time should have, `held` counts rows of the honest style next to it
    that were held back, `held_reason` is of the first.
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
    held_reason: str = ""

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
    held = [one for one in honest if one.status != "ok"]
    through, others = ([one for one in mine if (one.status == "ok") is ok] for ok in (True, False))
    latency, throughput, loop, program = (gain(through, honest, scope) for scope in SCOPES)
    return Caught(
        cheat.name, cheat.source, cheat.does, str(size), len(mine), len(others), latency, throughput, loop, program,
        cheat.ends, " ".join(sorted({one.status for one in others})), len(held),
        others[0].reason if others else "", f"{held[0].status}: {held[0].reason}" if held else "",
    )  # fmt: skip


def gain(rows: Sequence[Measurement], honest: Sequence[Measurement], scope: str) -> float | None:
    """How many times as fast as the honest row of its block, the median over blocks; at one speed if that was read.

    A loop or a program is timed once a process, and what comes between only makes it longer: the least of both.
    """
    per = {"latency_median_us": "latency_per_reference", "throughput_us": "throughput_per_reference"}.get(scope, scope)
    base = {one.block: one.values for one in honest if one.status == "ok"}
    pairs = [(base[one.block], one.values) for one in rows if one.block in base]
    named = [(per if theirs.get(per) and mine.get(per) else scope, theirs, mine) for theirs, mine in pairs]
    both = [(theirs.get(name), mine.get(name)) for name, theirs, mine in named]
    known = [(float(theirs), float(mine)) for theirs, mine in both if theirs and mine]
    if known and scope in ONCE:
        return min(theirs for theirs, _ in known) / min(mine for _, mine in known)
    return median(theirs / mine for theirs, mine in known) if known else None


def judge_cheats(found: Sequence[Caught]) -> Check:
    """Every known cheat is wrong or gains nothing, and the honest loop next to it is let through."""
    name, must = "known cheats", "all wrong, or within 5% of honest; the honest let through"
    if not found:
        return Check(name, must, "", None, 0, "none tried; see --resume")
    cheats, missed = [one for one in found if not one.honest], [one for one in found if not one.right]
    got, held = f"{sum(one.right for one in cheats)} of {len(cheats)}", sum(one.held for one in found)
    notes = [
        f"{one.cheat} at {one.size}: " + (one.reason if one.honest or one.gain <= WITHOUT_GAIN else f"{one.gain:.2f}x")
        for one in missed
    ]
    why = "; ".join(one.held_reason for one in found if one.held)
    notes += [f"{held} honest rows held back: {why}"] if held else []
    return Check(name, must, got, not notes, len(cheats), "; ".join(notes) or "two sizes, two blocks, four scopes")


def read_cheats(folder: Path) -> list[Caught]:
    """What cheats.csv of a folder holds, nothing where there is none. Raises TableError."""
    return read_as(folder / CHEATS_TABLE, Caught, later=("held_reason",))


def measure_cheats(folder: Path, say: Say, cheats: Sequence[Cheat] = (*BASES, *CHEATS)) -> list[Caught]:
    """cheats.csv of a folder, a cheat after another at each size; those that it holds are not tried again."""
    rows = read_cheats(folder)
    done = {(one.cheat, one.size) for one in rows}
    done |= {(one.name, str(size)) for size in SIZES for one in cheats if one.threads > available_cpus()}
    wanted = [(size, one) for size in SIZES for one in cheats if (one.name, str(size)) not in done]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fiftyx-") as place:
        bench = Bench(Path(place))
        for index, (size, cheat) in enumerate(wanted):
            left_s = (time.monotonic() - began) / max(index, 1) * (len(wanted) - index)
            more = f", about {left_s / 60:.0f} min left" if index else ""
            say(f"cheats at {size}, {index + 1} of {len(wanted)}: {cheat.name}{more}")
            found = bench.tried(cheat, size)
            if found is not None:
                rows.append(found)
                write_as(folder / CHEATS_TABLE, Caught, rows)
    return rows


class Bench:
    """Where cheats are tried: exactly as a run measures them, floors and all, the ceilings measured once."""

    def __init__(self, place: Path) -> None:
        self.place = place
        write_machine(place, {"run_id": uuid.uuid4().hex})
        self.paces_s: dict[tuple[Size, int], float] = {}

    def tried(self, cheat: Cheat, size: Size) -> Caught | None:
        """What becomes of it next to an honest one; None where its library is missing."""
        if (pace := (size, cheat.threads)) not in self.paces_s:
            rows = self.measured([replace(BASES[0], threads=cheat.threads)], size, 1, 0.0)
            self.paces_s[pace] = median(float(one.values["latency_median_us"] or 0) for one in rows) / 2e6
        base = next(one for one in BASES if (one.framework, one.dtype) == (cheat.framework, cheat.dtype))
        honest = replace(base, name=BESIDE, threads=cheat.threads)
        rows = self.measured([honest, cheat], size, BLOCKS, self.paces_s[pace])
        return caught(cheat, size, rows) if rows else None

    def measured(self, styles: Sequence[Cheat], size: Size, blocks: int, pace_s: float) -> list[Measurement]:
        """The rows of `blocks` blocks, and of more where there seems to be a gain; none without the library."""
        if (plan := plan_of(self.place, styles, size, pace_s)) is None:
            return []
        floors, run_id, rows = self.floors_of(plan), uuid.uuid4().hex, []
        used = {case.turn: MOST_BLOCKS // 2 - blocks // 2 for case in plan.cases}
        for row in run(plan, process_launcher(plan), run_id=run_id, used=used):
            rows.append(floors.under(row))
            whole = len(rows) % len(styles) == 0 and len(rows) >= blocks * len(styles)
            if whole and caught(styles[-1], size, rows).gain <= WITHOUT_GAIN:
                break
        return rows

    def floors_of(self, plan: Plan) -> Floors:
        """Of the ceilings that all sizes and cheats share: what is missing of `plan`'s is measured."""
        floors = Floors(self.place, plan, lambda _line: None, lambda _line: None)
        floors.complete()
        return floors


def plan_of(place: Path, styles: Sequence[Cheat], size: Size, pace_s: float) -> Plan | None:
    """A plan of all blocks, the style files in a folder below `place`; None where a library is missing."""
    folder, rate = Path(tempfile.mkdtemp(dir=place)), stable_learning_rate(size)
    written, cases = {}, {}
    for one in styles:
        body, before = one.body.replace("{place}", str(place)), one.before.replace("{pace}", f"{pace_s:.9f}")
        written[one.name] = write_style(folder, body, one.name, before, framework=one.framework, compiled=one.compiled)
        problem = Problem(*size, one.dtype, rate)
        cases[Case(one.name, "cpu", problem, one.threads, framework=one.framework, program=True)] = MOST_BLOCKS
    if any(style.missing for style in written.values()):
        return None
    return Plan("validate", cases, MOST_BLOCKS, written)


README = """\
# Known cheats, tried

{right} of {cheats} cheats at {sizes} were wrong in every row that would have gained, {held} of {honest} honest rows
were held back; {model}, made by `{command}`.

A row of `cheats.csv` is a cheat at one size, in two blocks exactly as a run measures them, an honest style in the
same blocks, and in up to {most} blocks where there seemed to be a gain. `caught` of `rows` got no time and have the
statuses `ended`, the gains are the honest style's time over the cheat's where a row came through: the median over
blocks, and of loop and program, which a process times once, the least of both. `reason` is of the first row that is no
time, `held_reason` of the first honest one that was held back. A cheat that ends its process instead of answering must
end `crashed`: a row with a reason and no figure is no gain.
`source`: KB KernelBench, KG kernelguard, PG pygpubench, RK reference-kernels, KBot kernelbot, DR deep-reinforce, W
wafer, T tensara, METR, S Sakana; ours where nobody else has published it.
"""


def summary(found: Sequence[Caught], command: str) -> str:
    """The folder's README."""
    cheats, honest = [one for one in found if not one.honest], [one for one in found if one.honest]
    return README.format(
        right=sum(one.right for one in cheats), cheats=len(cheats), sizes=" and ".join(map(str, SIZES)),
        held=sum(one.caught for one in honest) + sum(one.held for one in found), most=MOST_BLOCKS,
        honest=sum(one.rows for one in honest) + sum(one.rows for one in found), model=cpu_model(), command=command,
    )  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    """Write or finish cheats.csv and README.md in --out; 1 where a cheat is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.adversary.cheating", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/cheats"), help="folder to write or to finish")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    found = measure_cheats(given.out, partial(print, file=sys.stderr))
    (given.out / "README.md").write_text(summary(found, f"{parser.prog} --out {given.out}"), encoding="utf-8")
    check = judge_cheats(found)
    sys.stdout.write(f"{check.experiment}: {check.got} right; {check.note}\n")
    return 0 if check.met else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
