"""The tables of `validate`: the pool and its iterations as they come, tools, experiments and acceptance at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import geometric_mean
from typing import Any

import numpy as np
import pandas as pd

from bench.cases.measurement import Measurement
from bench.tables.csv_files import append_rows, read_rows, write_rows
from bench.validation.experiments import Experiment, Floats, Pool
from bench.validation.plants import SLOW_FIRST
from bench.validation.tools import ToolError, ask
from bench.verdict.intervals import Ratio, paired_ratio
from bench.verdict.one_speed import at_one_speed

POOL, ITERATIONS, TOOLS, COSTS = "pool.csv", "pool_iterations.csv", "tools.csv", "plants.csv"
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


def measure_costs(folder: Path, block: int, size: tuple[int, int, int, int], spins_ns: Mapping[str, int]) -> None:
    """One process, unless the block has had its own: its rows of plants.csv; where it fails a row says why."""
    if any(int(row["block"]) == block for row in read_costs(folder)):
        return
    try:
        found = ask({"plants_ns": dict(spins_ns), "size": size})["plants"]
        rows = [{"block": block, "label": label, "ratio": f"{ratio:.6f}"} for label, ratio in found.items()]
    except ToolError as error:
        rows = [{"block": block, "label": label, "note": str(error)} for label in spins_ns]
    append_rows(folder / COSTS, COST_COLUMNS, rows)


def read_costs(folder: Path) -> list[dict[str, str]]:
    """The rows of plants.csv; none where there is no such table. Raises TableError."""
    return read_rows(folder / COSTS, COST_COLUMNS) if (folder / COSTS).exists() else []


def slowdowns(folder: Path) -> dict[str, Ratio]:
    """How many times as long an iteration takes with each plant: geometric mean over blocks, with its 95% interval.

    Not the cost of the spin around a loop that does nothing: in a loop that fills the caches and heats the core a
    pause of 1% cost 0.9 to 2.1% (spin-1 in results/validation-cpu/plants.csv). Hence beside the
    blocks, and in the loop.
    Raises TableError, and ValueError for what is no number.
    """
    found: dict[str, list[float]] = {}
    for row in read_costs(folder):
        if row["ratio"]:
            found.setdefault(row["label"], []).append(float(row["ratio"]))
    return {label: paired_ratio(ratios, [1.0] * len(ratios)) for label, ratios in found.items()}


@dataclass(frozen=True, slots=True)
class SlowFirst:
    """Cases whose first call took seconds, and the copies' geometric mean in the same blocks, (blocks,) each."""

    copies_us: Sequence[float]
    slow_us: Sequence[float]
    copies_iterations: Sequence[int]
    slow_iterations: Sequence[int]
    first_s: Sequence[float]


def read_slow_first(folder: Path) -> SlowFirst:
    """The blocks that hold a slow first call, with the geometric means of their copies."""
    rows = read_processes(folder)
    late = rows[rows["label"] == SLOW_FIRST].set_index("block").sort_index()
    copies = rows[rows["label"].str.startswith(COPY) & rows["block"].isin(late.index)]
    means = copies.groupby("block")["latency_median_us"].agg(lambda one: geometric_mean(one.tolist()))
    late = late.loc[means.index]
    return SlowFirst(
        copies_us=means.tolist(),
        slow_us=late["latency_median_us"].tolist(),
        copies_iterations=copies["iterations"].tolist(),
        slow_iterations=late["iterations"].tolist(),
        first_s=late["first_iteration_seconds"].tolist(),
    )
