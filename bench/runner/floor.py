"""The ceilings measured once a run, and the least time that they allow a case."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from bench.cases.case import Case
from bench.cases.measurement import Measurement
from bench.cases.plan import Plan
from bench.machine.ceilings import Ceiling
from bench.machine.process import ask

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
    rates = [
        one.gflops for one in there if one.gflops and (one.dtype, one.precision) == (case.problem.dtype, case.precision)
    ]
    if not rates:
        return None
    products_us = case.problem.product_flops / max(rates) / 1e3
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
    """One job for each framework, device, precision and thread count of the plan, with the dtypes it needs there."""
    dtypes: dict[tuple[str, str, str, int], dict[str, None]] = {}
    for case in plan.cases:
        job = (case.framework, case.device, case.precision, case.threads)
        dtypes.setdefault(job, {})[case.problem.dtype] = None
    return [
        {"framework": job[0], "device": job[1], "precision": job[2], "threads": job[3], "dtypes": sorted(names)}
        for job, names in sorted(dtypes.items())
    ]


def measure_ceilings(plan: Plan, say: Callable[[str], None]) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of machine.json's `ceilings`, one process a job, and a line for each process that failed."""
    rows: list[dict[str, Any]] = []
    failures: list[str] = []
    jobs = ceiling_jobs(plan)
    for index, job in enumerate(jobs, 1):
        say(f"ceilings {index}/{len(jobs)}: the fastest product and copy of {job['framework']} on {job['device']}")
        answer = ask(
            "bench.worker.ceilings", job, threads=job["threads"], keep_env=plan.keep_env, timeout_s=plan.timeout_s
        )
        if answer.status is None:
            rows += answer.value
        else:
            failures.append(f"no ceiling of {job['framework']} on {job['device']}: {answer.reason}")
    return rows, failures
