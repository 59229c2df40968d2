"""The gate held against honest arithmetic and lies: `python -m bench.validation.gate` makes the evidence for it."""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.cases.case import Case
from bench.cases.challenge import Flip, timed_flips
from bench.cases.phases import REHEARSAL_STEPS, Counts, Rule, affordable_steps, plan_counts
from bench.cases.presets import SWEEP_SIZES, scaled
from bench.cases.problem import TUTORIAL_SIZE, Problem, Size, stable_learning_rate, work_flops
from bench.machine.device import cpu_model
from bench.tables.csv_files import append_rows, read_rows
from bench.validation._subjects import Subject, fewest_honest, fewest_lies, is_lie_at, lying, others, telling
from bench.worker import gate
from bench.worker.deviation import reason, worst
from bench.worker.oracle import Reference, Trained, reference

TABLE = "gate.csv"
COLUMNS = (
    "phase", "oracle", "size", "group", "steps", "checked", "dtype", "precision", "style", "lie", "seeds", "strayed",
    "wrong", "least_excess", "most_excess", "first_seed", "last_seed",
)  # fmt: skip
SIZES = (*SWEEP_SIZES, *scaled(12, 16))  # all that the presets hold
HONEST_SHARES = (0.1, 0.03, 0.015, 0.004, 0.002, 0.001, 0.002, 0.002)  # by size: an iteration's work grows by the cube
LIE_SHARES = (0.02, 0.01, 0.005, 0.002, 0.0015, 0.001, 0.002, 0.002)
REHEARSAL, TIMED = "rehearsal", "timed"
NOMINAL_OVERHEAD_NS, NOMINAL_FLOPS_PER_NS = 20e3, 100.0  # a fast CPU: how long an iteration takes decides the counts


@dataclass(slots=True)
class Tally:
    """What became of one subject in one phase at one size: a row of the table."""

    seeds: int = 0
    strayed: int = 0  # seeds with something beyond its tolerance; in the rehearsal that alone is not wrong yet
    wrong: int = 0
    least: float = float("inf")
    most: float = 0.0

    def add(self, excess: float, *, wrong: bool) -> None:
        """One seed more; `excess` is the largest error over what is allowed."""
        self.seeds += 1
        self.strayed += excess > 1
        self.wrong += wrong
        self.least, self.most = min(self.least, excess), max(self.most, excess)


def rehearse(subject: Subject, seed: int, tally: Tally) -> None:
    """One rehearsal by the gate itself, further seeds and all."""
    case = replace(subject.case, problem=replace(subject.case.problem, seed=seed))
    train = subject.make(seed)
    first = gate.rehearse_seed(case, train, subject.device, seed)
    why = gate.confirmed(case, train, subject.device, first)
    tally.add(worst(first.deviations), wrong=why is not None)


def plan(size: Size, oracle: str) -> tuple[Counts, int]:
    """The counts of a timed run at a nominal speed, and how many iterations of it the oracle follows."""
    flops = work_flops(Problem(*size), oracle)
    counts = plan_counts(Rule(), NOMINAL_OVERHEAD_NS + flops / NOMINAL_FLOPS_PER_NS, 4 if oracle == "dynamic" else 1)
    return counts, affordable_steps(flops, counts.steps)


def draw_flips(size: Size, oracle: str, seed: int) -> list[Flip]:
    """How x changes in the timed run of a seed, as far as the oracle follows."""
    counts, checked = plan(size, oracle)
    seeds = [seed + number for number in range(len(counts.stretches))]
    drawn = timed_flips(Case("", "cpu", Problem(*size), framework="numpy"), counts, seeds)
    return [flip for flip in drawn if flip.step < checked]


def run_timed(
    subject: Subject, size: Size, seed: int, arrays: Sequence[Any], expected: Reference, tally: Tally
) -> None:
    """The comparison of a timed run and of its opening by the gate itself; `expected` saw x change as the run does.

    Where the oracle follows only the start, the emulated run ends there too: what comes after is compared with nothing.
    """
    oracle = subject.case.oracle
    counts, checked = plan(size, oracle)
    n, d_in, hidden, d_out = size
    problem = Problem(n, d_in, hidden, d_out, subject.case.problem.dtype, stable_learning_rate(size, oracle), seed)
    case, train = replace(subject.case, problem=problem), subject.make(seed)
    trained = gate.run(case, train, subject.device, problem, arrays, checked, draw_flips(size, oracle, seed))
    read = {t: loss for t, loss in trained.losses.items() if t < counts.settle + counts.sampling}
    if checked == counts.steps:
        read[checked - 1] = trained.losses[checked - 1]
    found = gate.timed_deviations(case, expected, Trained(read, trained.weights), counts.steps)
    opening = reference(oracle, arrays, problem.learning_rate, min(gate.OPENING_STEPS, checked))
    found += gate.opening_deviations(case, train, subject.device, arrays, opening)
    tally.add(worst(found), wrong=reason(found) is not None)


@dataclass(frozen=True, slots=True)
class Stage:
    """A phase, a net and a size, who is tried there, and on what share of the seeds."""

    phase: str
    oracle: str
    size: Size
    subjects: Callable[[str], list[Subject]]
    share: float


def stages() -> Iterator[Stage]:
    """From what is cheap to what is dear, so that a run that is cut short has the most rows."""
    yield Stage(REHEARSAL, "sgd", TUTORIAL_SIZE, telling, 1.0)
    yield Stage(REHEARSAL, "sgd", TUTORIAL_SIZE, lying, 0.06)
    yield Stage(REHEARSAL, "sgd", TUTORIAL_SIZE, others, 0.05)
    for oracle in ("adam", "dynamic"):
        yield Stage(REHEARSAL, oracle, TUTORIAL_SIZE, telling, 0.1)
        yield Stage(REHEARSAL, oracle, TUTORIAL_SIZE, others, 0.02)
        yield Stage(REHEARSAL, oracle, TUTORIAL_SIZE, lying, 0.02)
    for size, honest, lies in zip(SIZES, HONEST_SHARES, LIE_SHARES, strict=True):
        yield Stage(TIMED, "sgd", size, telling if size in SWEEP_SIZES else fewest_honest, honest)
        yield Stage(TIMED, "sgd", size, lying if size in SWEEP_SIZES else fewest_lies, lies)
    for oracle in ("adam", "dynamic"):
        yield Stage(TIMED, oracle, TUTORIAL_SIZE, telling, 0.003)
        yield Stage(TIMED, oracle, TUTORIAL_SIZE, lying, 0.002)


def run_stage(stage: Stage, seeds: range) -> list[dict[str, object]]:
    """The rows of one stage."""
    counts, checked = plan(stage.size, stage.oracle)
    if stage.phase == REHEARSAL:
        counts, checked = Counts(0, REHEARSAL_STEPS, 0), REHEARSAL_STEPS
    tallies = [(one, Tally()) for one in stage.subjects(stage.oracle) if is_lie_at(one, stage.size)]
    for seed in seeds:
        if stage.phase == TIMED:
            arrays = Problem(*stage.size, seed=seed).arrays()
            drawn = draw_flips(stage.size, stage.oracle, seed)
            expected = reference(stage.oracle, arrays, stable_learning_rate(stage.size, stage.oracle), checked, drawn)
        for subject, tally in tallies:
            with np.errstate(all="ignore"):  # a lie may overflow
                if stage.phase == REHEARSAL:
                    rehearse(subject, seed, tally)
                else:
                    run_timed(subject, stage.size, seed, arrays, expected, tally)
    steps = {"steps": counts.steps, "checked": checked, "first_seed": seeds.start, "last_seed": seeds.stop - 1}
    return [row(stage, subject, tally) | steps for subject, tally in tallies]


def row(stage: Stage, subject: Subject, tally: Tally) -> dict[str, object]:
    """One line of the table."""
    return {
        "phase": stage.phase,
        "oracle": stage.oracle,
        "size": "x".join(map(str, stage.size)),
        "dtype": subject.case.problem.dtype,
        "precision": subject.case.precision,
        "style": subject.case.style,
        "lie": subject.lie,
        "seeds": tally.seeds,
        "strayed": tally.strayed,
        "wrong": tally.wrong,
        "least_excess": f"{tally.least:.3g}",
        "most_excess": f"{tally.most:.3g}",
    }


def measure(folder: Path, seeds: int, first: int, notify: Callable[[str], object]) -> None:
    """gate.csv of a folder, a stage at a time; stages that it holds already are not run again. Raises TableError."""
    path = folder / TABLE
    done = (
        {(one["phase"], one["oracle"], one["size"], one["group"]) for one in read_rows(path, COLUMNS)}
        if path.exists()
        else set()
    )
    folder.mkdir(parents=True, exist_ok=True)
    for stage in stages():
        size, group = "x".join(map(str, stage.size)), stage.subjects.__name__
        if (stage.phase, stage.oracle, size, group) in done:
            continue
        start, share = time.monotonic(), math.ceil(stage.share * seeds)
        rows = run_stage(stage, range(first, first + share))
        append_rows(path, COLUMNS, [one | {"group": group} for one in rows])
        notify(f"{stage.phase} {stage.oracle} {size} {group}: {share} seeds in {time.monotonic() - start:.0f} s")


README = """\
# Evidence for the gate: honest arithmetic let through, lies caught

{honest} of {trials:,} honest trials were called wrong, {missed} of {lies:,} lies in the rehearsal were missed; {model},
one thread, made by `{command}`.

A row of `gate.csv` is a style and dtype in one phase at one size: `seeds` were tried, on `strayed` of them something
was beyond its tolerance, `wrong` is the gate's verdict (in the rehearsal by the majority of five seeds),
`least_excess` and `most_excess` are the smallest and the largest error over what is allowed. Where `checked` is less
than `steps`, the oracle affords only so many iterations of the timed run, and the rest was not run.
"""


def summary(rows: Sequence[dict[str, str]], command: str) -> str:
    """The folder's README."""

    honest = [one for one in rows if not one["lie"]]
    lies = [one for one in rows if one["lie"] and one["phase"] == REHEARSAL]

    return README.format(
        honest=_sum(honest, "wrong"), trials=_sum(honest, "seeds"),
        missed=_sum(lies, "seeds") - _sum(lies, "wrong"), lies=_sum(lies, "seeds"),
        model=cpu_model(), command=command,
    )  # fmt: skip


def _sum(rows: Sequence[dict[str, str]], name: str) -> int:
    return sum(int(one[name]) for one in rows)


def main(arguments: Sequence[str]) -> int:
    """Write gate.csv and README.md into --out."""
    parser = argparse.ArgumentParser(prog="python -m bench.validation.gate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000, help="of the cheapest stage; dear ones take a share")
    parser.add_argument("--seeds-from", type=int, default=10_000, help="the first of them")
    parser.add_argument("--out", type=Path, default=Path("results/gate"), help="folder to write or to finish")
    given = parser.parse_args(arguments)
    measure(given.out, given.seeds, given.seeds_from, lambda text: sys.stderr.write(f"{text}\n"))
    command = f"python -m bench.validation.gate --seeds {given.seeds} --seeds-from {given.seeds_from} --out {given.out}"
    (given.out / "README.md").write_text(summary(read_rows(given.out / TABLE, COLUMNS), command), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
