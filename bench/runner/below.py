"""The least time that a run's ceilings allow a case, and what becomes of a row that took less (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import median

from bench.cases.case import Case
from bench.cases.measurement import AT_ONCE, TIMES, Measurement, Value
from bench.cases.problem import TUTORIAL_ITERATIONS
from bench.machine.ceilings import Ceiling, best_gflops

BELOW = 0.95  # a time under this share of its floor is an error, not luck with the ceiling's own noise
PER_REFERENCE = ("latency_per_reference", "throughput_per_reference")
OF_REFERENCE = ("reference_us", "own_effect", *PER_REFERENCE)
LEAST_REFERENCES, MOST_REFERENCES = 3, 9  # of the rows before, whose median says how fast the core usually is
FAR = 1.25  # times the usual reference; at most 1.16 over the 117 rows of results/tutorial-cpu that have three before
READING_NOISE = 0.9
OF_PRODUCTS = 0.8  # of what they take in a framework's own calls; what is shorter than that did not make them


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


def products_us(case: Case, ceilings: Sequence[Ceiling]) -> float | None:
    """us of the five products of an iteration in the case's framework, at its own size, many in a row; None: unknown.

    On one thread alone: with several a library may choose badly for a small product, and others better.
    """
    wanted = (case.framework, case.device, case.threads, case.problem.dtype, case.precision, str(case.problem.size))
    there = [
        one.us
        for one in ceilings
        if one.us and (one.framework, one.device, one.threads, one.dtype, one.precision, one.size) == wanted
    ]
    return None if case.as_found else min(there, default=None)


def _copies_of(size: int, ceilings: Iterable[Ceiling]) -> Iterable[float]:
    copies = [(one.bytes or 0, one.gbytes_per_s) for one in ceilings if one.gbytes_per_s]
    least = max((held for held, _ in copies if held <= size), default=0)
    return (rate for held, rate in copies if held >= least)


def with_floor(
    measurement: Measurement, ceilings: Sequence[Ceiling], references_us: Sequence[float] = ()
) -> Measurement:
    """The measurement with its `floor_us` and `floor_share`; `wrong` when it took less time than its floor.

    Or than OF_PRODUCTS of what the products of a small size take by themselves. That holds for an iteration alone, in a
    batch and of the tutorial's whole loop, and for the first two at the core's usual speed too: what a style does to
    the reference product next to it must not make it faster than the machine. `references_us` are those of the run's
    other rows.
    """
    floor = floor_us(measurement.case, ceilings)
    if floor is None or measurement.status != "ok":
        return measurement
    values = dict(measurement.values)
    least, small = min(_each_us(values, references_us)), products_us(measurement.case, ceilings) or 0.0
    if least < BELOW * floor or least < OF_PRODUCTS * small:
        needs = f"{floor:.1f} us that the machine's fastest product needs for this work"
        if least >= BELOW * floor:
            needs = f"{small:.1f} us that its {measurement.case.framework} products take by themselves"
        reason = (
            f"took {least:.1f} us, less than the {needs}: it was not all done, or the ceiling was measured on a "
            "disturbed machine"
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
