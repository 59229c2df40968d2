"""The machine's measured ceilings, and the least time that an iteration can take under them (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from bench.case import Case
from bench.measurement import Measurement

BELOW = 0.95  # a time under this share of its floor is an error, not luck with the ceiling's own noise


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The best that was measured of one thing on one device: a large product, or a copy.

    `kind` is "gemm" (then `gflops`, 2 n^3 operations over the best time) or "copy" (then `gbytes_per_s`, bytes
    read plus bytes written over the best time, of a buffer of `bytes`).
    """

    kind: str
    framework: str
    device: str
    dtype: str
    precision: str
    threads: int
    gflops: float | None = None
    gbytes_per_s: float | None = None
    bytes: int | None = None

    def row(self) -> dict[str, Any]:
        """Plain values for machine.json; what does not apply is left out."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def read_ceilings(machine: Mapping[str, Any]) -> tuple[Ceiling, ...]:
    """The ceilings that machine.json holds; none where they were not measured."""
    return tuple(Ceiling(**row) for row in machine.get("ceilings", ()))


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
