"""What binds a case on an accelerator: the host, gaps, arithmetic, bandwidth, or the latency of its kernels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bench.bounds.cards import launches_of
from bench.cases.case import CaseKey
from bench.cases.problem import TUTORIAL_SIZE, Problem
from bench.machine.ceilings import best_gflops, read_ceilings
from bench.tables.by_case import cases_in
from bench.tables.run import Run
from bench.verdict.ratios.speedup import mean_us, trusted
from bench.words import microseconds, percent

LAUNCHES, FLOP, BYTES, ROUND_TRIP = "launches", "FLOP", "bytes", "round trip"
HOST_BOUND = "the host"
GAP_BOUND, LATENCY_BOUND = "gaps between its kernels", "the latency of its kernels"
FLOP_BOUND, BANDWIDTH_BOUND = "arithmetic", "bandwidth"
ENQUEUING = 0.95  # of a batch's time: then the device waits for the host
BUSY = 0.8  # of a batch's time in kernels: then there are no gaps worth a name
HALF = 0.5  # of the kernels' time at the best rate: then that rate binds them


@dataclass(frozen=True, slots=True)
class OnDevice:
    """A case on an accelerator: us an iteration in a batch, and what share of that each floor and the kernels take.

    `floors` hold LAUNCHES, FLOP and BYTES over the time in a batch and ROUND_TRIP over the latency, each only where it
    is known. `enqueuing` and `busy` are shares of the time in a batch too; NaN where nobody measured them.
    """

    case: CaseKey
    us: float
    latency_us: float
    floors: Mapping[str, float]
    enqueuing: float
    busy: float

    @property
    def largest(self) -> tuple[str, float]:
        """The floor that takes the largest share, and that share; NaN where none is known."""
        return max(self.floors.items(), key=lambda item: item[1], default=("", math.nan))

    @property
    def bound_by(self) -> str:
        """What binds an iteration in a batch; empty where it was not measured."""
        flop, bytes_ = (self.floors.get(name, 0.0) for name in (FLOP, BYTES))
        kernels = 1.0 if math.isnan(self.busy) else self.busy
        if self.enqueuing >= ENQUEUING:
            return HOST_BOUND
        if self.busy < BUSY:
            return GAP_BOUND
        if max(flop, bytes_) >= HALF * kernels:
            return FLOP_BOUND if flop >= bytes_ else BANDWIDTH_BOUND
        return "" if math.isnan(self.busy) else LATENCY_BOUND

    @property
    def words(self) -> str:
        """One sentence: what binds it, from which shares."""
        name, part = self.largest
        said = [
            f"enqueuing it takes {percent(self.enqueuing)}" if math.isfinite(self.enqueuing) else "",
            f"its kernels {percent(self.busy)}" if math.isfinite(self.busy) else "",
            f"the largest floor is {name}, {percent(part)}" if name else "",
        ]
        bound = f"bound by {self.bound_by}" if self.bound_by else "what binds it was not measured"
        shares = ", ".join(filter(None, said)) or "no floor of its device is known"
        return f"{self.case.label}: {bound}: of {microseconds(self.us)} us in a batch {shares}."


def on_devices(run: Run) -> Iterator[OnDevice]:
    """The cases on an accelerator that have a time in a batch and were never wrong.

    LAUNCHES: counted launches (`bench/bounds/launches.csv`) at the cost of an empty one; FLOP: the
    products at the best rate that the run measured there; BYTES: `Problem.bytes_moved` at its best copy; ROUND_TRIP: a
    launch and a read of the loss. Busy: the profiler's kernels, at the tutorial's size in float32, which was profiled.
    """
    sound = trusted(run.measurements)
    sound = sound[(sound["device"] != "cpu") & (sound["throughput_us"] > 0)]
    for case, rows in cases_in(sound):
        us, latency_us = mean_us(rows, "throughput"), mean_us(rows)
        figures = floors_of(run.machine, case.device)
        floors = {
            name: share
            for name, value in _least_us(run, case, figures).items()
            if math.isfinite(share := value / (latency_us if name == ROUND_TRIP else us))
        }
        enqueuing = float((rows["enqueue_us"] / rows["throughput_us"]).mean())  # NaN where no row says
        yield OnDevice(case, us, latency_us, floors, enqueuing, _busy_us(case, figures) / us)


def floors_of(machine: Mapping[str, Any], device: str) -> Mapping[str, Any]:
    """The figures of `fiftyx floors` that a run on a GPU holds for a device, by name; none in an older run."""
    return ((machine.get("floors") or {}).get(device) or {}).get("figures") or {}


def _least_us(run: Run, case: CaseKey, figures: Mapping[str, Any]) -> dict[str, float]:
    problem, ceilings = Problem(*case.size, dtype=case.dtype), read_ceilings(run.machine)
    rate = best_gflops(ceilings, case.device, case.threads, case.dtype, case.precision)
    copies = [one.gbytes_per_s for one in ceilings if one.device == case.device and one.gbytes_per_s]
    launches = launches_of().get(case.style)
    return {
        LAUNCHES: launches * _us(figures, "launch_us") if launches else math.nan,
        FLOP: problem.product_flops / rate / 1e3 if rate else math.nan,
        BYTES: problem.bytes_moved / max(copies) / 1e3 if copies else math.nan,
        ROUND_TRIP: _us(figures, "launch_and_read_us"),
    }


def _us(figures: Mapping[str, Any], name: str) -> float:
    """The median of a figure: a number in older files, {us, low, high, n} now; NaN where it is not there."""
    found = figures.get(name)
    found = found.get("median") if isinstance(found, Mapping) else found
    return float(found) if isinstance(found, int | float) else math.nan


def _busy_us(case: CaseKey, figures: Mapping[str, Any]) -> float:
    if case.size != TUTORIAL_SIZE or case.arithmetic != "float32":
        return math.nan
    profiled = figures.get(f"kernels of {case.style}")
    return _us(profiled, "busy_us") if isinstance(profiled, Mapping) else math.nan
