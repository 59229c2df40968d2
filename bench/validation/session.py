"""A validation from its folder's first file to its last: tools, then blocks until the time is up, then its tables."""

from __future__ import annotations

import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from bench.adversary.attacks import judge_attacks
from bench.cases.plan import Plan
from bench.cases.problem import TUTORIAL_SIZE, Size
from bench.checks import Check
from bench.errors import TableError, UsageError
from bench.machine.facts import describe, probe_devices
from bench.plain import ShapeError, from_plain, to_plain
from bench.runner.turns import Key, Launch, Progress, process_launcher, run
from bench.simulation.drift import BLOCKS
from bench.status import Say
from bench.tables.columns import ACCEPTANCE, ACCEPTANCE_COLUMNS, EXPERIMENTS, MACHINE
from bench.tables.csv_files import read_as, read_rows, write_as, write_rows
from bench.tables.run import read_machine
from bench.tables.writer import write_machine
from bench.validation import pool as pools
from bench.validation.acceptance import LEAST_EXPERIMENTS, judge, judge_slow_first
from bench.validation.experiments import EXPERIMENT_COLUMNS, PERCENTS, experiment_row, run_experiments
from bench.validation.inside import SLOW_FIRST, SLOW_FIRST_S, SPIN_0, STYLE, WORK, WRAPPER
from bench.validation.peers.agreement import INTERVAL, TOOLS, Tool, judge_tools
from bench.validation.peers.script import run_ours, script_tools
from bench.validation.peers.tools import ask, measure_tools, measured
from bench.validation.simulated import disturb
from implementations import find_implementations

CALIBRATIONS = 3
COPIES = {STYLE: 4, "numpy_manual": 2, "torch_tensors": 2, "torch_autograd": 2}  # columns of the pool, by style
DRAWN = 2 * LEAST_EXPERIMENTS
SAME = ("cpu_model", "cpus", "python", "packages")


@dataclass(frozen=True, slots=True)
class Design:
    """What a pool is made of; kept in machine.json, so that it can be taken up and analysed again."""

    quick: bool
    minutes: float
    seed: int
    copies: Mapping[str, int]  # by style, that with plants first
    plants: Mapping[str, int]  # by label: products in an iteration, 0 where the plant is none of work
    slow_blocks: int  # blocks with a case whose first call takes seconds
    rounds: int  # of the comparison with pyperf
    blocks: int
    size: Size = TUTORIAL_SIZE

    @property
    def labels(self) -> tuple[str, ...]:
        """Columns of the pool that every block has: copies first."""
        return (*(label for group in self.groups for label in group), *self.plants)

    @property
    def groups(self) -> tuple[pools.Group, ...]:
        """The labels of each style's copies."""
        return tuple(pools.copies_of(style, count) for style, count in self.copies.items())


def draft(*, quick: bool, minutes: float | None, seed: int) -> Design:
    """A design before the machine is known: what work a plant is made of, and how many blocks fit, is open."""
    known = find_implementations()
    there = {style: count for style, count in COPIES.items() if find_spec(known[style].framework)}
    work = {f"{WORK}-{percent}": percent for percent in ((2,) if quick else PERCENTS)}
    return Design(
        quick=quick,
        minutes=minutes or (2.0 if quick else 15.0),
        seed=seed,
        copies={STYLE: COPIES[STYLE]} if quick else there,
        plants=work if quick else {WRAPPER: 0, SPIN_0: 0, **work},
        slow_blocks=5 if quick else 10,
        rounds=4 if quick else 24,
        blocks=0,
    )


def begin(folder: Path, first: Design) -> Design:
    """Measure what an iteration takes, size plants and blocks by it, and write machine.json. Raises UsageError."""
    machine = describe(probe_devices())
    with tempfile.TemporaryDirectory(prefix="fiftyx-") as styles:
        launch = process_launcher(make_plan(first, Path(styles)))
        start = time.monotonic()
        for _ in range(CALIBRATIONS):
            ours(launch, first, "latency_median_us")
        each_s = (time.monotonic() - start) / CALIBRATIONS
    slow_s = first.slow_blocks * (each_s + SLOW_FIRST_S)
    fit = int((first.minutes * 60 - slow_s) / (each_s * len(first.labels)))  # at most: others take longer
    design = replace(sized(first, ask("product", first.size)), blocks=max(BLOCKS, fit))
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    folder.mkdir(parents=True, exist_ok=True)
    write_machine(
        folder, {"run_id": uuid.uuid4().hex[:8], "created": created, **machine, "validation": to_plain(design)}
    )
    return design


def sized(design: Design, share: float) -> Design:
    """The plants of `design` in products of which each takes `share` of an iteration: work-2 about 2% of it."""
    plants = {
        label: max(1, round(int(label.rpartition("-")[2]) / 100 / share)) if label.startswith(WORK) else 0
        for label in design.plants
    }
    return replace(design, plants=plants)


def take_up(folder: Path) -> Design:
    """The design of a folder that was begun, its pool made whole. Raises UsageError where it is of another machine."""
    before, here = read_machine(folder), describe(probe_devices())
    for name in SAME:
        if before.get(name) != here[name]:
            raise UsageError(f"--resume: {folder} was begun elsewhere ({name} differs); choose another --out")
    design = read_design(folder)
    pools.repair(folder)
    return design


def read_design(folder: Path) -> Design:
    """From machine.json. Raises TableError."""
    raw = read_machine(folder).get("validation", {})
    try:
        return from_plain(Design, raw)
    except ShapeError as error:
        raise TableError(
            f"{folder / MACHINE}: is not of this version's fiftyx validate; a run is read by fiftyx report"
        ) from error


def ours(launch: Launch, design: Design, column: str) -> float:
    """One value that the harness finds of the plain case in a fresh process. Raises ToolError."""
    return measured(launch, pools.make_case(STYLE, design.size, design.seed), column)[0]


def measure(folder: Path, design: Design, budget_s: float | None, say: Say) -> None:
    """What is missing of the pool, in `budget_s`, then of the tools; a row is on the disk before the next process."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fiftyx-") as name:
        styles = Path(name)
        plan = make_plan(design, styles)
        launch, starting = process_launcher(plan), announcer(say, start, budget_s)
        for measurement in run(plan, launch, done=done_keys(folder, design), starting=starting):
            pools.append_measurement(folder, measurement, styles)
            # the plan's own budget would stop before a block that might not fit; here a part of one does no harm
            if budget_s is not None and time.monotonic() - start > budget_s:
                break
        if not (folder / TOOLS).exists():
            tools = list(measure_tools(design.size, lambda column: ours(launch, design, column), design.rounds, say))
            tools += script_tools(lambda: run_ours(launch, design.seed), design.rounds, say)
            write_as(folder / TOOLS, Tool, tools)


def announcer(
    say: Say, start: float, budget_s: float | None, now: Callable[[], float] = time.monotonic
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
        say(f"{progress.done + 1}/{progress.total}, block {progress.slot.block + 1}: {progress.slot.case.style}{left}")

    return starting


def make_plan(design: Design, folder: Path) -> Plan:
    """A plan for the runner: every label a case in every block, the slow first call in the first blocks only."""
    styles = pools.styles_of(folder, design.copies, design.plants)
    blocks = dict.fromkeys(design.labels, design.blocks) | {SLOW_FIRST: min(design.slow_blocks, design.blocks)}
    made = {label: pools.make_case(label, design.size, design.seed, styles[label].framework) for label in blocks}
    cases = {made[label]: count for label, count in blocks.items()}
    return Plan("validate", cases, design.blocks, styles, seed=design.seed)


def done_keys(folder: Path, design: Design) -> set[Key]:
    """The turns that the pool already holds."""
    if not (folder / pools.POOL).exists():
        return set()
    rows = read_rows(folder / pools.POOL, pools.POOL_COLUMNS)
    return {(int(row["block"]), pools.make_case(row["label"], design.size, design.seed).key) for row in rows}


def analyse(source: Path, folder: Path) -> list[Check]:
    """The acceptance table of what `source` holds; it and all experiments into `folder`. Raises TableError."""
    design = read_design(source)
    pool, blocks = pools.read_pool(source, design.labels, design.groups)
    found = pools.read_truths(source, blocks)
    truths = {plant: found[plant] for plant in design.plants if plant in found}
    experiments = run_experiments(pool, pools.read_samples(source), truths, DRAWN, design.seed)
    disturbed, disturbances = disturb(pool, DRAWN, design.seed, simulate=not design.quick)
    checks = [
        *judge(pool, experiments, truths),
        *disturbances,
        *judge_tools({tool.quantity: tool for tool in read_as(source / TOOLS, Tool, INTERVAL)}),
        judge_slow_first(pools.read_slow_first(source)),
        *judge_attacks(source),
    ]
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder / EXPERIMENTS, EXPERIMENT_COLUMNS, map(experiment_row, [*experiments, *disturbed]))
    write_rows(folder / ACCEPTANCE, ACCEPTANCE_COLUMNS, [check.row() for check in checks])
    return checks
