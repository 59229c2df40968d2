"""Blocks, shuffled order, one fresh process at a time, and taking up a run that was cut off."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bench.case import Case
from bench.device import FRAMEWORKS
from bench.environment import worker_environment
from bench.measurement import Measurement
from bench.plan import Skip
from bench.rule import Rule
from bench.worker import Job
from implementations import Implementation

MORE_BLOCKS = (20, 30)

Launch = Callable[[Job], dict[str, Any]]
Key = tuple[int, tuple[str | int, ...]]


@dataclass(frozen=True, slots=True)
class Plan:
    """All that decides what a run does, so that a second start does the same."""

    preset: str
    cases: tuple[Case, ...]
    case_blocks: tuple[int, ...]
    skips: tuple[Skip, ...]
    blocks: int
    seed: int
    rule: Rule
    timeout_s: float
    budget_s: float | None
    keep_env: bool
    styles: Mapping[str, Implementation]
    decide: float | None = None  # after `blocks`, more only where an interval holds this threshold

    @property
    def looks(self) -> tuple[int, ...]:
        """The numbers of blocks after which intervals are looked at."""
        return (self.blocks, *(more for more in MORE_BLOCKS if self.decide is not None and more > self.blocks))


@dataclass(frozen=True, slots=True)
class Slot:
    """A case's turn in a block; `order` counts the turns of the whole run from 0."""

    block: int
    order: int
    case: Case

    @property
    def key(self) -> Key:
        """What a finished row is recognised by."""
        return self.block, self.case.turn


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: `done` of `total` turns of a plan (with its later looks), the turn that starts now."""

    done: int
    total: int
    slot: Slot
    plan: Plan | None = None


def schedule(plan: Plan) -> list[Slot]:
    """Every turn of the run in order: blocks one after another, the cases of each shuffled by the plan's seed."""
    shuffle = random.Random(plan.seed)
    turns: list[tuple[int, Case]] = []
    for block in range(plan.blocks):
        cases = [case for case, count in zip(plan.cases, plan.case_blocks, strict=True) if block < count]
        shuffle.shuffle(cases)
        turns += [(block, case) for case in cases]
    return [Slot(block, order, case) for order, (block, case) in enumerate(turns)]


def run(
    plan: Plan,
    launch: Launch,
    *,
    done: Collection[Key] = (),
    starting: Callable[[Progress], None] = lambda _progress: None,
    now: Callable[[], float] = time.monotonic,
    began: float | None = None,
    used: Mapping[tuple[str | int, ...], int] | None = None,
) -> Iterator[Measurement]:
    """Measure every turn that is not `done`, one process after another; yields each as it is found.

    Cases that cannot run here come first, as `skipped`. A noisy measurement is taken again at once, at most
    half as many times for a case as it has blocks, less the tries `used` before. Stops before a block that
    `plan.budget_s`, counted from `began` on, has no time for, judged by the longest that each of its cases took so far.
    """
    for skip in plan.skips:
        if (0, skip.case.key) not in done:
            yield Measurement(skip.case, 0, -1, "skipped", skip.reason)
    turns = schedule(plan)
    start = now() if began is None else began
    longest: dict[tuple[str | int, ...], float] = {}
    spare = Counter({case.turn: count // 2 for case, count in zip(plan.cases, plan.case_blocks, strict=True)})
    spare.subtract(used or {})
    for index, slot in enumerate(turns):
        if plan.budget_s is not None and index and slot.block != turns[index - 1].block:
            ahead = sum(longest.get(turn.case.turn, 0.0) for turn in turns[index:] if turn.block == slot.block)
            if now() - start + ahead > plan.budget_s:
                return
        if slot.key in done:
            continue
        starting(Progress(index, len(turns), slot, plan))
        turn_began = now()
        measurement = take_turn(plan, slot, launch, spare)
        longest[slot.case.turn] = max(longest.get(slot.case.turn, 0.0), now() - turn_began)
        yield measurement


def take_turn(plan: Plan, slot: Slot, launch: Launch, spare: Counter[tuple[str | int, ...]]) -> Measurement:
    """One case in one block; once more where it was noisy and `spare` tries are left for it.

    Once, so that a case that is noisy by nature does not spend all of its tries in the first blocks.
    """
    job = Job(slot.case, plan.styles[slot.case.style], plan.rule)
    attempts = 1
    found = launch(job)
    if found.get("noisy") and spare[slot.case.turn] > 0:
        spare[slot.case.turn] -= 1
        attempts += 1
        again = launch(job)
        found = again if again["status"] in ("ok", "wrong") else found
    return Measurement(
        case=slot.case,
        block=slot.block,
        order=slot.order,
        status=found["status"],
        reason=found.get("reason", ""),
        attempts=attempts,
        noisy=bool(found.get("noisy", False)),
        values=found.get("values", {}),
        first_us=found.get("first_us"),
        warmup_us=found.get("warmup_us", ()),
        timed_us=found.get("timed_us", ()),
        losses=found.get("losses", ()),
    )


def process_launcher(plan: Plan) -> Launch:
    """A launcher of real processes: a worker, and for cases that want it the whole program after it."""

    def launch(job: Job) -> dict[str, Any]:
        where = replace(plan, keep_env=True) if job.case.as_found else plan
        found = parse_answer(start_process("bench.worker", job.dump(), job.case.threads, where))
        if found["status"] == "ok" and job.case.program:
            program = start_process("bench.program", job.dump(), job.case.threads, plan)
            if program.status is None:
                found["values"] |= {"loop_seconds": float(program.output), "program_seconds": program.seconds}
            else:  # the latency stands; what a program takes stays unknown
                found["reason"] = f"as a whole program: {program.status}: {program.reason}"
        return found

    return launch


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended: its output, or the status that it means when it failed; wall seconds of all of it."""

    output: str
    seconds: float
    status: str | None = None
    reason: str = ""


def start_process(module: str, question: str, threads: int, plan: Plan) -> Ended:
    """Run `python -m module` with `question` on stdin in a cleaned environment and sleep until it ends."""
    environment = worker_environment(os.environ, threads, keep=plan.keep_env)
    start = time.perf_counter()
    try:
        process = subprocess.run(  # ends the child whatever stops the waiting
            [sys.executable, "-m", module],
            input=question,
            capture_output=True,
            env=environment,
            text=True,
            errors="replace",
            timeout=plan.timeout_s,
            check=False,
            start_new_session=True,  # Ctrl-C is for this process, which then ends the child
        )
    except subprocess.TimeoutExpired:
        return Ended("", plan.timeout_s, "timeout", f"took longer than {plan.timeout_s:g} s; see --timeout")
    seconds = time.perf_counter() - start
    if process.returncode != 0 or not process.stdout.strip():
        return Ended(process.stdout, seconds, "crashed", _crash_reason(process.returncode, process.stderr))
    return Ended(process.stdout, seconds)


def ceiling_jobs(plan: Plan) -> list[dict[str, Any]]:
    """One job for each framework, device, precision and thread count of the plan, with the dtypes it needs there."""
    dtypes: dict[tuple[str, str, str, int], dict[str, None]] = {}
    for case in plan.cases:
        framework = case.framework if case.framework in FRAMEWORKS else "numpy"
        job = (framework, case.device, case.precision, case.threads)
        dtypes.setdefault(job, {})[case.problem.dtype] = None
    return [
        {"framework": job[0], "device": job[1], "precision": job[2], "threads": job[3], "dtypes": sorted(names)}
        for job, names in sorted(dtypes.items())
    ]


def measure_ceilings(plan: Plan) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of machine.json's `ceilings`, one process a job, and a line for each process that failed."""
    rows: list[dict[str, Any]] = []
    failures: list[str] = []
    for job in ceiling_jobs(plan):
        ended = start_process("bench.ceiling", json.dumps(job), job["threads"], plan)
        if ended.status is None:
            rows += json.loads(ended.output)
        else:
            failures.append(f"no ceiling of {job['framework']} on {job['device']}: {ended.reason}")
    return rows, failures


def parse_answer(ended: Ended) -> dict[str, Any]:
    """What the worker found, or the status and reason of how it ended instead."""
    if ended.status is not None:
        return {"status": ended.status, "reason": ended.reason}
    answer: dict[str, Any] = json.loads(ended.output)
    return answer


def _crash_reason(returncode: int, errors: str) -> str:
    last = " ".join((errors.strip().splitlines() or ["no message"])[-1].split())[:300]
    if returncode >= 0:
        return f"process ended with exit code {returncode}: {last}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    return f"process killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else f": {last}")
