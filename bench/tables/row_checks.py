"""What the rows of one run must share: machine, plan, and one row a case and block."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from bench.cases.case import CASE_COLUMNS
from bench.cases.limits import TIMES
from bench.cases.measurement import STATUSES
from bench.cases.problem import DTYPES
from bench.cases.request import PRECISIONS
from bench.errors import TableError
from bench.tables.csv_files import RESTORE, line_of
from implementations import HEAPS

ALONE = "keep one run in a folder"
NEVER_EMPTY = ("run_id", "block", *CASE_COLUMNS, "status", "oracle", "seed", "environment")


def check_rows(path: Path, measurements: pd.DataFrame, machine: Mapping[str, Any]) -> None:
    """Raises TableError, one line, where `measurements` cannot all be of the one run that `machine` describes."""
    for name in NEVER_EMPTY:
        _refuse(path, measurements[name].isna(), f"column {name!r} is empty; {RESTORE}")
    twice = measurements.duplicated(["run_id", "block", *CASE_COLUMNS])
    _refuse(path, twice, "the same case and block came before; remove one of the rows")
    without = (measurements["status"] == "ok") & measurements[list(TIMES)].isna().all(axis=1)
    _known_words(path, measurements)
    _refuse(path, without, f"the row is ok but column {TIMES[0]!r} is empty; {RESTORE}")
    _one_machine(path, measurements, machine)
    _one_plan(path, measurements, machine)
    _one_run(path, measurements, machine)


def _refuse(path: Path, bad: pd.Series, why: str) -> None:
    if bad.any():
        raise TableError(f"{path}:{line_of(bad)}: {why}")


def _known_words(path: Path, measurements: pd.DataFrame) -> None:
    for name, words in (("status", STATUSES), ("dtype", DTYPES), ("precision", PRECISIONS), ("heap", HEAPS)):
        unknown = measurements[name].notna() & ~measurements[name].isin(words)
        if unknown.any():
            first = str(measurements.loc[unknown, name].iloc[0])[:40]
            raise TableError(f"{path}:{line_of(unknown)}: unknown {name} {first!r}; known: {', '.join(words)}")


def _one_run(path: Path, measurements: pd.DataFrame, machine: Mapping[str, Any]) -> None:
    ids = sorted(measurements["run_id"].unique())
    if len(ids) > 1 or (ids and machine.get("run_id") not in ids):
        other = f"machine.json is of run {machine.get('run_id')}"
        raise TableError(f"{path}: rows of {len(ids)} runs ({', '.join(ids)}), {other}; {ALONE}")


def _one_machine(path: Path, measurements: pd.DataFrame, machine: Mapping[str, Any]) -> None:
    known = machine.get("devices") or {}
    for device, rows in measurements[measurements["status"] == "ok"].groupby("device", sort=True):
        models = dict.fromkeys(model for model in rows["device_model"] if model)
        probed = (known.get(device) or {}).get("model")
        if probed:
            models.setdefault(probed)
        if len(models) > 1:
            both = " and ".join(map(repr, models))
            raise TableError(f"{path}: rows of two machines: {device} is {both}; {ALONE}")


def _one_plan(path: Path, measurements: pd.DataFrame, machine: Mapping[str, Any]) -> None:
    plan = machine.get("plan") or {}
    for name in ("seed", "environment"):
        values = dict.fromkeys(measurements[name])
        if name == "seed" and "seed" in plan:
            values.setdefault(plan["seed"])
        if len(values) > 1:
            both = " and ".join(map(str, values))
            raise TableError(f"{path}: rows of two plans: {name} is {both}; {ALONE}")
    rates = measurements.groupby(list(CASE_COLUMNS), sort=False)["learning_rate"].nunique()
    if (rates > 1).any():
        raise TableError(f"{path}: rows of two plans: a case has two learning rates; {ALONE}")
