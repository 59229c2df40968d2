"""The pool: its columns and the styles behind them, and its tables, written as they come and read again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import geometric_mean
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.adversary.lies import write_style
from bench.cases.case import Case
from bench.cases.measurement import Measurement
from bench.cases.problem import Problem, Size, stable_learning_rate
from bench.errors import TableError
from bench.tables.csv_files import append_as, append_rows, columns_of, read_as, read_rows, write_rows
from bench.tables.files import drop_cut_line
from bench.validation.inside import SLOW_FIRST, STYLE
from bench.verdict.ratios.one_speed import OWN_EFFECT, PER_REFERENCE, REFERENCE, at_one_speed
from implementations import Implementation, find_implementations

Floats: TypeAlias = NDArray[np.float64]
Places: TypeAlias = NDArray[np.int64]
Group: TypeAlias = tuple[str, ...]  # labels of copies: one and the same case
POOL, ITERATIONS, TRUTHS = "pool.csv", "pool_iterations.csv", "plants.csv"
TIMES = (
    "latency_median_us", "latency_min_us", "throughput_us", "reference_us", "latency_per_reference",
    "throughput_per_reference", "own_effect",
)  # fmt: skip
POOL_COLUMNS = (
    "block", "order", "label", "status", "reason", "attempts", "noisy", "first_iteration_seconds", "iterations", *TIMES,
)  # fmt: skip
NUMBERS = ("block", "order", "iterations", "first_iteration_seconds", *TIMES)
ITERATION_COLUMNS = ("block", "label", "iteration", "elapsed_us")
ANSWER = "truth.json"  # of a plant's process, next to its style file
GIVEN = "(x, y, w1, w2, learning_rate), steps"
BODY = """    from bench.validation.inside import {plant}
    from implementations.{style} import {style}
    return (yield from {plant}({style}, {given}))
"""


@dataclass(frozen=True, slots=True)
class Pool:
    """Medians of processes, (blocks, labels): as timed, of the reference product, of their quotient; and the turns.

    `groups` are the copies of each style; the first group's style also carries plants, which are the other labels.
    Columns without a reading of the reference hold NaN there.
    """

    labels: tuple[str, ...]
    groups: tuple[Group, ...]
    wall_us: Floats
    reference_us: Floats
    per_reference: Floats
    turns: Places
    medians_us: Floats  # at one speed of the core in each block, as a run compares them
    noisy: NDArray[np.bool_]  # processes that missed a noise gate

    @property
    def blocks(self) -> int:
        """How many."""
        return len(self.wall_us)

    def disturbed(self, blocks: Places, machine: Floats, own: Floats | float = 1.0) -> Pool:
        """Some blocks, everything slower by `machine` (times and readings alike), times alone also by `own`."""
        wall, reference, share = (each[blocks] for each in (self.wall_us, self.reference_us, self.per_reference))
        times = wall * machine * own, reference * machine, share * own
        return Pool(self.labels, self.groups, *times, self.turns[blocks], at_usual_speed(*times), self.noisy[blocks])

    @property
    def copies(self) -> Group:
        """Of the style that carries plants."""
        return self.groups[0]

    def of(self, label: str) -> Floats:
        """A label's medians, (blocks,)."""
        return self.medians_us[:, self.labels.index(label)]

    def columns(self, labels: Sequence[str]) -> list[int]:
        """Where labels are."""
        return [self.labels.index(label) for label in labels]


def at_usual_speed(wall_us: Floats, reference_us: Floats, per_reference: Floats) -> Floats:
    """Medians of processes as timed brought to one speed of the core in each block, by what `run` does it with."""
    block, label = np.indices(wall_us.shape)
    names = ("latency_median_us", REFERENCE, PER_REFERENCE["latency_median_us"])
    columns = dict(zip(names, map(np.ravel, (wall_us, reference_us, per_reference)), strict=True))
    columns[OWN_EFFECT] = np.zeros(wall_us.size)  # that it was read is what counts: the reading is a neutral one
    rows = pd.DataFrame({"block": block.ravel(), "label": label.ravel(), **columns})
    return at_one_speed(rows, ("label",))["latency_median_us"].to_numpy(float).reshape(wall_us.shape)


@dataclass(frozen=True, slots=True)
class Truth:
    """What a plant's process in the pool says of its own plant: bare iteration and reference in us, and the ratio."""

    block: int
    label: str
    base_us: float
    reference_us: float
    ratio: float


@dataclass(frozen=True, slots=True)
class SlowFirst:
    """Cases whose first call took seconds, and the copies' geometric mean in the same blocks, (blocks,) each."""

    copies_us: Sequence[float]
    slow_us: Sequence[float]
    copies_iterations: Sequence[int]
    slow_iterations: Sequence[int]
    first_s: Sequence[float]


def copies_of(style: str, count: int) -> Group:
    """The labels of a style's copies: `numpy_in_place-1`, ..."""
    return tuple(f"{style}-{index + 1}" for index in range(count))


def styles_of(folder: Path, copies: Mapping[str, int], plants: Mapping[str, int]) -> dict[str, Implementation]:
    """The style behind each label; those of the plants, by label with their products, are written into `folder`."""
    known = find_implementations()
    styles = {label: known[style] for style, count in copies.items() for label in copies_of(style, count)}
    for label, products in plants.items():
        kind = label.partition("-")[0] if products else label
        given = f"{GIVEN}, {kind!r}, {products}, {str(folder / ANSWER)!r}"
        body = BODY.format(plant="planted", style=STYLE, given=given)
        styles[label] = write_style(folder, body, label.replace("-", "_"))
    body = BODY.format(plant="slow_first", style=STYLE, given=GIVEN)
    return styles | {SLOW_FIRST: write_style(folder, body, SLOW_FIRST.replace("-", "_"))}


def make_case(label: str, size: Size, seed: int, framework: str = "numpy") -> Case:
    """One column of the pool: a style on one thread in float32, called by the column's label."""
    problem = Problem(*size, "float32", stable_learning_rate(size), seed)
    return Case(style=label, device="cpu", problem=problem, framework=framework)


def append_measurement(folder: Path, measurement: Measurement, styles: Path) -> None:
    """One process; on the disk when this returns, the pool's row last: it says that the others are there."""
    label, block = measurement.case.style, measurement.block
    if label.startswith(STYLE):
        rows = [
            {"block": block, "label": label, "iteration": index, "elapsed_us": f"{elapsed:.3f}"}
            for index, elapsed in enumerate(measurement.timed_us)
        ]
        append_rows(folder / ITERATIONS, ITERATION_COLUMNS, rows)
    answer = styles / ANSWER
    if answer.exists():
        append_as(folder / TRUTHS, Truth, [Truth(block, label, **json.loads(answer.read_text(encoding="utf-8")))])
        answer.unlink()
    values = {name: measurement.values.get(name) for name in POOL_COLUMNS}
    known = {name: getattr(measurement, name) for name in ("block", "order", "status", "reason", "attempts", "noisy")}
    append_rows(folder / POOL, POOL_COLUMNS, [{**values, **known, "label": label}])


def repair(folder: Path) -> None:
    """Make the tables of a killed run whole: no line cut off, nothing of a process that has no row in the pool."""
    drop_cut_line(folder / POOL)
    pool = read_rows(folder / POOL, POOL_COLUMNS) if (folder / POOL).exists() else []
    known = {(row["block"], row["label"]) for row in pool}
    for name, columns in ((ITERATIONS, ITERATION_COLUMNS), (TRUTHS, columns_of(Truth))):
        if (folder / name).exists():
            rows = read_rows(folder / name, columns)
            write_rows(folder / name, columns, [row for row in rows if (row["block"], row["label"]) in known])


def read_processes(folder: Path) -> pd.DataFrame:
    """pool.csv, its `ok` rows. Raises TableError."""
    rows = pd.DataFrame(read_rows(folder / POOL, POOL_COLUMNS), columns=list(POOL_COLUMNS))
    rows = rows[rows["status"] == "ok"].drop_duplicates(["block", "label"], keep="last", ignore_index=True)
    try:
        numbers = {name: pd.to_numeric(rows[name]) for name in NUMBERS}
    except ValueError as error:
        raise TableError(f"{folder / POOL}: holds something that is not a number: {error}") from error
    return rows.assign(**numbers, noisy=rows["noisy"] == "True")


def read_pool(folder: Path, labels: Sequence[str], groups: tuple[Group, ...]) -> tuple[Pool, list[int]]:
    """The blocks in which every one of `labels` was measured, and their numbers. Raises TableError."""
    rows = read_processes(folder)
    names = ("order", "latency_median_us", "reference_us", "latency_per_reference", "noisy")
    grids = [rows.pivot(index="block", columns="label", values=name).reindex(columns=list(labels)) for name in names]
    whole = grids[1].dropna().index
    turns, wall_us, reference_us, per_reference, noisy = (grid.loc[whole].to_numpy(float) for grid in grids)
    times = wall_us, reference_us, per_reference
    pool = Pool(tuple(labels), groups, *times, turns.astype(np.int64), at_usual_speed(*times), noisy.astype(bool))
    return pool, [int(block) for block in whole]


def read_truths(folder: Path, blocks: Sequence[int]) -> dict[str, dict[int, float]]:
    """The true ratio of each plant, by its label and the block's place in `blocks`. Raises TableError."""
    found: dict[str, dict[int, float]] = {}
    for one in read_as(folder / TRUTHS, Truth):
        if one.block in blocks:
            found.setdefault(one.label, {})[blocks.index(one.block)] = one.ratio
    return found


def read_samples(folder: Path) -> dict[tuple[int, str], Floats]:
    """The kept timed iterations in us by (block, copy), in order. Raises TableError."""
    found: dict[tuple[int, str], list[float]] = {}
    for row in read_rows(folder / ITERATIONS, ITERATION_COLUMNS) if (folder / ITERATIONS).exists() else []:
        found.setdefault((int(row["block"]), row["label"]), []).append(float(row["elapsed_us"]))
    return {key: np.array(values) for key, values in found.items()}


def read_slow_first(folder: Path) -> SlowFirst:
    """The blocks that hold a slow first call, with the geometric means of their copies. Raises TableError."""
    rows = read_processes(folder)
    rows = rows[(rows["label"] == SLOW_FIRST) | rows["label"].str.startswith(STYLE)]
    rows = at_one_speed(rows, ("label",))
    late = rows[rows["label"] == SLOW_FIRST].set_index("block").sort_index()
    copies = rows[(rows["label"] != SLOW_FIRST) & rows["block"].isin(late.index)]
    means = copies.groupby("block")["latency_median_us"].agg(lambda one: geometric_mean(one.tolist()))
    late = late.loc[means.index]
    return SlowFirst(
        copies_us=means.tolist(),
        slow_us=late["latency_median_us"].tolist(),
        copies_iterations=copies["iterations"].tolist(),
        slow_iterations=late["iterations"].tolist(),
        first_s=late["first_iteration_seconds"].tolist(),
    )
