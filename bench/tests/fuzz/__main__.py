"""`python -m bench.tests.fuzz --inputs 20000 --seed N --out FILE.csv`: faults as they come, at the end a row a kind."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections import Counter
from pathlib import Path

from bench.tables.csv_files import write_rows
from bench.tests.fuzz.inputs import Outcome, run_seeds

COLUMNS = ("base", "command", "tried", "answered", "refused", "lost")


def main() -> int:
    """Run the inputs; 1 where any was lost."""
    parser = argparse.ArgumentParser(prog="python -m bench.tests.fuzz")
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    step = chosen.processes
    parts = [(chosen.seed + at, chosen.inputs - at, step) for at in range(step)]
    with multiprocessing.get_context("spawn").Pool(step) as pool:
        found = [one for part in pool.starmap(run_seeds, parts) for one in part]
    lost = [one for one in found if one.fault]
    if chosen.out:
        write_rows(chosen.out, COLUMNS, summary(found))
    print(f"{len({one.seed for one in found})} inputs, {len(lost)} lost", file=sys.stderr)
    return 1 if lost else 0


def summary(found: list[Outcome]) -> list[dict[str, object]]:
    """A row a base and command: how often it was tried, answered (0, 1 or 3), refused in one line (2), lost."""
    counts = Counter((one.base, one.command.split()[0], _end(one)) for one in found)
    kinds = sorted({(base, command) for base, command, _ in counts})
    return [
        {"base": base, "command": command, "tried": sum(counts[base, command, end] for end in COLUMNS[3:])}
        | {end: counts[base, command, end] for end in COLUMNS[3:]}
        for base, command in kinds
    ]


def _end(one: Outcome) -> str:
    return "lost" if one.fault else "refused" if one.code == 2 else "answered"


if __name__ == "__main__":
    sys.exit(main())
