"""Every known cheat in real worker processes, two blocks of two sizes, by all four scopes: `cheats.csv`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.cases.case import Case
from bench.cases.measurement import Measurement
from bench.cases.plan import Plan
from bench.cases.problem import TUTORIAL_SIZE, Problem, Size, stable_learning_rate
from bench.machine.device import cpu_model
from bench.runner.floor import Floors
from bench.runner.turns import Progress, process_launcher, run
from bench.tables.csv_files import read_as, write_as
from bench.tables.writer import write_machine
from bench.validation._cheats import CHEATS, Cheat
from bench.validation._kills import Notify
from bench.validation.acceptance import Check
from bench.validation.lies import HONEST, write_style

CHEATS_TABLE = "cheats.csv"
SIZES = (TUTORIAL_SIZE, Size(16, 250, 25, 5))
BLOCKS = 2
WITHOUT_GAIN = 1.05
SCOPES = ("latency_median_us", "throughput_us", "loop_seconds", "program_seconds")
TORCH = (
    "    from implementations.torch_tensors import torch_tensors\n    w1, w2 = yield from torch_tensors(x, y, w1, w2, "
)
BASES = {
    "honest": Cheat("honest", "", "the loop as it should be", HONEST),
    "honest_bfloat16": Cheat(
        "honest_bfloat16", "", "the loop as it should be, in torch and bfloat16",
        f"{TORCH}learning_rate, steps)\n    return w1, w2\n", dtype="bfloat16", framework="torch",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Caught:
    """What became of a cheat at one size: of `rows` so many were no time, and the most that the others gained by scope.

    A gain is the honest style's time of the same block over the cheat's; empty where no row came through. `reason` is
    of the first row that is no time.
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
        """No row of an honest style is held back, and no cheat that comes through has gained."""
        return self.caught == 0 if self.honest else self.gain <= WITHOUT_GAIN


def measure_cheats(folder: Path, notify: Notify, cheats: Sequence[Cheat] = CHEATS, blocks: int = BLOCKS) -> None:
    """cheats.csv into `folder`, unless it is there."""
    if not (folder / CHEATS_TABLE).exists():
        found = [one for size in SIZES for one in try_cheats(size, cheats, blocks, notify)]
        write_as(folder / CHEATS_TABLE, Caught, found)


def read_cheats(folder: Path) -> list[Caught]:
    """What cheats.csv of a folder says, nothing where none was tried. Raises TableError."""
    return read_as(folder / CHEATS_TABLE, Caught)


def try_cheats(size: Size, cheats: Sequence[Cheat], blocks: int, notify: Notify) -> list[Caught]:
    """The honest and then every cheat at one size, exactly as a run measures them, floors and all."""

    def starting(progress: Progress) -> None:
        notify(f"cheats at {size}, {progress.done + 1} of {progress.total}: {progress.slot.case.style}")

    with tempfile.TemporaryDirectory(prefix="fiftyx-") as place:
        here = Path(place)
        base = measured(here, [*BASES.values()], size, 1, 0.0, starting)
        pace_s = median(float(one.values["latency_median_us"] or 0) for one in base if one.status == "ok") / 2e6
        rows = measured(here, [*BASES.values(), *cheats], size, blocks, pace_s, starting)
    return [caught(one, size, rows) for one in (*BASES.values(), *cheats) if not missing(one, rows)]


def measured(
    place: Path, cheats: Sequence[Cheat], size: Size, blocks: int, pace_s: float, starting: object
) -> list[Measurement]:
    """The rows of `blocks` blocks."""
    folder = Path(tempfile.mkdtemp(dir=place))
    styles = {
        one.name: write_style(
            folder, one.body.replace("{place}", str(place)), one.name, one.before.replace("{pace}", f"{pace_s:.9f}"),
            framework=one.framework,
        )
        for one in cheats
    }  # fmt: skip
    problems = {
        one.name: Problem(*size, one.dtype, stable_learning_rate(size))
        for one in cheats
        if not styles[one.name].missing
    }
    cases = {Case(name, "cpu", problem, framework=styles[name].framework, program=True): blocks
             for name, problem in problems.items()}  # fmt: skip
    plan = Plan(preset="validate", cases=cases, blocks=blocks, styles=styles)
    run_id = uuid.uuid4().hex
    write_machine(folder, {"run_id": run_id})
    floors = Floors(folder, plan, lambda _line: None, lambda _line: None)
    floors.complete()
    rows = run(plan, process_launcher(plan), starting=starting, run_id=run_id)  # type: ignore[arg-type]
    return [floors.under(one) for one in rows]


def missing(cheat: Cheat, rows: Iterable[Measurement]) -> bool:
    """Whether it could not run here, for want of its library."""
    return all(one.case.style != cheat.name for one in rows)


def caught(cheat: Cheat, size: Size, rows: Sequence[Measurement]) -> Caught:
    """What its rows came to."""
    base = "honest_bfloat16" if cheat.dtype == "bfloat16" else "honest"
    mine = [one for one in rows if one.case.style == cheat.name]
    through = [one for one in mine if one.status == "ok"]
    reasons = [f"{one.status}: {one.reason}" for one in mine if one.status != "ok"]
    latency, throughput, loop, program = (
        gain(through, [one for one in rows if one.case.style == base], scope) for scope in SCOPES
    )
    return Caught(
        cheat.name, cheat.source, cheat.does, str(size), len(mine), len(mine) - len(through),
        latency, throughput, loop, program, next(iter(reasons), ""),
    )  # fmt: skip


def gain(rows: Sequence[Measurement], honest: Sequence[Measurement], scope: str) -> float | None:
    """The most by which a row is faster than the honest one of its block, at one speed of the core if that was read."""
    per = {"latency_median_us": "latency_per_reference", "throughput_us": "throughput_per_reference"}.get(scope, scope)
    base = {one.block: one.values for one in honest if one.status == "ok"}
    found = []
    for one in rows:
        name = per if one.values.get(per) and base.get(one.block, {}).get(per) else scope
        mine, theirs = one.values.get(name), base.get(one.block, {}).get(name)
        if mine and theirs:
            found.append(float(theirs) / float(mine))
    return max(found, default=None)


def judge_cheats(found: Sequence[Caught]) -> Check:
    """Every known cheat is wrong or gains nothing, and the honest loop next to it is let through."""
    name, must = "known cheats", "all wrong, or within 5% of honest; the honest let through"
    if not found:
        return Check(name, must, "", None, 0, "none tried; see --resume")
    cheats = [one for one in found if not one.honest]
    missed = [one for one in found if not one.right]
    got = f"{sum(one.right for one in cheats)} of {len(cheats)}"
    notes = [f"{one.cheat} at {one.size}: " + (one.reason if one.honest else f"{one.gain:.2f}x") for one in missed]
    return Check(name, must, got, not missed, len(cheats), "; ".join(notes) or "two sizes, two blocks, four scopes")


README = """\
# Known cheats, tried

{right} of {cheats} cheats at {sizes} were wrong in every row that would have gained, {held} of {honest} honest rows
were held back; {model}, made by `{command}`.

A row of `cheats.csv` is a cheat at one size, in two blocks exactly as a run measures them: `caught` of `rows` got no
time, the gains are the honest style's time over the cheat's where a row came through, `reason` is of the first that did
not. `source`: KB KernelBench, KG kernelguard, PG pygpubench, RK reference-kernels, KBot kernelbot, DR deep-reinforce,
W wafer, T tensara, METR, S Sakana; ours where nobody else has published it.
"""


def summary(found: Sequence[Caught], command: str) -> str:
    """The folder's README."""
    cheats, honest = [one for one in found if not one.honest], [one for one in found if one.honest]
    return README.format(
        right=sum(one.right for one in cheats), cheats=len(cheats), sizes=" and ".join(map(str, SIZES)),
        held=sum(one.caught for one in honest), honest=sum(one.rows for one in honest), model=cpu_model(),
        command=command,
    )  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    """Write cheats.csv and README.md into --out."""
    parser = argparse.ArgumentParser(prog="python -m bench.validation._cheating", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/cheats"), help="folder to write")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)

    def notify(text: str) -> None:
        sys.stderr.write(f"{text}\n")

    measure_cheats(given.out, notify)
    command = f"python -m bench.validation._cheating --out {given.out}"
    (given.out / "README.md").write_text(summary(read_cheats(given.out), command), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
