"""The table of the gate's evidence: what is counted of each subject, in parts that are put together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.cases.problem import Size
from bench.errors import TableError
from bench.tables.csv_files import read_rows, write_rows
from bench.validation._subjects import Subject
from bench.validation._trials import Trial, steps_of
from bench.worker.deviation import worst

TABLE = "gate.csv"
WHOSE = ("phase", "oracle", "size", "group", "dtype", "precision", "style", "lie")
BOUNDS = ("first", "loss", "root", "weights", "unit", "way")
COLUMNS = (
    *WHOSE[:4], "steps", "checked", *WHOSE[4:], "seeds", "strayed", "wrong", "least_excess", "most_excess", *BOUNDS,
    "first_seed", "last_seed",
)  # fmt: skip
Row = Mapping[str, str]


@dataclass(slots=True)
class Tally:
    """What became of one subject in one phase at one size: a row of the table."""

    seeds: int = 0
    strayed: int = 0  # seeds with something beyond its tolerance; that alone is not wrong yet
    wrong: int = 0
    least: float = math.inf
    most: float = 0.0
    errors: dict[str, list[float]] = field(default_factory=dict)  # by the bound of a tolerance, one a seed

    def add(self, trial: Trial) -> None:
        """One seed more."""
        found, wrong = trial
        excess = worst(found)
        self.seeds += 1
        self.strayed += excess > 1
        self.wrong += wrong
        self.least, self.most = min(self.least, excess), max(self.most, excess)
        for bound in {one.bound for one in found if one.bound and math.isfinite(one.allowed)}:
            error = max(math.inf if math.isnan(one.error) else one.error for one in found if one.bound == bound)
            self.errors.setdefault(bound, []).append(error)


def row(phase: str, size: Size, group: str, subject: Subject, tally: Tally) -> dict[str, object]:
    """One line of the table, without its seeds' names."""
    steps, checked = steps_of(phase, size, subject.case.oracle)
    end = max if subject.honest else min
    return {
        "phase": phase, "oracle": subject.case.oracle, "size": str(size), "group": group, "steps": steps,
        "checked": checked, "dtype": subject.case.problem.dtype, "precision": subject.case.precision,
        "style": subject.case.style, "lie": subject.lie, "seeds": tally.seeds, "strayed": tally.strayed,
        "wrong": tally.wrong, "least_excess": f"{tally.least:.3g}", "most_excess": f"{tally.most:.3g}",
        **{bound: f"{end(tally.errors[bound]):.2g}" if bound in tally.errors else "" for bound in BOUNDS},
    }  # fmt: skip


def done_seeds(path: Path) -> Callable[[Mapping[str, str], range], bool]:
    """Whether the table at `path` holds a group's seeds already. Raises TableError where it holds a part of them."""
    known: dict[tuple[str, ...], list[range]] = {}
    for one in read_rows(path, COLUMNS) if path.exists() else []:
        span = range(int(one["first_seed"]), int(one["last_seed"]) + 1)
        known.setdefault(tuple(one[name] for name in WHOSE[:4]), []).append(span)

    def done(whose: Mapping[str, str], seeds: range) -> bool:
        held = [len(range(max(one.start, seeds.start), min(one.stop, seeds.stop))) for one in
                known.get(tuple(whose[name] for name in WHOSE[:4]), [])]  # fmt: skip
        if any(0 < one < len(seeds) for one in held):
            raise TableError(f"{path}: holds some of the seeds from {seeds.start} on; choose another --out")
        return any(held)

    return done


def merge(path: Path) -> list[Row]:
    """The table with one row a subject, phase and size: what was tried in parts is put together."""
    merged = [_merged(same) for _, same in grouped(read_rows(path, COLUMNS), WHOSE)]
    write_rows(path, COLUMNS, merged)
    return merged


def grouped(rows: Iterable[Row], names: Sequence[str]) -> Iterator[tuple[tuple[str, ...], list[Row]]]:
    """Rows that agree in `names`, in the order of the first of each, after these cells."""
    kinds: dict[tuple[str, ...], list[Row]] = {}
    for one in rows:
        kinds.setdefault(tuple(one[name] for name in names), []).append(one)
    yield from kinds.items()


def _merged(same: Sequence[Row]) -> Row:
    least, most = ("least_excess", "first_seed"), ("most_excess", "last_seed")
    largest = min if same[0]["lie"] else max
    found = {}
    for name in COLUMNS:
        cells = [one[name] for one in same]
        if name in ("seeds", "strayed", "wrong"):
            found[name] = str(sum(map(int, cells)))
        elif cells[0] and name in (*least, *most, *BOUNDS):
            end = min if name in least else max if name in most else largest
            found[name] = end(cells, key=float)
        else:
            found[name] = cells[0]
    return found
