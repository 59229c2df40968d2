"""The gate held against honest arithmetic and lies: `python -m bench.simulation.gate` makes the evidence for it."""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import product, takewhile
from multiprocessing.queues import SimpleQueue
from pathlib import Path

import numpy as np

from bench.cases.presets import SWEEP_SIZES, scaled
from bench.cases.problem import TUTORIAL_SIZE, Size
from bench.machine.environment import THREAD_VARIABLES
from bench.simulation.gate_table import COLUMNS, TABLE, Row, done_seeds, merge, row_of, summary, together
from bench.simulation.subjects import (
    Subject,
    fewest_honest,
    fewest_lies,
    is_lie_at,
    late,
    late_unchanging,
    lying,
    others,
    slow,
    telling,
    unchanging,
)
from bench.simulation.trials import OPENING, PACES, REHEARSAL, TIMED, steps_of, try_subject
from bench.status import Say
from bench.tables.csv_files import append_rows

SIZES = (*SWEEP_SIZES, *scaled(12, 16))  # all that the presets hold
# Shares of the seeds: an iteration's work grows by the cube of the size, a timed run of a small one has most iterations
REHEARSAL_SHARES = {"sgd": 0.3, "adam": 0.06, "dynamic": 0.06}
OPENING_SHARES = (1.0, 0.5, 0.25, 0.02, 0.004, 0.001, 0.001, 0.001)
TIMED_SHARES = (0.05, 0.02, 0.006, 0.0015, 0.001, 0.0005, 0.0005, 0.0005)
TELLING_SHARES = (0.5, 0.1, 0.02, *TIMED_SHARES[3:])  # of honest timed runs: of these most were once accused
# More samples than hidden units, one output: the loss levels off above 0, and updates get lost in rounding
LEVEL_SIZES, LEVEL_SHARES = (Size(64, 200, 16, 1), Size(64, 449, 25, 1), Size(128, 828, 21, 1)), (0.01, 0.005, 0.005)
# Few values whose roundings average out, of long sums: at these a first loss was off by 8e-6 in honest float32
FEW_SIZES, FEW_SHARE = (Size(1, 8000, 8, 1), Size(1, 1000, 2, 10), Size(4, 4000, 16, 1)), 0.1
# Drawn by chance, and those at which an honest style was accused
FOLLOWED = (
    *LEVEL_SIZES[:2], Size(64, 8, 24, 1), Size(29, 11, 32, 2), Size(98, 13, 191, 17), Size(64, 200, 64, 5),
    Size(14, 186, 51, 1), Size(8, 9, 7, 1),
)  # fmt: skip
FOLLOWED_SHARE = 0.0005
LATE_SHARE = 0.002  # where the oracle follows a preset's size to its end
ORACLES = ("sgd", "adam", "dynamic")
ROUNDS = 4  # most stages are run in so many parts, one of each in turn: a run that is cut short has some of all


@dataclass(frozen=True, slots=True)
class Stage:
    """A phase, a net and a size, who is tried there, and on what share of the seeds."""

    phase: str
    oracle: str
    size: Size
    subjects: Callable[[str], list[Subject]]
    share: float

    @property
    def whose(self) -> dict[str, str]:
        """What its rows have in common."""
        return {
            "phase": self.phase, "oracle": self.oracle, "size": str(self.size), "group": self.subjects.__name__
        }  # fmt: skip


def stages() -> Iterator[Stage]:
    """From what is cheap to what is dear."""
    for oracle, share in REHEARSAL_SHARES.items():
        for subjects, rarer in ((telling, 1), (lying, 4), (others, 10), (slow, 30)):
            yield Stage(REHEARSAL, oracle, TUTORIAL_SIZE, subjects, share / rarer)
    for phase, shares in ((OPENING, OPENING_SHARES), (TIMED, TIMED_SHARES)):
        for size, share in zip(SIZES, shares, strict=True):
            small = size in SWEEP_SIZES
            honest = TELLING_SHARES[SIZES.index(size)] if phase == TIMED else share
            yield Stage(phase, "sgd", size, telling if small else fewest_honest, honest)
            yield Stage(phase, "sgd", size, lying if small else fewest_lies, share / 4)
            if size in SWEEP_SIZES[:3]:
                yield Stage(phase, "sgd", size, others, share / 10)
        for size, share in zip(LEVEL_SIZES, LEVEL_SHARES, strict=True):
            yield Stage(phase, "sgd", size, telling, share)
            yield Stage(phase, "sgd", size, lying, share / 4)
        for oracle in ("adam", "dynamic"):
            share = shares[SIZES.index(TUTORIAL_SIZE)] / 3
            yield Stage(phase, oracle, TUTORIAL_SIZE, telling, share)
            yield Stage(phase, oracle, TUTORIAL_SIZE, lying, share / 2)

    yield from (
        Stage(OPENING, "sgd", size, group, FEW_SHARE) for size in FEW_SIZES for group in (telling, others, slow)
    )
    for oracle, size in (*product(("sgd",), SWEEP_SIZES[1:4]), ("adam", TUTORIAL_SIZE), ("dynamic", TUTORIAL_SIZE)):
        yield Stage(TIMED, oracle, size, late, LATE_SHARE)
    yield from timed_otherwise()


def timed_otherwise() -> Iterator[Stage]:
    """Timed runs that are longer, or in which x changes seldom or never; and lies that begin late.

    As far as the oracle follows them to their end.
    """
    for size, phase, oracle in product(FOLLOWED, PACES, ORACLES):
        steps, checked = steps_of(phase, size, oracle)
        if checked < steps:
            continue
        if oracle == "sgd" or phase == TIMED:
            yield Stage(phase, oracle, size, late, FOLLOWED_SHARE)
            yield Stage(phase, oracle, size, late_unchanging, FOLLOWED_SHARE)
        yield Stage(phase, oracle, size, unchanging, FOLLOWED_SHARE)
        if phase != TIMED or oracle != "sgd" or size not in LEVEL_SIZES:
            yield Stage(phase, oracle, size, telling, FOLLOWED_SHARE)


def parts(seeds: int, first: int) -> Iterator[tuple[Stage, range]]:
    """Every stage's seeds from `first` on in ROUNDS parts, openings of small sizes first.

    In each round timed runs first, and lies that begin late last.
    """
    every: list[tuple[tuple[int, bool, bool], Stage, range]] = []
    for stage in stages():
        end = first + math.ceil(stage.share * seeds)
        each = math.ceil((end - first) / ROUNDS)
        for number, start in enumerate(range(first, end, each)):
            dear = stage.subjects in (late, late_unchanging)  # ten lies, whose long runs are all tried three times
            turn = 0 if cheap(stage) else number + 1, dear, stage.phase not in PACES
            every.append((turn, stage, range(start, min(end, start + each))))
    yield from ((stage, part) for _round, stage, part in sorted(every, key=lambda one: one[0]))


def cheap(stage: Stage) -> bool:
    """Whether a trial takes milliseconds."""
    return stage.phase == OPENING and stage.size in (*SIZES[:3], *FEW_SIZES)


def run_part(stage: Stage, seeds: range) -> list[Row]:
    """The rows of one part of a stage."""
    subjects = [one for one in stage.subjects(stage.oracle) if is_lie_at(one, stage.size)]
    steps = steps_of(stage.phase, stage.size, stage.oracle)
    if "torch._dynamo" in sys.modules:  # it refuses to compile a style anew at the ninth size
        sys.modules["torch._dynamo"].reset()
    with np.errstate(all="ignore"):  # a lie may overflow
        return together(
            row_of(stage.whose, steps, one, seed, try_subject(stage.phase, one, stage.size, seed))
            for seed in seeds
            for one in subjects
        )


def measure(folder: Path, seeds: int, first: int, say: Say, processes: int = 1, minutes: float = math.inf) -> int:
    """gate.csv of a folder, a part at a time: how many parts are left after so many minutes, which end no part.

    Parts that it holds already are not run again. Raises TableError.
    """
    path = folder / TABLE
    done = done_seeds(path)
    folder.mkdir(parents=True, exist_ok=True)
    left = [(stage, part) for stage, part in parts(seeds, first) if not done(stage.whose, part)]
    start = time.monotonic()
    in_time = takewhile(lambda _part: time.monotonic() - start < 60 * minutes, left)
    number = 0
    for number, (stage, part, rows) in enumerate(run_parts(in_time, processes), start=1):
        append_rows(path, COLUMNS, rows)
        took = f"{len(part)} seeds, {number} of {len(left)} parts after {time.monotonic() - start:.0f} s"
        say(f"{' '.join(stage.whose.values())}: {took}")
    return len(left) - number


def run_parts(left: Iterable[tuple[Stage, range]], processes: int) -> Iterator[tuple[Stage, range, list[Row]]]:
    """Each part with its rows, in order, made here or in so many processes of one thread each."""
    if processes == 1:
        yield from ((stage, part, run_part(stage, part)) for stage, part in left)
        return
    os.environ |= dict.fromkeys(THREAD_VARIABLES, "1")  # read when a process loads its libraries
    running = deque[tuple[Stage, range, Future[list[Row]]]]()
    context = multiprocessing.get_context("spawn")
    numbers: SimpleQueue[int] = context.SimpleQueue()
    for number in range(processes):
        numbers.put(number)
    with ProcessPoolExecutor(processes, context, keep_to_a_core, (numbers,)) as pool:
        for stage, part in left:
            running.append((stage, part, pool.submit(run_part, stage, part)))
            if len(running) > 2 * processes:  # those in the queue are begun too, before anybody asks whether time is up
                first, its_part, rows = running.popleft()
                yield first, its_part, rows.result()
        yield from ((stage, part, rows.result()) for stage, part, rows in running)


def keep_to_a_core(numbers: SimpleQueue[int]) -> None:
    """A core for each process of a pool: jax would keep them all to the first."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[numbers.get() % len(cores)]})


def main(arguments: list[str]) -> int:
    """Write gate.csv and README.md into --out."""
    parser = argparse.ArgumentParser(prog="python -m bench.simulation.gate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000, help="of the cheapest stage; dear ones take a share")
    parser.add_argument("--seeds-from", type=int, default=10_000, help="the first of them")
    parser.add_argument("--processes", type=int, default=1, help="at a time, of one thread each if more than one")
    parser.add_argument("--out", type=Path, default=Path("results/gate"), help="folder to write or to finish")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin nothing later; run again to go on")
    given = parser.parse_args(arguments)
    say = partial(print, file=sys.stderr)
    left = measure(given.out, given.seeds, given.seeds_from, say, given.processes, given.minutes)
    command = f"{parser.prog} --seeds {given.seeds} --seeds-from {given.seeds_from}"
    command += f" --processes {given.processes} --out {given.out}"
    (given.out / "README.md").write_text(summary(merge(given.out / TABLE), command, left), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
