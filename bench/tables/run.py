"""A run folder as tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.cases.case import AS_FOUND, CASE_COLUMNS, CaseKey
from bench.cases.plan import Written
from bench.errors import TableError
from bench.plain import ShapeError, from_plain
from bench.tables.columns import (
    ITERATION_COLUMNS,
    ITERATIONS,
    MACHINE,
    MEASURED_AS_FOUND,
    MEASUREMENT_COLUMNS,
    MEASUREMENTS,
)
from bench.tables.csv_files import lines_of, parse_table, read_table
from bench.tables.machine_shape import read_json, sound_machine
from bench.tables.machine_words import brief_facts
from bench.tables.pytest_json import benchmark_iterations, benchmark_machine, benchmark_measurements, is_benchmark_file
from bench.tables.row_checks import check_rows
from bench.words import counted


@dataclass(frozen=True, slots=True)
class Run:
    """A run folder as tables: one row a case and block, and what machine.json says.

    `as_found` holds such rows of the tutorial's numpy in the environment as found; None where none were taken.
    """

    folder: Path
    measurements: pd.DataFrame
    machine: Mapping[str, Any]
    as_found: pd.DataFrame | None = None

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.resolve().name

    @property
    def unfinished(self) -> str:
        """`unfinished, 12 turns left`; empty of a whole run."""
        return f"unfinished, {counted(left, 'turn')} left" if (left := self.left) else ""

    @property
    def facts(self) -> list[str]:
        """Its machine in a few words, and that it is unfinished."""
        return [*brief_facts(self.machine), *filter(None, [self.unfinished])]

    @property
    def left(self) -> int:
        """How many turns its plan has, up to its first look, that have no row: it was cut off, or still goes on.

        0 with a budget, which may end a run early, where another version wrote the plan, and of a file of
        pytest-benchmark, whose session took what `-k` chose.
        """
        if self.folder.is_file():
            return 0
        try:
            plan = from_plain(Written, self.machine.get("plan"), "plan")
        except ShapeError:
            return 0
        first = plan.blocks if plan.budget_s is None else 0
        there = Counter[tuple[str | int, ...]]()
        for rows, mark in ((self.measurements, ()), (self.as_found, (AS_FOUND,))):
            if rows is not None:
                tried = rows[(rows["status"] != "skipped") & (rows["block"] < first)]
                there.update((*CaseKey.of(key), *mark) for key in tried[list(CASE_COLUMNS)].itertuples(index=False))
        planned = zip(plan.cases, plan.case_blocks, strict=False)
        return sum(max(0, min(count, first) - there[case.turn]) for case, count in planned)


def read_run(folder: Path) -> Run:
    """The measurements and the machine of one run folder, or of one --benchmark-json file. Raises UsageError."""
    if is_benchmark_file(folder):
        machine, rows = benchmark_machine(folder), benchmark_measurements(folder, MEASUREMENT_COLUMNS)
        check_rows(folder, rows, machine)
        return Run(folder, rows, machine)
    if folder.is_file():
        raise TableError(f"{folder}: is neither a run folder nor a file of pytest --benchmark-json")
    if not folder.is_dir():
        raise TableError(f"{folder}: no such run folder; make one with: fiftyx run --out {folder}")
    machine = read_machine(folder)
    measurements = read_measurements(folder / MEASUREMENTS, machine)
    as_found = folder / MEASURED_AS_FOUND
    return Run(folder, measurements, machine, read_measurements(as_found, machine) if as_found.exists() else None)


def read_measurements(path: Path, machine: Mapping[str, Any]) -> pd.DataFrame:
    """measurements.csv, or the table as found, of the run that `machine` describes. Raises TableError."""
    rows = read_table(path, MEASUREMENT_COLUMNS)
    check_rows(path, rows, machine)
    return rows


def read_iterations(folder: Path) -> pd.DataFrame:
    """iterations.csv of a run folder, or the rounds of a --benchmark-json file. Raises UsageError."""
    if is_benchmark_file(folder):
        return benchmark_iterations(folder, ITERATION_COLUMNS)
    return read_table(folder / ITERATIONS, ITERATION_COLUMNS)


def read_process(folder: Path, row: Mapping[str, Any]) -> pd.DataFrame:
    """The rows of read_iterations that are of one process, named by a row of measurements.csv; see read_iterations.

    A process's rows stand together, so that only they are parsed, however long the table is. Raises UsageError.
    """
    keys = ("run_id", "block", *CASE_COLUMNS)
    path = folder / ITERATIONS
    lines = None if is_benchmark_file(folder) else lines_of(path, ITERATION_COLUMNS, [str(row[key]) for key in keys])
    table = read_iterations(folder) if lines is None else parse_table(lines, path, ITERATION_COLUMNS)
    return table[np.logical_and.reduce([table[key] == row[key] for key in keys])]


def read_machine(folder: Path) -> dict[str, Any]:
    """machine.json of a run folder. Raises TableError."""
    path = folder / MACHINE
    try:
        machine = read_json(path)
    except OSError as error:
        raise TableError(f"{path}: cannot be read: {error.strerror}; is this a run folder?") from error
    except (ValueError, RecursionError) as error:
        raise TableError(f"{path}: is not JSON: {error}") from error
    return sound_machine(machine, path)
