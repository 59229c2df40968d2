"""Files of `pytest --benchmark-json` and `--benchmark-save` as the tables of a run: one process, so one block."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bench.cases.case import CASE_COLUMNS
from bench.errors import UsageError

CURE = "make one with: pytest --benchmark-only --benchmark-json FILE"
FLAG = "noisy"


def is_benchmark_file(path: Path) -> bool:
    """Whether `path` is to be read as such a file rather than as a run folder."""
    return path.suffix == ".json"


def benchmark_measurements(path: Path, columns: Sequence[str], texts: Sequence[str]) -> pd.DataFrame:
    """Rows of measurements.csv, a row a case, skipped and wrong ones too; `texts` of `columns` hold text.

    There is one block, so every interval over blocks is NaN and no claim can be supported by it. Raises UsageError.
    """
    raw = _load(path)
    rows = [one["extra_info"] for one in _iterations(raw)] + raw["fiftyx"]["without"]
    for name in CASE_COLUMNS:
        if any(name not in row for row in rows):
            raise UsageError(
                f"{path}: a benchmark has no {name!r} in its extra_info; was it written by another version?"
            )
    return _typed(path, rows, columns, texts)


def benchmark_iterations(path: Path, columns: Sequence[str], texts: Sequence[str]) -> pd.DataFrame:
    """Rows of iterations.csv: the timed rounds. Raises UsageError; for a file that was saved without its rounds too."""
    raw = _load(path)
    rows: list[dict[str, Any]] = []
    for one in _iterations(raw):
        if "data" not in one["stats"]:
            raise UsageError(f"{path}: holds no single rounds; save with --benchmark-json or --benchmark-save-data")
        same = {name: one["extra_info"][name] for name in ("run_id", "block", *CASE_COLUMNS)}
        rows += [
            {**same, "phase": "timed", "iteration": index, "elapsed_us": seconds * 1e6}
            for index, seconds in enumerate(one["stats"]["data"])
        ]
    return _typed(path, rows, columns, texts)


def benchmark_machine(path: Path) -> dict[str, Any]:
    """What machine.json would hold. Raises UsageError."""
    machine: dict[str, Any] = _load(path)["fiftyx"]["machine"]
    return machine


def _load(path: Path) -> dict[str, Any]:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}; {CURE}") from error
    except ValueError as error:
        raise UsageError(f"{path}: is not JSON: {error}; {CURE}") from error
    if not isinstance(raw, dict) or "benchmarks" not in raw:
        raise UsageError(f"{path}: is no file of pytest-benchmark; {CURE}")
    if not isinstance(raw.get("fiftyx"), dict):
        raise UsageError(f"{path}: its benchmarks are not those of bench/suite; {CURE}")
    return raw


def _iterations(raw: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in raw["benchmarks"] if "latency_median_us" in one["extra_info"]]


def _typed(path: Path, rows: list[dict[str, Any]], columns: Sequence[str], texts: Sequence[str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(columns))
    for name in columns:
        if name in texts:
            frame[name] = frame[name].fillna("").astype(str)
        elif name == FLAG:
            frame[name] = frame[name].astype(bool)
        else:
            try:
                frame[name] = pd.to_numeric(frame[name])
            except (ValueError, TypeError) as error:
                raise UsageError(f"{path}: {name!r} holds something that is not a number") from error
    return frame
