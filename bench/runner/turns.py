"""Blocks, shuffled order, one fresh process at a time, and taking up a run that was cut off."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bench.cases.case import Case
from bench.cases.measurement import Job, Measurement
from bench.cases.plan import Plan
from bench.machine.process import Ended, start_process

Launch = Callable[[Job], dict[str, Any]]
Key = tuple[int, tuple[str | int, ...]]


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

    def start(module: str, job: Job, *, keep_env: bool) -> Ended:
        return start_process(module, job.dump(), job.case.threads, keep_env=keep_env, timeout_s=plan.timeout_s)

    def launch(job: Job) -> dict[str, Any]:
        found = parse_answer(start("bench.worker.measure", job, keep_env=plan.keep_env or job.case.as_found))
        if found["status"] == "ok" and job.case.program:
            program = start("bench.worker.program", job, keep_env=plan.keep_env)
            if program.status is None:
                found["values"] |= {"loop_seconds": float(program.output), "program_seconds": program.seconds}
            else:  # the latency stands; what a program takes stays unknown
                found["reason"] = f"as a whole program: {program.status}: {program.reason}"
        return found

    return launch


def parse_answer(ended: Ended) -> dict[str, Any]:
    """What the worker found, or the status and reason of how it ended instead."""
    if ended.status is not None:
        return {"status": ended.status, "reason": ended.reason}
    answer: dict[str, Any] = json.loads(ended.output)
    return answer
