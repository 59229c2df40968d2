"""The tables of `validate`: the pool and its iterations as they come, tools, experiments and acceptance at the end."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.core_speed import at_one_speed
from bench.files import append_text, replace_text
from bench.measurement import Measurement
from bench.table import TableError
from bench.validation import Experiment, Floats, Pool

POOL, ITERATIONS, TOOLS, COSTS = "pool.csv", "pool_iterations.csv", "tools.csv", "plants.csv"
EXPERIMENTS, ACCEPTANCE = "experiments.csv", "acceptance.csv"
TIMES = (
    "latency_median_us", "latency_min_us", "throughput_us", "reference_us", "latency_per_reference",
    "throughput_per_reference",
)  # fmt: skip
POOL_COLUMNS = (
    "block", "order", "label", "status", "reason", "attempts", "noisy", "first_iteration_seconds", "iterations", *TIMES,
)  # fmt: skip
ITERATION_COLUMNS = ("block", "label", "iteration", "elapsed_us")
COST_COLUMNS = ("block", "label", "ratio", "note")
TOOL_COLUMNS = ("quantity", "value", "unit", "n", "note")
EXPERIMENT_COLUMNS = (
    "kind", "group", "baseline", "contender", "blocks", "truth", "speedup", "low", "high", "holds", "found_slower",
)  # fmt: skip
ACCEPTANCE_COLUMNS = ("experiment", "must_reach", "got", "met", "n", "note")
COPY = "A"
KEPT_COPIES = 4  # whose iterations are kept: they are the bulk of the bytes


def copy_label(index: int) -> str:
    """A1, A2, ..."""
    return f"{COPY}{index + 1}"


def append_measurement(folder: Path, measurement: Measurement) -> None:
    """One process; on the disk when this returns, its iterations first: the pool's row says that they are there."""
    label = measurement.case.style
    if label in map(copy_label, range(KEPT_COPIES)):
        rows = [
            {"block": measurement.block, "label": label, "iteration": index, "elapsed_us": f"{elapsed:.3f}"}
            for index, elapsed in enumerate(measurement.timed_us)
        ]
        append_rows(folder / ITERATIONS, ITERATION_COLUMNS, rows)
    values = {name: measurement.values.get(name) for name in POOL_COLUMNS}
    told = {name: getattr(measurement, name) for name in ("block", "order", "status", "reason", "attempts", "noisy")}
    append_rows(folder / POOL, POOL_COLUMNS, [{**values, **told, "label": label}])


def append_rows(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Add rows, with a header where the file is new, and wait for the disk."""
    append_text(path, _text(columns, rows, header=not path.exists()))


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """A whole table, or not at all."""
    replace_text(path, _text(columns, rows, header=True))


def read_rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a table as text; a last line that was cut off is left out. Raises TableError."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(f"{path}: cannot be read: {error}; make it with: fiftyx validate --out DIR") from error
    reader = csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1], newline=""))
    missing = [name for name in columns if name not in (reader.fieldnames or ())]
    if missing:
        raise TableError(f"{path}: has no column {missing[0]!r}; is this a folder of fiftyx validate?")
    return list(reader)


def repair(folder: Path) -> None:
    """Make the tables of a killed run whole: no line cut off, no iterations of a process that has no row."""
    if (folder / COSTS).exists():
        write_rows(folder / COSTS, COST_COLUMNS, read_rows(folder / COSTS, COST_COLUMNS))
    if not (folder / POOL).exists():
        (folder / ITERATIONS).unlink(missing_ok=True)
        return
    pool = read_rows(folder / POOL, POOL_COLUMNS)
    write_rows(folder / POOL, POOL_COLUMNS, pool)
    if (folder / ITERATIONS).exists():
        known = {(row["block"], row["label"]) for row in pool}
        rows = read_rows(folder / ITERATIONS, ITERATION_COLUMNS)
        write_rows(folder / ITERATIONS, ITERATION_COLUMNS, [r for r in rows if (r["block"], r["label"]) in known])


def read_processes(folder: Path) -> pd.DataFrame:
    """pool.csv, its `ok` rows: `wall_us` as timed, `latency_median_us` at one speed of the core in each block.

    Raises TableError; ValueError for what is no number.
    """
    rows = pd.DataFrame(read_rows(folder / POOL, POOL_COLUMNS), columns=list(POOL_COLUMNS))
    rows = rows[rows["status"] == "ok"].drop_duplicates(["block", "label"], keep="last", ignore_index=True)
    whole = {name: rows[name].astype(int) for name in ("block", "order", "iterations")}
    real = {name: pd.to_numeric(rows[name]) for name in ("first_iteration_seconds", *TIMES)}
    frame = rows.assign(**whole, **real, noisy=rows["noisy"] == "True")
    return at_one_speed(frame.assign(wall_us=frame["latency_median_us"]), ("label",))


def read_pool(folder: Path, labels: Sequence[str], copies: int) -> Pool:
    """The blocks in which every one of `labels` was measured. Raises as `read_processes`."""
    rows = read_processes(folder)
    grids = {
        name: rows.pivot(index="block", columns="label", values=name).reindex(columns=list(labels))
        for name in ("latency_median_us", "wall_us", "noisy", "order")
    }
    whole = grids["latency_median_us"].dropna().index
    medians, wall, noisy, turns = (grid.loc[whole].to_numpy() for grid in grids.values())
    return Pool(
        tuple(labels), copies, medians.astype(float), wall.astype(float), noisy.astype(bool), turns.astype(np.int64)
    )


def read_samples(folder: Path) -> dict[tuple[int, str], Floats]:
    """The kept timed iterations in us by (block, copy), in order."""
    found: dict[tuple[int, str], list[float]] = {}
    if (folder / ITERATIONS).exists():
        for row in read_rows(folder / ITERATIONS, ITERATION_COLUMNS):
            found.setdefault((int(row["block"]), row["label"]), []).append(float(row["elapsed_us"]))
    return {key: np.array(values) for key, values in found.items()}


def experiment_row(one: Experiment) -> dict[str, Any]:
    """One row of experiments.csv; `blocks` are those that counted, after noisy pairs were left out."""
    ratio = one.ratio
    return {
        "kind": one.kind,
        "group": one.draw.number,
        "baseline": one.draw.baseline,
        "contender": one.draw.contender,
        "blocks": ratio.blocks,
        "truth": f"{one.truth:.6f}",
        "speedup": f"{ratio.value:.6f}",
        "low": f"{ratio.low:.6f}",
        "high": f"{ratio.high:.6f}",
        "holds": one.holds,
        "found_slower": one.found_slower,
    }


def _text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], *, header: bool) -> str:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, columns, extrasaction="ignore", lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
