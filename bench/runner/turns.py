"""Blocks, shuffled order, one fresh process at a time, and taking up a run that was cut off."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from bench.cases.case import Case
from bench.cases.challenge import data_seed
from bench.cases.measurement import Found, Job, Measurement, or_anew
from bench.cases.plan import Plan
from bench.machine.process import Answer, ask
from bench.machine.witness import Record
from bench.plain import to_plain
from bench.verification.judge import judge
from bench.verification.program import judge_program

Launch = Callable[[Job], Found]
PROGRAM = "bench.worker.program"
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
        cases = [case for case, count in plan.cases.items() if block < count]
        shuffle.shuffle(cases)
        turns += [(block, case) for case in cases]
    return [Slot(block, order, case) for order, (block, case) in enumerate(turns)]


def skipped(plan: Plan, done: Collection[Key] = ()) -> Iterator[Measurement]:
    """The cases that cannot run here, with their reasons: rows that need no process."""
    for skip in plan.skips:
        if (0, skip.case.key) not in done:
            yield Measurement(skip.case, 0, -1, "skipped", skip.reason)


def run(
    plan: Plan,
    launch: Launch,
    *,
    done: Collection[Key] = (),
    starting: Callable[[Progress], None] = lambda _progress: None,
    now: Callable[[], float] = time.monotonic,
    began: float | None = None,
    used: Mapping[tuple[str | int, ...], int] | None = None,
    run_id: str | None = None,
) -> Iterator[Measurement]:
    """Measure every turn that is not `done`, one process after another; yields each as it is found.

    Cases that cannot run here come first, as `skipped`. A noisy measurement is taken again at once, as often
    as `plan.spare` says for a case, less the tries `used` before. Stops before a block that
    `plan.budget_s`, counted from `began` on, has no time for, judged by the longest that each of its cases took so far,
    and within a block once that time is over; with a budget, a case that was given up once is not started again. The
    data of each block are drawn from `run_id`; without it they are those of the problems' seed.
    """
    yield from skipped(plan, done)
    turns = schedule(plan)
    start = now() if began is None else began
    longest: dict[tuple[str | int, ...], float] = {}
    spare = Counter({case.turn: tries for case, tries in plan.spare.items()})
    spare.subtract(used or {})
    given_up: set[tuple[str | int, ...]] = set()
    for index, slot in enumerate(turns):
        if plan.budget_s is not None and index and slot.block != turns[index - 1].block:
            left = {turn.case.turn for turn in turns[index:] if turn.block == slot.block} - given_up
            if now() - start + sum(longest.get(turn, 0.0) for turn in left) > plan.budget_s:
                return
        if slot.key in done or slot.case.turn in given_up:
            continue
        if plan.budget_s is not None and now() - start > plan.budget_s:
            return
        starting(Progress(index, len(turns), slot, plan))
        turn_began = now()
        measurement = take_turn(plan, slot, launch, spare, run_id)
        longest[slot.case.turn] = max(longest.get(slot.case.turn, 0.0), now() - turn_began)
        if plan.budget_s is not None and measurement.status == "timeout":
            given_up.add(slot.case.turn)
        yield measurement


def budget_words(plan: Plan, done: Collection[Key]) -> str | None:
    """That a plan with a budget began fewer blocks than it has, or None."""
    begun = {block for block, _ in done}
    left = {slot.block for slot in schedule(plan)} - begun
    if plan.budget_s is None or not left:
        return None
    ended = f"ended after {plan.blocks - len(left)} of {plan.blocks} blocks"
    return f"{ended}: {plan.budget_s:.0f} s leave no time for another"


def take_turn(
    plan: Plan, slot: Slot, launch: Launch, spare: Counter[tuple[str | int, ...]], run_id: str | None = None
) -> Measurement:
    """One case in one block; once more where it was noisy and `spare` tries are left for it.

    Once, so that a case that is noisy by nature does not spend all of its tries in the first blocks.
    """
    seed = None if run_id is None else data_seed(run_id, slot.block)
    job = Job(slot.case, plan.styles[slot.case.style], plan.rule, seed)
    attempts = 1
    found = launch(job)
    if found.noisy and spare[slot.case.turn] > 0:
        spare[slot.case.turn] -= 1
        attempts += 1
        again = launch(job)
        found = again if again.status in ("ok", "wrong") else found
    return Measurement.of(found, slot.case, slot.block, slot.order, attempts)


def process_launcher(plan: Plan, watch: Callable[[Job, Found, Record], object] = lambda *_: None) -> Launch:
    """A launcher of real processes: a worker, and for cases that want it the whole program after it.

    The worker answers what it timed; what that comes to is judged here, where no style is loaded, after `watch` has
    seen it. Who fails by the clock, or strays in the timed run, is measured up to twice more, with x changing elsewhere
    or other data, and is wrong who fails each time.
    """

    def start(module: str, job: Job, *, keep_env: bool) -> tuple[Answer, Record]:
        record = Record(job.seed, compiles=job.style.compiled and module == PROGRAM)
        question = to_plain(replace(job, data_seed=None))
        answer = ask(
            module, question, threads=job.case.threads, keep_env=keep_env, timeout_s=plan.timeout_s, record=record
        )
        return answer, record

    def measured(job: Job) -> Found:
        answer, record = start("bench.worker", job, keep_env=plan.keep_env or job.case.as_found)
        if answer.status is not None:
            return Found(answer.status, answer.reason)
        found = Found.read(answer.value)
        watch(job, found, record)
        return judge(job, found, record) if record.watched else found

    def launch(job: Job) -> Found:
        found = or_anew(job, measured)
        if found.status != "ok" or not job.case.program:
            return found
        return or_anew(job, lambda one: judge_program(one, found, *start(PROGRAM, one, keep_env=plan.keep_env)))

    return launch
