"""The ceilings of a run, measured until none is missing, and the least time that they allow a case."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from bench.cases.case import Case
from bench.cases.measurement import AT_ONCE, TIMES, Measurement, Value
from bench.cases.plan import Plan
from bench.cases.problem import TUTORIAL_ITERATIONS
from bench.machine.ceilings import Ceiling, best_gflops, read_ceilings
from bench.machine.device import device_kind
from bench.machine.process import Answer, ask
from bench.runner.device_floors import add_device_floors
from bench.status import Say
from bench.tables.run import read_machine
from bench.tables.writer import write_machine
from bench.words import thread_count
from bench.worker.ceilings import COPY_BYTES

SMALLER = (2**26, 2**22)  # the largest buffer that is copied, where a process was killed over a larger one
TRIES = 4  # of a run at ceilings that are missing: whatever fails so often will not succeed
CEILINGS_SHARE = 0.15  # of a run's budget, which its ceilings may take before its first block
BELOW = 0.95  # a time under this share of its floor is an error, not luck with the ceiling's own noise
PER_REFERENCE = ("latency_per_reference", "throughput_per_reference")
OF_REFERENCE = ("reference_us", "own_effect", *PER_REFERENCE)
LEAST_REFERENCES, MOST_REFERENCES = 3, 9  # of the rows before, whose median says how fast the core usually is
FAR = 1.5  # times the usual reference; at most 1.16 over the 117 rows of results/tutorial-cpu that have three before
READING_NOISE = 0.9


def floor_us(case: Case, ceilings: Sequence[Ceiling]) -> float | None:
    """The least us an iteration of `case` can take: its products at the best rate of any library, or its bytes.

    Products: 4*N*D_in*H + 6*N*H*D_out operations over the fastest product measured on the same device, dtype,
    precision and threads. Bytes: `Problem.bytes_moved` over the fastest copy of a buffer no smaller than the
    largest measured one that the problem's data would fill; caches make small copies fast, so this errs
    towards too low a floor. None where no product was measured, and for a case as found: the ceilings are of the
    clean environment.
    """
    if case.as_found:
        return None
    there = [one for one in ceilings if (one.device, one.threads) == (case.device, case.threads)]
    rate = best_gflops(there, case.device, case.threads, case.problem.dtype, case.precision)
    if rate is None:
        return None
    products_us = case.problem.product_flops / rate / 1e3
    copies = list(_copies_of(case.problem.bytes_moved, there))
    return max(products_us, case.problem.bytes_moved / max(copies) / 1e3) if copies else products_us


def _copies_of(size: int, ceilings: Iterable[Ceiling]) -> Iterable[float]:
    copies = [(one.bytes or 0, one.gbytes_per_s) for one in ceilings if one.gbytes_per_s]
    least = max((held for held, _ in copies if held <= size), default=0)
    return (rate for held, rate in copies if held >= least)


def with_floor(
    measurement: Measurement, ceilings: Sequence[Ceiling], references_us: Sequence[float] = ()
) -> Measurement:
    """The measurement with its `floor_us` and `floor_share`; `wrong` when it took less time than its floor.

    That holds for an iteration alone, in a batch and of the tutorial's whole loop, and for the first two at the core's
    usual speed too: what a style does to the reference product next to it must not make it faster than the machine.
    `references_us` are those of the run's other rows.
    """
    floor = floor_us(measurement.case, ceilings)
    if floor is None or measurement.status != "ok":
        return measurement
    values = dict(measurement.values)
    least = min(_each_us(values, references_us))
    if least < BELOW * floor:
        reason = (
            f"took {least:.1f} us, less than the {floor:.1f} us that the machine's fastest product needs for this "
            "work: it was not all done, or the ceiling was measured on a disturbed machine"
        )
        return replace(measurement, status="wrong", reason=reason, values={}, timed_us=(), warmup_us=(), first_us=None)
    share = floor / float(values["latency_median_us"] or values["throughput_us"] or 0)
    return replace(measurement, values={**values, "floor_us": floor, "floor_share": share})


def _each_us(values: Mapping[str, Value], references_us: Sequence[float]) -> Iterator[float]:
    """What an iteration took, by each way of measuring it."""
    yield from (float(values[name] or 0) for name in TIMES if values[name] is not None or values.get(AT_ONCE, 1) == 1)
    if values.get("loop_seconds"):
        yield float(values["loop_seconds"] or 0) / TUTORIAL_ITERATIONS * 1e6
    for name in PER_REFERENCE:
        if len(references_us) >= LEAST_REFERENCES and values.get(name):
            yield float(values[name] or 0) * median(references_us) / READING_NOISE


def with_reference(measurement: Measurement, references_us: Sequence[float]) -> Measurement:
    """The measurement, without its readings of the core's speed where they are far from those of the rows before it.

    Then its times stay as they were taken: a style that slows only the reference product gets no credit for it.
    """
    own = float(measurement.values.get("reference_us") or 0)
    if len(references_us) < LEAST_REFERENCES or own <= FAR * median(references_us):
        return measurement
    left = {name: value for name, value in measurement.values.items() if name not in OF_REFERENCE}
    reason = f"the reference product took {own:.0f} us beside it, {median(references_us):.0f} us beside others before"
    return replace(measurement, values=left, noisy=True, reason=reason)


def ceiling_jobs(plan: Plan) -> list[dict[str, Any]]:
    """One job for each framework, device, precision and thread count of the plan, with the dtypes it needs there.

    Every framework multiplies by the same library of an accelerator, so there one of them is enough. Copies are of
    buffers up to the `largest_buffer`.
    """
    largest = largest_buffer(plan)
    dtypes: dict[tuple[str, str, str, int], dict[str, None]] = {}
    chosen: dict[str, str] = {}
    for case in sorted(plan.cases, key=lambda case: (case.device, case.framework != "torch")):
        framework = case.framework
        if device_kind(case.device) != "cpu":
            framework = chosen.setdefault(case.device, framework)
        job = (framework, case.device, case.precision, case.threads)
        dtypes.setdefault(job, {})[case.problem.dtype] = None
    return [
        {
            "framework": job[0], "device": job[1], "precision": job[2], "threads": job[3], "dtypes": sorted(names),
            "largest": largest,
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
    there = {(one.framework, one.device, one.threads, one.dtype, one.precision) for one in known if one.kind == "gemm"}
    return [
        job
        for job in ceiling_jobs(plan)
        if not there.issuperset(
            (job["framework"], job["device"], job["threads"], dtype, job["precision"] if dtype == "float32" else "ieee")
            for dtype in job["dtypes"]
        )
    ]


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
        """`found` with its floor; a time below it has its ceiling measured again, perhaps on a quieter machine."""
        if found.block > self.block:
            self.block = found.block
            self.complete()
        seen = tuple(self.references_us)
        if found.status == "ok" and found.values.get("reference_us"):
            self.references_us = [*self.references_us, float(found.values["reference_us"] or 0)][-MOST_REFERENCES:]
        found = with_reference(found, seen)
        measurement = with_floor(found, self.known, seen)
        if measurement.status == found.status:
            return measurement
        self._measure(ceiling_jobs(replace(self.plan, cases={found.case: 1})))
        return with_floor(found, self.known, seen)

    def _measure(self, jobs: Sequence[Mapping[str, Any]], limit_s: float = math.inf) -> None:
        began = time.monotonic()
        rows, failures = measure_ceilings(self.plan, jobs, self.warn, self.say, limit_s)
        self.spent_s += time.monotonic() - began
        self.known += tuple(rows)
        kept = [one.row() for one in self.known]
        write_machine(self.folder, {**read_machine(self.folder), "ceilings": kept, "ceilings_missing": failures})
