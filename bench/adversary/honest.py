"""Honest styles of every framework at drawn sizes, measured and judged as in a run: how many are let through."""

from __future__ import annotations

import argparse
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random, SystemRandom

from bench.adversary.cheating import SIZES, Bench
from bench.cases.case import Case
from bench.cases.measurement import Found, Job, Measurement
from bench.cases.plan import Plan
from bench.cases.presets import PRESETS
from bench.cases.problem import Problem, Size, stable_learning_rate
from bench.machine.device import cpu_model, unsupported
from bench.machine.witness import Record
from bench.plain import ShapeError, from_plain
from bench.runner.turns import process_launcher, run
from bench.tables.csv_files import read_as, write_as
from bench.timing.loops import Timed
from bench.verification.clocks import told
from bench.verification.shape import Shape
from implementations import Implementation, find_implementations

TABLE = "honest.csv"
BLOCKS, THREADS = 2, 2
DRAWN = (1, 1, THREADS)  # numbers of threads
SAME_SIZES = 100  # rows, before others are drawn
TIMED_AS = ("tutorial", "quick", "quick")  # presets, for how long they time and whether a noisy turn is taken again
PROGRAMS = 0.25  # of the cases
DTYPES = ("float32", "float32", "float64", "bfloat16")
FIGURES = ("lump", "batch", "after_flip", "after_flip_in_batch", "lightest", "over_pause", "at_work")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a run of an honest style, and by how much its samples came near what no honest style does.

    See `bench.verification.shape.Shape` for the ratios; `told` is the least share of what passed, and of the CPU time
    that was used, that its samples add up to, alone or in batches.
    """

    style: str
    framework: str
    size: str
    dtype: str
    threads: int
    drawn: int
    block: int
    status: str
    noisy: bool
    lump: float | None
    batch: float | None
    after_flip: float | None
    at_work: float | None
    told: float | None
    attempts: int
    reason: str
    preset: str = "tutorial"
    after_flip_in_batch: float | None = None
    lightest: float | None = None
    over_pause: float | None = None


def draw_sizes(random: Random) -> tuple[Size, ...]:
    """Those of the known cheats and as many others, few since each has ceilings of its own.

    Half of these have few inputs: their iteration is the mask of the ReLU more than products, and x makes the mask.
    """
    others = (
        Size(random.randint(1, 128), random.randint(10, most), random.randint(2, 200), random.randint(1, 20))
        for most in (random.choice((20, 1500)) for _ in SIZES)
    )
    return (*SIZES, *others)


def draw_case(
    random: Random, styles: Sequence[Implementation], sizes: Sequence[Size], threads: Sequence[int] = DRAWN
) -> Case:
    """A style, size, dtype and number of threads."""
    style, size = random.choice(styles), random.choice(sizes)
    own = [one for one in DTYPES if not unsupported(style.framework, "cpu", one, "ieee")]
    rate = stable_learning_rate(size, style.oracle)
    return Case(
        style.name, "cpu", Problem(*size, random.choice(own), rate), threads=random.choice(threads),
        framework=style.framework, oracle=style.oracle, program=random.random() < PROGRAMS,
    )  # fmt: skip


def try_case(bench: Bench, case: Case, style: Implementation, preset: str, drawn: int) -> Iterator[Row]:
    """Its rows in two blocks, exactly as a run of that preset measures them."""
    shapes: list[tuple[Shape, float | None]] = []

    def watch(job: Job, found: Found, record: Record) -> None:
        try:
            timed = from_plain(Timed, found.raw)
            shapes.append((Shape.of(job, timed, record), told(job, timed, record)))
        except ShapeError:
            pass  # it answered no times: its row says so

    timed_as, cases = PRESETS[preset], {case: BLOCKS}
    plan = Plan("validate", cases, BLOCKS, {style.name: style}, rule=timed_as.rule, retried=timed_as.retried)
    floors = bench.floors_of(plan)
    for measurement in run(plan, process_launcher(plan, watch), run_id=uuid.uuid4().hex):
        yield row_of(floors.under(measurement), preset, drawn, *(shapes[-1] if shapes else (Shape(0.0), None)))
        shapes.clear()


def whole_plan(styles: Sequence[Implementation], sizes: Sequence[Size]) -> Plan:
    """A plan of all that may be drawn, for its ceilings."""
    cases = {
        Case(style.name, "cpu", Problem(*size, dtype, 1e-6), threads=count, framework=style.framework): 1
        for style in styles for size in sizes for dtype in sorted(set(DTYPES)) for count in (1, THREADS)
        if not unsupported(style.framework, "cpu", dtype, "ieee")
    }  # fmt: skip
    return Plan(preset="validate", cases=cases, blocks=1, styles={one.name: one for one in styles})


def row_of(found: Measurement, preset: str, drawn: int, shape: Shape, share: float | None) -> Row:
    """One line of the table."""
    case = found.case
    known = {name: getattr(shape, name) for name in FIGURES} | {"told": share}
    figures = {name: None if value is None else round(value, 4) for name, value in known.items()}
    return Row(
        case.style, case.framework, str(case.problem.size), case.problem.dtype, case.threads, drawn, found.block,
        found.status, found.noisy, **figures, attempts=found.attempts,
        reason=found.reason if found.status != "ok" else "", preset=preset,
    )  # fmt: skip


def measure(folder: Path, rows: int, styles: Sequence[Implementation], threads: Sequence[int] = DRAWN) -> list[Row]:
    """honest.csv of a folder up to so many rows, two at a time; those that it holds stay."""
    path = folder / TABLE
    found = read_as(path, Row, later=("preset", "after_flip_in_batch", "lightest", "over_pause"))
    sizes: tuple[Size, ...] = ()
    until = 0
    with tempfile.TemporaryDirectory(prefix="fiftyx-") as place:
        bench = Bench(Path(place))
        while len(found) < rows:
            if len(found) >= until:
                sizes, until = draw_sizes(Random()), len(found) + SAME_SIZES
                bench.floors_of(whole_plan(styles, sizes))
            drawn = SystemRandom().randrange(2**31)
            random = Random(drawn)
            case, preset = draw_case(random, styles, sizes, threads), random.choice(TIMED_AS)
            style = next(one for one in styles if one.name == case.style)
            new = list(try_case(bench, case, style, preset, drawn))
            found += new
            write_as(path, Row, found)
            sys.stderr.write(f"{len(found)} of {rows}: {case.label}: {', '.join(one.status for one in new)}\n")
    return found


README = """\
# Honest styles, let through

{held} of {rows} rows of honest styles were not `ok`: {styles} styles of {frameworks}, on one thread and on {threads},
at the tutorial's size, at 16x250x25x5 and at drawn ones, timed as long as `tutorial` and as short as `quick` times;
{model}, made by `{command}`.

A row of `honest.csv` is a row of a run: two blocks of a case drawn by the seed `drawn` from sizes drawn before, with
fresh data, judged as in a run. `lump`, `batch`, `after_flip`, `after_flip_in_batch`, `lightest`, `over_pause` and
`at_work` are the ratios that the judge looks at, see bench/verification/shape.py, empty where it does not; `told` is
the least share of what passed that samples add up to.
"""


def summary(found: Sequence[Row], command: str) -> str:
    """The folder's README."""
    return README.format(
        held=sum(one.status != "ok" for one in found), rows=len(found), styles=len({one.style for one in found}),
        frameworks=", ".join(sorted({one.framework for one in found})), threads=THREADS, model=cpu_model(),
        command=command,
    )  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    """Write or finish honest.csv and README.md in --out; 1 where one was held back."""
    parser = argparse.ArgumentParser(prog="python -m bench.adversary.honest", description=__doc__)
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--out", type=Path, default=Path("results/honest"), help="folder to write or to finish")
    parser.add_argument("--threads", type=int, nargs="+", choices=set(DRAWN), default=DRAWN, help="to draw from")
    given = parser.parse_args(arguments)
    styles = [one for one in find_implementations().values() if "cpu" in one.devices and not one.missing]
    given.out.mkdir(parents=True, exist_ok=True)
    found = measure(given.out, given.rows, styles, given.threads)
    command = " ".join([parser.prog, *arguments])
    (given.out / "README.md").write_text(summary(found, command), encoding="utf-8")
    held = [one for one in found if one.status != "ok"]
    sys.stdout.write(f"{len(held)} of {len(found)} rows of honest styles were held back\n")
    return 1 if held else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
