"""`python -m bench.tests.fuzz --inputs 2000 --out DIR`: faults as they come, then counts on top of those in DIR."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from random import SystemRandom

from bench.tables.csv_files import read_as, write_as
from bench.tests.fuzz.inputs import Outcome, run_seeds

TABLE, SEEDS, PAGE = "hostile-input.csv", "hostile-seeds.csv", "hostile-input.md"
WORDS = """\
# Hostile input

{inputs:,} mutated run folders, `--resume` folders, pytest-benchmark files, networks and folders of runs, a fresh seed
each, one command over each: {answered:,} answered, {refused:,} refused in one line, {lost} lost. Lost would be a
traceback, another exit code than 0 to 3, more than one line of complaint, a minute without an end, 8 GiB of memory, a
control character printed, a time or ratio of 0 or less in `--json`, or markup that ran in a page opened in Chromium.

Made by `python -m bench.tests.fuzz --inputs N --out {folder}`, which adds to what is there; `{seeds}` holds the seeds
of each time. A row of `{table}` is a command on a base: a run with a GPU, one on a CPU, one of long ago, one half done,
a pytest-benchmark file, a network of one's own with what its process answers (`advise`), a folder of runs (`index` is
scripts/index). `run` is `run --resume`, dry or to its end with an answer in place of each process; pictures are drawn
as SVG alone.

The 5 that were lost were mended, and are refused in one line now or harmless: a folder of runs whose share.json is a
pipe or a device, a complaint of more than 1,000 characters (seeds from 1223041305 on), a NUL in the title of a folder
that is no run (1682134193). The last {since:,} were tried after the last mend. The first 400 seeds from 2026130000 on
the code of before (5edb519, 5 s until a hang): 23 lost, 6 of them tracebacks, 16 hangs.
"""


@dataclass(frozen=True, slots=True)
class Count:
    """Of a base and command: how often it was tried, answered (0, 1 or 3), refused in one line (2), lost."""

    base: str
    command: str
    tried: int
    answered: int
    refused: int
    lost: int


@dataclass(frozen=True, slots=True)
class Seeds:
    """The seeds of one time: so many from the first on, and how many of them were lost."""

    first: int
    inputs: int
    lost: int


def main() -> int:
    """Run the inputs; 1 where any was lost."""
    parser = argparse.ArgumentParser(prog="python -m bench.tests.fuzz")
    parser.add_argument("--inputs", type=int, default=2_000)
    parser.add_argument("--seed", type=int, help="the first; drawn where it is not given")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path, help="a folder whose counts are added to")
    chosen = parser.parse_args()
    step, first = chosen.processes, chosen.seed
    if first is None:
        first = SystemRandom().randrange(10**9, 2 * 10**9)
    parts = [(first + at, chosen.inputs - at, step) for at in range(step)]
    with multiprocessing.get_context("spawn").Pool(step) as pool:
        found = [one for part in pool.starmap(run_seeds, parts) for one in part]
    lost = sum(bool(one.fault) for one in found)
    if chosen.out:
        add(chosen.out, found, Seeds(first, len(found), lost))
    print(f"{len(found)} inputs from seed {first} on, {lost} lost", file=sys.stderr)
    return 1 if lost else 0


def add(folder: Path, found: Sequence[Outcome], seeds: Seeds) -> None:
    """The tables and the page of a folder with what was `found` on top."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for one in read_as(folder / TABLE, Count):
        for end in ("answered", "refused", "lost"):
            counts[one.base, one.command, end] += getattr(one, end)
    counts.update((one.base, one.command.split()[0], _end(one)) for one in found)
    kinds = sorted({(base, command) for base, command, _ in counts})
    rows = [
        Count(*kind, sum(ends := [counts[(*kind, end)] for end in ("answered", "refused", "lost")]), *ends)
        for kind in kinds
    ]
    times = [*read_as(folder / SEEDS, Seeds), seeds]
    folder.mkdir(parents=True, exist_ok=True)
    write_as(folder / TABLE, Count, rows)
    write_as(folder / SEEDS, Seeds, times)
    sums = {end: sum(getattr(one, end) for one in rows) for end in ("answered", "refused", "lost")}
    since = takewhile(lambda one: not one.lost, reversed(times))
    words = WORDS.format(
        inputs=sum(one.inputs for one in times), since=sum(one.inputs for one in since), **sums,
        folder=folder, seeds=SEEDS, table=TABLE,
    )  # fmt: skip
    (folder / PAGE).write_text(words, encoding="utf-8")


def _end(one: Outcome) -> str:
    return "lost" if one.fault else "refused" if one.code == 2 else "answered"


if __name__ == "__main__":
    sys.exit(main())
