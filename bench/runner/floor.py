"""The ceilings of a run, measured until none is missing, and the least time that they allow a case."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.cases.case import Case
from bench.cases.measurement import Measurement
from bench.cases.plan import Plan
from bench.machine.ceilings import Ceiling, best_gflops, read_ceilings
from bench.machine.device import device_kind
from bench.machine.process import ask
from bench.tables.run import read_machine
from bench.tables.writer import write_machine
from bench.words import thread_count

Say = Callable[[str], None]
BUFFERS = (2**29, 2**26, 2**22)  # the largest that is copied; a smaller one where a process was killed over it
TRIES = 4  # of a run at ceilings that are missing: whatever fails so often will not succeed
BELOW = 0.95  # a time under this share of its floor is an error, not luck with the ceiling's own noise


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


def with_floor(measurement: Measurement, ceilings: Sequence[Ceiling]) -> Measurement:
    """The measurement with its `floor_us` and `floor_share`; `wrong` when it took less time than its floor."""
    floor = floor_us(measurement.case, ceilings)
    if floor is None or measurement.status != "ok":
        return measurement
    values = dict(measurement.values)
    latency, throughput = float(values["latency_median_us"] or 0), float(values["throughput_us"] or 0)
    least = min(latency, throughput)
    if least < BELOW * floor:
        reason = (
            f"took {least:.1f} us, less than the {floor:.1f} us that the machine's fastest product needs for this "
            "work: it was not all done, or the ceiling was measured on a disturbed machine"
        )
        return replace(measurement, status="wrong", reason=reason, values={}, timed_us=(), warmup_us=(), first_us=None)
    return replace(measurement, values={**values, "floor_us": floor, "floor_share": floor / latency})


def ceiling_jobs(plan: Plan) -> list[dict[str, Any]]:
    """One job for each framework, device, precision and thread count of the plan, with the dtypes it needs there.

    Every framework multiplies by the same library of an accelerator, so there one of them is enough.
    """
    dtypes: dict[tuple[str, str, str, int], dict[str, None]] = {}
    chosen: dict[str, str] = {}
    for case in sorted(plan.cases, key=lambda case: (case.device, case.framework != "torch")):
        framework = case.framework
        if device_kind(case.device) != "cpu":
            framework = chosen.setdefault(case.device, framework)
        job = (framework, case.device, case.precision, case.threads)
        dtypes.setdefault(job, {})[case.problem.dtype] = None
    return [
        {"framework": job[0], "device": job[1], "precision": job[2], "threads": job[3], "dtypes": sorted(names)}
        for job, names in sorted(dtypes.items())
    ]


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
    plan: Plan, jobs: Sequence[Mapping[str, Any]], warn: Say, say: Say
) -> tuple[list[Ceiling], list[str]]:
    """The ceilings of `jobs`, a process each, and a line for each that failed; smaller buffers if memory was short."""
    rows: list[Ceiling] = []
    failures: list[str] = []
    for index, job in enumerate(jobs, 1):
        say(f"ceilings {index}/{len(jobs)}: the fastest product and copy of {job['framework']} on {job['device']}")
        what = f"no ceiling of {job['framework']} on {job['device']}, {thread_count(job['threads'])}"
        for largest in BUFFERS:
            answer = ask(
                "bench.worker.ceilings", {**job, "largest": largest}, shape=list[Ceiling],
                threads=job["threads"], keep_env=plan.keep_env, timeout_s=plan.timeout_s,
            )  # fmt: skip
            if answer.status is None:
                rows += answer.value
                break
            short = largest != BUFFERS[-1] and ("memory" in answer.reason.lower())
            then = "measured again with smaller buffers" if short else "so its times have no floor"
            warn(f"{what}: {answer.reason}; {then}")
            if not short:
                failures.append(f"{what}: {answer.reason}")
                break
    return rows, failures


@dataclass(slots=True)
class Floors:
    """The ceilings that a run's machine.json holds; those that are missing are measured again once a block."""

    folder: Path
    plan: Plan
    warn: Say
    say: Say
    known: tuple[Ceiling, ...] = ()
    block: int = 0
    tries: int = 0

    def complete(self) -> None:
        """Measure what is missing, of a new run all, a few times at most."""
        self.known = read_ceilings(read_machine(self.folder))
        if self.tries < TRIES and (jobs := missing_jobs(self.plan, self.known)):
            self.tries += 1
            self._measure(jobs)

    def under(self, found: Measurement) -> Measurement:
        """`found` with its floor; a time below it has its ceiling measured again, perhaps on a quieter machine."""
        if found.block > self.block:
            self.block = found.block
            self.complete()
        measurement = with_floor(found, self.known)
        if measurement.status == found.status:
            return measurement
        self._measure(ceiling_jobs(replace(self.plan, cases={found.case: 1})))
        return with_floor(found, self.known)

    def _measure(self, jobs: Sequence[Mapping[str, Any]]) -> None:
        rows, failures = measure_ceilings(self.plan, jobs, self.warn, self.say)
        self.known += tuple(rows)
        kept = [one.row() for one in self.known]
        write_machine(self.folder, {**read_machine(self.folder), "ceilings": kept, "ceilings_missing": failures})
