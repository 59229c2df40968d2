"""Files of `pytest --benchmark-json` and `--benchmark-save` as the tables of a run: one process, so one block."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bench.cases.case import CASE_COLUMNS
from bench.cases.limits import MOST_SECONDS
from bench.errors import UsageError
from bench.tables.csv_files import parse_table
from bench.tables.machine_shape import read_json, sound_machine

CURE = "make one with: pytest --benchmark-only --benchmark-json FILE"


def is_benchmark_file(path: Path) -> bool:
    """Whether `path` is to be read as such a file rather than as a run folder."""
    return path.suffix == ".json"


def benchmark_measurements(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Rows of measurements.csv, a row a case, skipped and wrong ones too.

    There is one block, so every interval over blocks is NaN and no claim can be supported by it. Raises UsageError.
    """
    raw = _load(path)
    rows = [one["extra_info"] for one in _iterations(path, raw)] + _dicts(path, raw["fiftyx"], "without")
    for name in CASE_COLUMNS:
        if any(name not in row for row in rows):
            what = f"has no {name!r} in its extra_info"
            raise UsageError(f"{path}: a benchmark {what}; was it written by another version?")
    return _table(path, rows, columns)


def benchmark_iterations(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Rows of iterations.csv: the timed rounds. Raises UsageError; for a file that was saved without its rounds too."""
    rows: list[dict[str, Any]] = []
    for one in _iterations(path, _load(path)):
        stats = one.get("stats")
        rounds = stats.get("data") if isinstance(stats, dict) else None
        if not (isinstance(rounds, list) and all(type(seconds) in (int, float) for seconds in rounds)):
            raise UsageError(f"{path}: holds no single rounds; save with --benchmark-json or --benchmark-save-data")
        same = {name: one["extra_info"].get(name) for name in ("run_id", "block", *CASE_COLUMNS)}
        rows += [
            {**same, "phase": "timed", "iteration": index, "elapsed_us": min(seconds, MOST_SECONDS) * 1e6}
            for index, seconds in enumerate(rounds)
        ]
    return _table(path, rows, columns)


def benchmark_machine(path: Path) -> dict[str, Any]:
    """What machine.json would hold. Raises UsageError."""
    return sound_machine(_load(path)["fiftyx"].get("machine"), path)


def _load(path: Path) -> dict[str, Any]:
    try:
        raw = read_json(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}; {CURE}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: is not JSON: {error}; {CURE}") from error
    if not isinstance(raw, dict) or "benchmarks" not in raw:
        raise UsageError(f"{path}: is no file of pytest-benchmark; {CURE}")
    if not isinstance(raw.get("fiftyx"), dict):
        raise UsageError(f"{path}: its benchmarks are not those of bench/suite; {CURE}")
    return raw


def _dicts(path: Path, raw: dict[str, Any], name: str) -> list[dict[str, Any]]:
    values = raw.get(name, [])
    if not isinstance(values, list) or not all(isinstance(one, dict) for one in values):
        raise UsageError(f"{path}: {name!r} is not a list of names and values; {CURE}")
    return values


def _iterations(path: Path, raw: dict[str, Any]) -> list[dict[str, Any]]:
    infos = ((one, one.get("extra_info")) for one in _dicts(path, raw, "benchmarks"))
    return [one for one, info in infos if isinstance(info, dict) and "latency_median_us" in info]


def _table(path: Path, rows: list[dict[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    """By way of CSV, so that the same checks see it."""
    cells = [value for row in rows for name, value in row.items() if name in columns]
    if any(isinstance(value, dict | list) for value in cells):
        raise UsageError(f"{path}: a benchmark's extra_info holds a list where a value belongs; {CURE}")
    frame = pd.DataFrame([[row.get(name) for name in columns] for row in rows], columns=list(columns), dtype=object)
    return parse_table(frame.to_csv(index=False, lineterminator="\n").encode("utf-8"), path, columns)
