"""The ceilings of a run, measured until none is missing, and its rows held against them."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.cases.measurement import Measurement
from bench.cases.plan import Plan
from bench.cases.problem import Size
from bench.machine.ceilings import Ceiling, read_ceilings
from bench.machine.device import device_kind
from bench.machine.process import Answer, ask
from bench.runner.below import MOST_REFERENCES, with_floor, with_reference
from bench.runner.device_floors import add_device_floors
from bench.status import Say
from bench.tables.run import read_machine
from bench.tables.writer import write_machine
from bench.words import thread_count
from bench.worker.ceilings import COPY_BYTES

SMALLER = (2**26, 2**22)  # the largest buffer that is copied, where a process was killed over a larger one
TRIES = 4  # of a run at ceilings that are missing: whatever fails so often will not succeed
DOUBTS = 3  # more measurements of a ceiling that a time seems to beat
CEILINGS_SHARE = 0.15  # of a run's budget, which its ceilings may take before its first block
SMALL_FLOPS = 1e8  # of an iteration whose products are measured by themselves, on one thread: above it, by their rate
PRODUCT_FRAMEWORKS = ("numpy", "torch")


def ceiling_jobs(plan: Plan) -> list[dict[str, Any]]:
    """One job for each framework, device, precision and thread count of the plan, with the dtypes it needs there.

    With the sizes whose products are small, of numpy and torch on one CPU thread. Every framework multiplies by the
    same library of an accelerator, so there one of them is enough. Copies are of buffers up to the `largest_buffer`.
    """
    largest = largest_buffer(plan)
    dtypes: dict[tuple[str, str, str, int], dict[str, None]] = {}
    small: dict[tuple[str, str, str, int], set[Size]] = {}
    chosen: dict[str, str] = {}
    for case in sorted(plan.cases, key=lambda case: (case.device, case.framework != "torch")):
        framework = case.framework
        if device_kind(case.device) != "cpu":
            framework = chosen.setdefault(case.device, framework)
        job = (framework, case.device, case.precision, case.threads)
        dtypes.setdefault(job, {})[case.problem.dtype] = None
        if case.one_core and framework in PRODUCT_FRAMEWORKS and case.problem.product_flops <= SMALL_FLOPS:
            small.setdefault(job, set()).add(case.problem.size)
    return [
        {
            "framework": job[0], "device": job[1], "precision": job[2], "threads": job[3], "dtypes": sorted(names),
            "small": sorted(map(list, small.get(job, ()))), "largest": largest,
        }
        for job, names in sorted(dtypes.items())
    ]  # fmt: skip


def largest_buffer(plan: Plan) -> int:
    """Bytes of the largest buffer to copy: the least that holds the data of every problem, for those bound no case.

    With an accelerator the largest of all, since the ratio of both sides' memories is shown.
    """
    if any(device_kind(case.device) != "cpu" for case in plan.cases):
        return COPY_BYTES[-1]
    most = max((case.problem.bytes_moved for case in plan.cases), default=0)
    return next((size for size in COPY_BYTES if size >= most), COPY_BYTES[-1])


def missing_jobs(plan: Plan, known: Sequence[Ceiling]) -> list[dict[str, Any]]:
    """Those of `ceiling_jobs` whose products are not all among the `known` ceilings."""
    there = {
        (one.framework, one.device, one.threads, one.dtype, one.precision, one.size)
        for one in known
        if one.kind != "copy"
    }
    return [
        job
        for job in ceiling_jobs(plan)
        if not there.issuperset(
            (job["framework"], job["device"], job["threads"], dtype, job["precision"] if dtype == "float32" else "ieee",
             size)
            for dtype in job["dtypes"] for size in (None, *(str(Size(*sides)) for sides in job["small"]))
        )
    ]  # fmt: skip


def measure_ceilings(
    plan: Plan, jobs: Sequence[Mapping[str, Any]], warn: Say, say: Say, limit_s: float = math.inf
) -> tuple[list[Ceiling], list[str]]:
    """The ceilings of `jobs`, a process each, and a line for each that failed; smaller buffers if memory was short.

    All of them together take no longer than `limit_s`, each no longer than its share of what the ones before left.
    """
    rows: list[Ceiling] = []
    failures: list[str] = []
    end = time.monotonic() + limit_s
    for index, job in enumerate(jobs, 1):
        say(f"ceilings {index}/{len(jobs)}: the fastest product and copy of {job['framework']} on {job['device']}")
        what = f"no ceiling of {job['framework']} on {job['device']}, {thread_count(job['threads'])}"
        tries = (job["largest"], *(size for size in SMALLER if size < job["largest"]))
        for largest in tries:
            answer = _asked(plan, {**job, "largest": largest}, (end - time.monotonic()) / (len(jobs) - index + 1))
            if answer.status is None:
                rows += answer.value
                break
            short = largest != tries[-1] and "memory" in answer.reason.lower()
            then = "measured again with smaller buffers" if short else "so its times have no floor"
            warn(f"{what}: {answer.reason}; {then}")
            if not short:
                failures.append(f"{what}: {answer.reason}")
                break
    return rows, failures


def _asked(plan: Plan, job: Mapping[str, Any], left_s: float) -> Answer:
    """What a process says of a job, given up after `left_s`; without any time left, no process."""
    short = f"the budget of {plan.budget_s or left_s:.0f} s leaves its ceilings no more time"
    if left_s <= 0:
        return Answer(None, 0.0, "timeout", short)
    answer = ask(
        "bench.worker.ceilings", job, shape=list[Ceiling],
        threads=job["threads"], keep_env=plan.keep_env, timeout_s=min(plan.timeout_s, left_s),
    )  # fmt: skip
    return replace(answer, reason=short) if answer.status == "timeout" and left_s < plan.timeout_s else answer


@dataclass(slots=True)
class Floors:
    """The ceilings that a run's machine.json holds; those that are missing are measured again once a block.

    With a budget they may all take `CEILINGS_SHARE` of it; a doubtful time has its ceiling measured again even so.
    """

    folder: Path
    plan: Plan
    warn: Say
    say: Say
    known: tuple[Ceiling, ...] = ()
    block: int = 0
    tries: int = 0
    spent_s: float = 0.0  # on ceilings so far
    references_us: list[float] = field(default_factory=list)  # of the last rows

    def complete(self) -> None:
        """Measure what is missing, of a new run all, a few times at most."""
        self.spent_s += add_device_floors(self.folder, self.plan, self.warn, self.say)
        self.known = read_ceilings(read_machine(self.folder))
        left_s = math.inf if self.plan.budget_s is None else CEILINGS_SHARE * self.plan.budget_s - self.spent_s
        if left_s > 0 and self.tries < TRIES and (jobs := missing_jobs(self.plan, self.known)):
            self.tries += 1
            self._measure(jobs, left_s)

    def under(self, found: Measurement) -> Measurement:
        """`found` with its floor; a time below it has its ceiling measured again, perhaps on a quieter machine.

        Up to DOUBTS times: a core that a neighbour slows by half, by turns, may do so in one try and the next.
        """
        if found.block > self.block:
            self.block = found.block
            self.complete()
        seen = tuple(self.references_us)
        if found.status == "ok" and found.values.get("reference_us"):
            self.references_us = [*self.references_us, float(found.values["reference_us"] or 0)][-MOST_REFERENCES:]
        found = with_reference(found, seen)
        measurement = with_floor(found, self.known, seen)
        for _ in range(DOUBTS):
            if measurement.status == found.status:
                break
            self._measure(ceiling_jobs(replace(self.plan, cases={found.case: 1})))
            measurement = with_floor(found, self.known, seen)
        return measurement

    def _measure(self, jobs: Sequence[Mapping[str, Any]], limit_s: float = math.inf) -> None:
        began = time.monotonic()
        rows, failures = measure_ceilings(self.plan, jobs, self.warn, self.say, limit_s)
        self.spent_s += time.monotonic() - began
        self.known += tuple(rows)
        kept = [one.row() for one in self.known]
        write_machine(self.folder, {**read_machine(self.folder), "ceilings": kept, "ceilings_missing": failures})
