"""A validation from its folder's first file to its last: tools, then blocks until the time is up, then its tables."""

from __future__ import annotations

import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bench.cases.measurement import Job
from bench.cases.phases import Rule
from bench.cases.plan import Plan
from bench.cases.problem import TUTORIAL_SIZE
from bench.errors import TableError, UsageError
from bench.machine.facts import describe, probe_devices
from bench.plain import ShapeError, from_plain, to_plain
from bench.runner.turns import Key, Launch, Progress, process_launcher, run
from bench.tables.columns import ACCEPTANCE, ACCEPTANCE_COLUMNS, EXPERIMENTS, MACHINE
from bench.tables.csv_files import read_rows, write_rows
from bench.tables.run import read_machine
from bench.tables.writer import write_machine
from bench.validation.acceptance import LEAST_EXPERIMENTS, Check, judge, judge_kills, run_experiments
from bench.validation.experiments import BLOCKS, Experiment
from bench.validation.kills import Told, read_kills
from bench.validation.liars import judge_liars, read_liars
from bench.validation.plants import SLOW_FIRST, SLOW_FIRST_S, STYLE, make_case, spin_label, write_styles
from bench.validation.pool import (
    EXPERIMENT_COLUMNS,
    POOL,
    POOL_COLUMNS,
    TOOL_COLUMNS,
    TOOLS,
    append_measurement,
    copy_label,
    experiment_row,
    measure_costs,
    read_pool,
    read_samples,
    read_slow_first,
    repair,
    slowdowns,
)
from bench.validation.tools import Tool, ToolError, measure_tools
from implementations import find_implementations

CALIBRATIONS = 3
COST_S = 2.0  # about what measuring the plants' cost takes, once a block
DRAWN = 2 * LEAST_EXPERIMENTS
SAME = ("cpu_model", "cpus", "python", "packages")


@dataclass(frozen=True, slots=True)
class Design:
    """What a pool is made of; kept in machine.json, so that it can be taken up and analysed again."""

    quick: bool
    minutes: float
    seed: int
    copies: int
    spins_ns: Mapping[str, int]  # by label
    slow_blocks: int  # blocks with a case whose first call takes seconds
    rounds: int  # of the comparison with pyperf
    blocks: int
    size: tuple[int, int, int, int] = TUTORIAL_SIZE

    @property
    def labels(self) -> tuple[str, ...]:
        """Columns of the pool: copies first."""
        return (*map(copy_label, range(self.copies)), *self.spins_ns)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Every experiment and the acceptance table."""

    experiments: list[Experiment]
    checks: list[Check]


def draft(*, quick: bool, minutes: float | None, seed: int) -> Design:
    """A design before the machine is known: spins have no length yet, and how many blocks fit is open."""
    percents = (2,) if quick else (5, 2, 1)
    return Design(
        quick=quick,
        minutes=minutes or (3.0 if quick else 15.0),
        seed=seed,
        copies=4 if quick else 8,
        spins_ns=dict.fromkeys(map(spin_label, percents), 0),
        slow_blocks=5 if quick else 10,
        rounds=4 if quick else 24,
        blocks=0,
    )


def begin(folder: Path, first: Design, now: Callable[[], float] = time.monotonic) -> Design:
    """Measure what an iteration takes, size spins and blocks by it, and write machine.json. Raises UsageError."""
    machine = describe(probe_devices())
    with tempfile.TemporaryDirectory(prefix="fiftyx-") as styles:
        launch = process_launcher(make_plan(first, Path(styles)))
        start = now()
        base_us = min(ours(launch, first, "latency_median_us") for _ in range(CALIBRATIONS))
        each_s = (now() - start) / CALIBRATIONS
    spins = {label: round(base_us * 1e3 * int(label.rpartition("-")[2]) / 100) for label in first.spins_ns}
    slow_s = first.slow_blocks * (each_s + SLOW_FIRST_S)
    fit = int((first.minutes * 60 - slow_s) / (each_s * len(first.labels) + COST_S))
    design = replace(first, spins_ns=spins, blocks=max(BLOCKS, fit))
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    folder.mkdir(parents=True, exist_ok=True)
    write_machine(
        folder, {"run_id": uuid.uuid4().hex[:8], "created": created, **machine, "validation": to_plain(design)}
    )
    return design


def take_up(folder: Path) -> Design:
    """The design of a folder that was begun, its pool made whole. Raises UsageError where it is of another machine."""
    before, here = read_machine(folder), describe(probe_devices())
    for name in SAME:
        if before.get(name) != here[name]:
            raise UsageError(f"--resume: {folder} was begun elsewhere ({name} differs); choose another --out")
    design = read_design(folder)
    repair(folder)
    return design


def read_design(folder: Path) -> Design:
    """From machine.json. Raises TableError."""
    raw = read_machine(folder).get("validation", {})
    try:
        return from_plain(Design, raw)
    except ShapeError as error:
        raise TableError(f"{folder / MACHINE}: is not of fiftyx validate; a run is read by fiftyx report") from error


def ours(launch: Launch, design: Design, column: str) -> float:
    """One value that the harness finds of the plain case in a fresh process. Raises UsageError."""
    found = launch(Job(make_case(STYLE, design.size, design.seed), find_implementations()[STYLE], Rule()))
    if found.status != "ok":
        raise UsageError(f"a worker fails, so nothing can be validated: {found.reason}; try: fiftyx doctor")
    return float(found.values[column] or 0)


def measure(folder: Path, design: Design, budget_s: float | None, told: Told) -> None:
    """What is still missing of tools and pool; a row is on the disk before the next process starts."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fiftyx-") as styles:
        if not (folder / TOOLS).exists():
            told("the clock, and the same loop by other tools")
            write_tools(folder, design, process_launcher(make_plan(design, Path(styles))))
        plan = make_plan(design, Path(styles))
        launch, starting = process_launcher(plan), announcer(told, start, budget_s)
        for measurement in run(plan, launch, done=done_keys(folder, design), starting=starting):
            append_measurement(folder, measurement)
            measure_costs(folder, measurement.block, design.size, design.spins_ns)
            # the plan's own budget would stop before a block that might not fit; here a part of one does no harm
            if budget_s is not None and time.monotonic() - start > budget_s:
                break


def announcer(
    told: Told, start: float, budget_s: float | None, now: Callable[[], float] = time.monotonic
) -> Callable[[Progress], None]:
    """Says which turn starts and about how long the rest takes: by the pace so far, or until the budget is spent."""
    began = now()
    first: list[int] = []

    def starting(progress: Progress) -> None:
        first.append(progress.done)
        spent, taken = now() - began, progress.done - first[0]
        ends = [spent / taken * (progress.total - progress.done)] if taken else []
        ends += [start + budget_s - now()] if budget_s is not None else []
        left = f", about {max(0.0, min(ends)) / 60:.1f} min left" if ends else ""
        told(f"{progress.done + 1}/{progress.total}, block {progress.slot.block + 1}: {progress.slot.case.style}{left}")

    return starting


def write_tools(folder: Path, design: Design, launch: Launch) -> None:
    """tools.csv, whole or not at all."""

    def throughput_us() -> float:
        try:
            return ours(launch, design, "throughput_us")
        except UsageError as error:
            raise ToolError(str(error)) from error

    tools = measure_tools(design.size, throughput_us, design.rounds)
    write_rows(folder / TOOLS, TOOL_COLUMNS, [tool.row() for tool in tools])


def make_plan(design: Design, styles: Path) -> Plan:
    """A plan for the runner: every label a case in every block, the slow first call in the first blocks only."""
    plain = find_implementations()[STYLE]
    implementations = dict.fromkeys(design.labels, plain) | write_styles(styles, dict(design.spins_ns))
    cases = {make_case(label, design.size, design.seed): design.blocks for label in design.labels}
    cases[make_case(SLOW_FIRST, design.size, design.seed)] = min(design.slow_blocks, design.blocks)
    return Plan("validate", cases, design.blocks, implementations, seed=design.seed)


def done_keys(folder: Path, design: Design) -> set[Key]:
    """The turns that the pool already holds."""
    if not (folder / POOL).exists():
        return set()
    rows = read_rows(folder / POOL, POOL_COLUMNS)
    return {(int(row["block"]), make_case(row["label"], design.size, design.seed).key) for row in rows}


def analyse(source: Path, folder: Path, least: int = DRAWN) -> Outcome:
    """Experiments on the pool in `source`, their tables into `folder`. Raises TableError."""
    design = read_design(source)
    try:
        pool, samples = read_pool(source, design.labels, design.copies), read_samples(source)
        tools = {row["quantity"]: Tool.from_row(row) for row in read_rows(source / TOOLS, TOOL_COLUMNS)}
        slow, plants = read_slow_first(source), slowdowns(source)
    except TableError:
        raise
    except ValueError as error:
        raise TableError(f"{source}: a table holds something that is not a number: {error}") from error
    experiments = run_experiments(pool, samples, plants, least, design.seed)
    checks = judge(pool, experiments, tools, plants, slow)
    checks += [judge_kills(read_kills(source)), judge_liars(read_liars(source))]
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder / EXPERIMENTS, EXPERIMENT_COLUMNS, map(experiment_row, experiments))
    write_rows(folder / ACCEPTANCE, ACCEPTANCE_COLUMNS, [check.row() for check in checks])
    return Outcome(experiments, checks)
