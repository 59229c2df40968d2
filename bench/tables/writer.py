"""What each process found, into the tables of its run; and the tables of a killed run made whole."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from bench.cases.case import AS_FOUND, CASE_COLUMNS, SIZE_COLUMNS
from bench.cases.measurement import Measurement
from bench.cases.problem import TUTORIAL_SIZE
from bench.errors import TableError
from bench.tables.columns import (
    ITERATION_COLUMNS,
    ITERATIONS,
    LOSS_COLUMNS,
    LOSS_KEYS,
    LOSSES,
    MACHINE,
    MEASURED_AS_FOUND,
    MEASUREMENT_COLUMNS,
    MEASUREMENTS,
    SPEEDUP_COLUMNS,
    SPEEDUPS,
)
from bench.tables.csv_files import append_rows, read_table, write_rows
from bench.tables.files import TAIL, drop_cut_line, has_rows, open_file, replace_text
from bench.words import harmless

MOST_TEXT = 1000  # characters of a reason


@dataclass(frozen=True, slots=True)
class Writer:
    """Appends what each process found to the tables of one run; every row is on the disk when `append` returns."""

    folder: Path
    run_id: str
    environment: str = "clean"
    sizes: dict[Path, int] = field(default_factory=dict)  # as this run left its tables

    def append(self, measurement: Measurement) -> None:
        """Iterations first, then the measurement: a measurement's row says that all of its others are there."""
        for path, size in self.sizes.items():
            if not path.is_file() or path.stat().st_size != size:
                raise TableError(
                    f"{path}: was deleted or changed while its run went on: rows are lost; restore it and continue "
                    "with --resume, or start a new run with another --out"
                )
        self._append(measurement)
        names = (MEASUREMENTS, ITERATIONS, LOSSES, MEASURED_AS_FOUND)
        self.sizes.update({path: path.stat().st_size for name in names if (path := self.folder / name).exists()})

    def _append(self, measurement: Measurement) -> None:
        if measurement.case.as_found:  # this row alone, in a table of its own
            row = measurement_row(self.run_id, measurement, AS_FOUND)
            append_rows(self.folder / MEASURED_AS_FOUND, MEASUREMENT_COLUMNS, [row])
            return
        if losses := loss_rows(self.run_id, measurement):
            append_rows(self.folder / LOSSES, LOSS_COLUMNS, losses)
        if iterations := iteration_rows(self.run_id, measurement):
            append_rows(self.folder / ITERATIONS, ITERATION_COLUMNS, iterations)
        row = measurement_row(self.run_id, measurement, self.environment)
        append_rows(self.folder / MEASUREMENTS, MEASUREMENT_COLUMNS, [row])


def measurement_row(run_id: str, measurement: Measurement, environment: str = "clean") -> dict[str, Any]:
    """One row of measurements.csv; a value that is unknown stays empty, and none replaces what the run knows itself."""
    case, problem = measurement.case, measurement.case.problem
    values = _known(measurement.values)
    return {
        **{name: one_line(value) if isinstance(value, str) else value for name, value in values.items()},
        **case.key._asdict(),
        "run_id": run_id,
        "block": measurement.block,
        "order": measurement.order,
        "framework": case.framework,
        "oracle": case.oracle,
        "learning_rate": problem.learning_rate,
        "seed": problem.seed,
        "environment": environment,
        "status": measurement.status,
        "reason": one_line(measurement.reason),
        "attempts": measurement.attempts,
        "noisy": measurement.noisy,
    }


def one_line(text: str) -> str:
    """`text` in one line, so that a cut row is recognised: nothing that a terminal obeys, no more than is read."""
    short = text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}..."
    return harmless(" ".join(short.replace("\0", " ").split()))


def iteration_rows(run_id: str, measurement: Measurement) -> list[dict[str, Any]]:
    """The rows of iterations.csv of one process: the cold call, the start of the warm-up, all timed iterations."""
    same = {"run_id": run_id, "block": measurement.block, **measurement.case.key._asdict()}
    first = [] if measurement.first_us is None else [measurement.first_us]
    phases = {"first": first, "warmup": measurement.warmup_us, "timed": measurement.timed_us}
    return [
        {**same, "phase": phase, "iteration": index, "elapsed_us": f"{elapsed:.3f}"}
        for phase, samples in phases.items()
        for index, elapsed in enumerate(samples)
    ]


def loss_rows(run_id: str, measurement: Measurement) -> list[dict[str, Any]]:
    """The rows of losses.csv: the rehearsal, once for each style, device, dtype, precision and thread count."""
    case = measurement.case
    if measurement.block != 0 or case.problem.size != TUTORIAL_SIZE:
        return []
    same = {"run_id": run_id, "oracle": case.oracle, **{name: getattr(case.key, name) for name in LOSS_KEYS}}
    return [{**same, "iteration": index, "loss": loss} for index, loss in enumerate(measurement.losses)]


def write_machine(folder: Path, machine: Mapping[str, Any]) -> None:
    """machine.json, whole or not at all."""
    replace_text(folder / MACHINE, json.dumps(machine, indent=1) + "\n")


def write_speedups(folder: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """speedups.csv, whole or not at all."""
    write_rows(folder / SPEEDUPS, SPEEDUP_COLUMNS, map(_known, rows))


def _known(row: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is NaN, which is unknown."""
    return {name: value for name, value in row.items() if value == value}


def repair(folder: Path) -> None:
    """Make the tables of a killed run whole: no cut-off line, no row of a process that has no measurement."""
    names = (MEASUREMENTS, ITERATIONS, LOSSES)
    for name in (*names, MEASURED_AS_FOUND):
        drop_cut_line(folder / name)
    if not has_rows(folder / MEASURED_AS_FOUND):
        (folder / MEASURED_AS_FOUND).unlink(missing_ok=True)
    path = folder / MEASUREMENTS
    if not has_rows(path):
        for name in names:
            (folder / name).unlink(missing_ok=True)
        return
    done = read_table(path, MEASUREMENT_COLUMNS)
    rehearsed = done[(done["block"] == 0) & (done[list(SIZE_COLUMNS)] == list(TUTORIAL_SIZE)).all(axis=1)]
    _keep_only(folder / ITERATIONS, done[["block", *CASE_COLUMNS]])
    _keep_only(folder / LOSSES, rehearsed[list(LOSS_KEYS)])


def _keep_only(path: Path, known: pd.DataFrame) -> None:
    """Cut off the rows at the end that are of none of the `known`: a killed process's, since rows are only appended."""
    if not path.exists():
        return
    there = set(known.astype(str).itertuples(index=False, name=None))
    with open_file(path, changing=True) as file:
        header = _cells(file.readline())
        if missing := [name for name in known.columns if name not in header]:
            raise TableError(f"{path}: has no column {missing[0]!r}; was it written by another version?")
        at = [header.index(name) for name in known.columns]
        body, keep = file.tell(), file.seek(0, os.SEEK_END)
        while keep > body:
            start, rest = max(body, keep - TAIL), keep
            file.seek(start)
            lines = file.read(rest - start).removesuffix(b"\n").split(b"\n")
            if start > body:
                lines = lines[1:]  # whose beginning is in the piece before
            for line in reversed(lines):
                cells = _cells(line)
                if len(cells) > max(at) and tuple(cells[one] for one in at) in there:
                    break
                keep -= len(line) + 1
            else:
                if lines:
                    continue
            break
        file.truncate(keep)


def _cells(line: bytes) -> list[str]:
    """A line of a table; empty where it is none."""
    try:
        return next(csv.reader([harmless(line.decode("utf-8", "replace").removesuffix("\n"))]), [])
    except csv.Error:
        return []
