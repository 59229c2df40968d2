"""CSV in and out: the only place that writes results."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bench.case import AS_FOUND, CASE_COLUMNS, SIZE_COLUMNS
from bench.columns import (
    ITERATION_COLUMNS,
    LATER_COLUMNS,
    LOSS_COLUMNS,
    MEASUREMENT_COLUMNS,
    SPEEDUP_COLUMNS,
    TEXT_COLUMNS,
)
from bench.files import append_text, drop_cut_line, has_rows, replace_text
from bench.measurement import Measurement
from bench.problem import TUTORIAL_SIZE
from bench.pytest_json import benchmark_iterations, benchmark_machine, benchmark_measurements, is_benchmark_file
from bench.rows import TableError as TableError
from bench.rows import check_rows

MEASUREMENTS, ITERATIONS, SPEEDUPS = "measurements.csv", "iterations.csv", "speedups.csv"
LOSSES, MACHINE = "losses.csv", "machine.json"
MEASURED_AS_FOUND = "as_found.csv"  # columns as in measurements.csv; apart, so that nobody takes it for the clean case


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


@dataclass(frozen=True, slots=True)
class Writer:
    """Appends what each process found to the tables of one run; every row is on the disk when `append` returns."""

    folder: Path
    run_id: str
    environment: str = "clean"

    def append(self, measurement: Measurement) -> None:
        """Iterations first, then the measurement: a measurement's row says that all of its others are there."""
        if measurement.case.as_found:  # this row alone, in a table of its own
            row = measurement_row(self.run_id, measurement, AS_FOUND)
            _append(self.folder / MEASURED_AS_FOUND, MEASUREMENT_COLUMNS, [row])
            return
        _append(self.folder / LOSSES, LOSS_COLUMNS, loss_rows(self.run_id, measurement))
        _append(self.folder / ITERATIONS, ITERATION_COLUMNS, iteration_rows(self.run_id, measurement), "%.3f")
        row = measurement_row(self.run_id, measurement, self.environment)
        _append(self.folder / MEASUREMENTS, MEASUREMENT_COLUMNS, [row])


def measurement_row(run_id: str, measurement: Measurement, environment: str = "clean") -> dict[str, Any]:
    """One row of measurements.csv; a value that is unknown stays empty."""
    case, problem = measurement.case, measurement.case.problem
    return {
        **dict(zip(CASE_COLUMNS, case.key, strict=True)),
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
        **{name: one_line(value) if isinstance(value, str) else value for name, value in measurement.values.items()},
    }


def one_line(text: str) -> str:
    """`text` without line breaks or what UTF-8 cannot hold: a row is a line, or a cut one could not be told."""
    return " ".join(text.replace("\0", " ").split()).encode("utf-8", "replace").decode("utf-8")


def iteration_rows(run_id: str, measurement: Measurement) -> list[dict[str, Any]]:
    """The rows of iterations.csv of one process: the cold call, the start of the warm-up, all timed iterations."""
    same = {"run_id": run_id, "block": measurement.block, **dict(zip(CASE_COLUMNS, measurement.case.key, strict=True))}
    first = [] if measurement.first_us is None else [measurement.first_us]
    phases: Sequence[tuple[str, Sequence[float]]] = (
        ("first", first),
        ("warmup", measurement.warmup_us),
        ("timed", measurement.timed_us),
    )
    return [
        {**same, "phase": phase, "iteration": index, "elapsed_us": elapsed}
        for phase, samples in phases
        for index, elapsed in enumerate(samples)
    ]


def loss_rows(run_id: str, measurement: Measurement) -> list[dict[str, Any]]:
    """The rows of losses.csv: the rehearsal, once for each style, device, dtype, precision and thread count."""
    case = measurement.case
    if measurement.block != 0 or case.problem.size != TUTORIAL_SIZE:
        return []
    same = {"run_id": run_id, "oracle": case.oracle, **dict(zip(CASE_COLUMNS[:5], case.key[:5], strict=True))}
    return [{**same, "iteration": index, "loss": loss} for index, loss in enumerate(measurement.losses)]


def write_machine(folder: Path, machine: Mapping[str, Any]) -> None:
    """machine.json, whole or not at all."""
    replace_text(folder / MACHINE, json.dumps(machine, indent=1) + "\n")


def write_speedups(folder: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """speedups.csv, whole or not at all."""
    frame = pd.DataFrame(list(rows), columns=list(SPEEDUP_COLUMNS))
    replace_text(folder / SPEEDUPS, frame.to_csv(index=False, lineterminator="\n"))


def read_run(folder: Path) -> Run:
    """The measurements and the machine of one run folder, or of one --benchmark-json file. Raises UsageError."""
    if is_benchmark_file(folder):
        measured = benchmark_measurements(folder, MEASUREMENT_COLUMNS, TEXT_COLUMNS)
        return Run(folder, measured, benchmark_machine(folder))
    if not folder.is_dir():
        raise TableError(f"{folder}: no such run folder; make one with: fiftyx run --out {folder}")
    machine = read_machine(folder)
    measurements = read_measurements(folder / MEASUREMENTS, machine)
    beside = folder / MEASURED_AS_FOUND
    return Run(folder, measurements, machine, read_measurements(beside, machine) if beside.exists() else None)


def read_measurements(path: Path, machine: Mapping[str, Any]) -> pd.DataFrame:
    """measurements.csv, or the table as found, of the run that `machine` describes. Raises TableError."""
    rows = read_table(path, MEASUREMENT_COLUMNS)
    check_rows(path, rows, machine)
    return rows


def read_iterations(folder: Path) -> pd.DataFrame:
    """iterations.csv of a run folder, or the rounds of a --benchmark-json file. Raises UsageError."""
    if is_benchmark_file(folder):
        return benchmark_iterations(folder, ITERATION_COLUMNS, TEXT_COLUMNS)
    return read_table(folder / ITERATIONS, ITERATION_COLUMNS)


def read_speedups(folder: Path) -> pd.DataFrame:
    """speedups.csv of a run folder. Raises TableError."""
    return read_table(folder / SPEEDUPS, SPEEDUP_COLUMNS)


def read_machine(folder: Path) -> dict[str, Any]:
    """machine.json of a run folder. Raises TableError."""
    path = folder / MACHINE
    try:
        machine = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TableError(f"{path}: cannot be read: {error.strerror}; is this a run folder?") from error
    except ValueError as error:
        raise TableError(f"{path}: is not JSON: {error}") from error
    if not isinstance(machine, dict) or "run_id" not in machine:
        raise TableError(f"{path}: has no run_id; is this a run folder?")
    return machine


def read_table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """One CSV with at least `columns`. Raises TableError: missing, empty, a column missing, cut off, not a number."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TableError(f"{path}: cannot be read: {error.strerror}") from error
    if not content.strip():
        raise TableError(f"{path}: is empty; the run wrote nothing, start it again")
    if not content.endswith(b"\n"):
        line = content.count(b"\n") + 1
        raise TableError(
            f"{path}:{line}: the last line is cut off; finish the run with: fiftyx run --resume --out {path.parent}"
        )
    texts = dict.fromkeys(TEXT_COLUMNS, str)
    try:
        frame = pd.read_csv(io.BytesIO(content), dtype=texts, keep_default_na=False, na_values=[""])
    except (ValueError, pd.errors.ParserError) as error:
        raise TableError(f"{path}: is not the table it should be: {' '.join(str(error).split())}") from error
    for name in LATER_COLUMNS:
        if name in columns and name not in frame.columns:
            frame[name] = None if name in TEXT_COLUMNS else math.nan
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise TableError(f"{path}: has no column {missing[0]!r}; was it written by another version?")
    numbers = [name for name in columns if name not in TEXT_COLUMNS and name != "noisy"]
    for name in numbers:
        if len(frame) and not pd.api.types.is_numeric_dtype(frame[name]):
            raise TableError(f"{path}: column {name!r} holds something that is not a number")
    for name in ("reason", "blas", "device_model"):
        if name in frame:
            frame[name] = frame[name].fillna("")
    return frame


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
    _keep_only(folder / ITERATIONS, ITERATION_COLUMNS, done[["block", *CASE_COLUMNS]], "%.3f")
    _keep_only(folder / LOSSES, LOSS_COLUMNS, rehearsed[list(CASE_COLUMNS[:5])])


def _keep_only(path: Path, columns: Sequence[str], known: pd.DataFrame, float_format: str | None = None) -> None:
    if not path.exists():
        return
    rows = read_table(path, columns)
    keep = pd.MultiIndex.from_frame(rows[list(known.columns)]).isin(pd.MultiIndex.from_frame(known))
    if not keep.all():
        replace_text(path, rows[keep].to_csv(index=False, lineterminator="\n", float_format=float_format))


def _append(
    path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]], float_format: str | None = None
) -> None:
    if rows:
        frame = pd.DataFrame(list(rows), columns=list(columns))
        header = not path.exists()
        append_text(path, frame.to_csv(index=False, header=header, lineterminator="\n", float_format=float_format))
