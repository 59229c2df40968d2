"""Every known cheat in real worker processes, two blocks of two sizes, by all four scopes: `cheats.csv`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from bench.cases.case import Case
from bench.cases.measurement import Measurement
from bench.cases.plan import Plan
from bench.cases.problem import Problem, Size, stable_learning_rate
from bench.runner.floor import Floors
from bench.runner.turns import process_launcher, run
from bench.status import Say, status_line
from bench.tables.csv_files import read_as, write_as
from bench.tables.writer import write_machine
from bench.validation._caught import (
    BESIDE,
    BLOCKS,
    CHEATS_TABLE,
    MOST_BLOCKS,
    SIZES,
    WITHOUT_GAIN,
    Caught,
    caught,
    judge_cheats,
    summary,
)
from bench.validation._cheats import PLAIN, Cheat
from bench.validation._inroads import INROADS
from bench.validation._shortcuts import SHORTCUTS
from bench.validation.lies import HONEST, IN_TORCH, write_style

BASES = (
    Cheat("honest", "", "the loop as it should be", HONEST),
    Cheat("honest_torch", "", "the same in torch", IN_TORCH, framework="torch"),
    Cheat("honest_bfloat16", "", "the same in torch and bfloat16", IN_TORCH, dtype="bfloat16", framework="torch"),
)
CHEATS = (*PLAIN, *SHORTCUTS, *INROADS)


def measure_cheats(folder: Path, say: Say, cheats: Sequence[Cheat] = (*BASES, *CHEATS)) -> list[Caught]:
    """cheats.csv of a folder, a cheat after another at each size; those that it holds are not tried again."""
    rows = read_as(folder / CHEATS_TABLE, Caught)
    done = {(one.cheat, one.size) for one in rows}
    wanted = [(size, one) for size in SIZES for one in cheats if (one.name, str(size)) not in done]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fiftyx-") as place:
        bench = Bench(Path(place))
        for index, (size, cheat) in enumerate(wanted):
            left = (time.monotonic() - began) / index * (len(wanted) - index) / 60 if index else None
            more = f", about {left:.0f} min left" if left is not None else ""
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
        self.floors: Floors | None = None
        self.paces_s: dict[Size, float] = {}

    def tried(self, cheat: Cheat, size: Size) -> Caught | None:
        """What becomes of it next to an honest one; None where its library is missing."""
        if size not in self.paces_s:
            rows = self.measured([BASES[0]], size, 1, 0.0)
            self.paces_s[size] = median(float(one.values["latency_median_us"] or 0) for one in rows) / 2e6
        honest = next(one for one in BASES if (one.framework, one.dtype) == (cheat.framework, cheat.dtype))
        beside = Cheat(BESIDE, "", "", honest.body, dtype=honest.dtype, framework=honest.framework)
        rows = self.measured([beside, cheat], size, BLOCKS, self.paces_s[size])
        return caught(cheat, size, rows) if rows else None

    def measured(self, styles: Sequence[Cheat], size: Size, blocks: int, pace_s: float) -> list[Measurement]:
        """The rows of `blocks` blocks, and of more where there seems to be a gain; none without the library."""
        plan = plan_of(self.place, styles, size, pace_s)
        if plan is None:
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
        """One for all sizes and cheats: what is missing of `plan`'s ceilings is measured."""
        if self.floors is None:
            write_machine(self.place, {"run_id": uuid.uuid4().hex})
            self.floors = Floors(self.place, plan, lambda _line: None, lambda _line: None)
        self.floors.plan, self.floors.block, self.floors.tries = plan, 0, 0
        self.floors.references_us = []
        self.floors.complete()
        return self.floors


def plan_of(place: Path, styles: Sequence[Cheat], size: Size, pace_s: float) -> Plan | None:
    """A plan of all blocks, the style files in a folder below `place`; None where a library is missing."""
    folder = Path(tempfile.mkdtemp(dir=place))
    written = {
        one.name: write_style(
            folder, one.body.replace("{place}", str(place)), one.name, one.before.replace("{pace}", f"{pace_s:.9f}"),
            framework=one.framework,
        )
        for one in styles
    }  # fmt: skip
    if any(style.missing for style in written.values()):
        return None
    rate = stable_learning_rate(size)
    cases = {
        Case(one.name, "cpu", Problem(*size, one.dtype, rate), framework=one.framework, program=True): MOST_BLOCKS
        for one in styles
    }
    return Plan(preset="validate", cases=cases, blocks=MOST_BLOCKS, styles=written)


def main(arguments: Sequence[str]) -> int:
    """Write or finish cheats.csv and README.md in --out; 1 where a cheat is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.validation.cheating", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/cheats"), help="folder to write or to finish")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    with status_line(sys.stderr, rewritten=False) as say:
        found = measure_cheats(given.out, say)
    (given.out / "README.md").write_text(summary(found, f"{parser.prog} --out {given.out}"), encoding="utf-8")
    check = judge_cheats(found)
    sys.stdout.write(f"{check.experiment}: {check.got} right; {check.note}\n")
    return 0 if check.met else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
