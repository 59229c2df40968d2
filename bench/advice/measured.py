"""What `advise` says of the accelerator that is here: how much faster, from which batch on, and what was not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from bench.advice.accelerated import Accelerated
from bench.advice.advise import AtBatch
from bench.report.run_tables import times_cell
from bench.report.sheet import Cell
from bench.verdict.ratios.intervals import Ratio
from bench.words import grouped, number


def measured(known: list[AtBatch]) -> Iterator[str]:
    """How much faster the accelerator is at the first and the last batch, from which on, when its start is repaid."""
    if not known:
        return
    each = [(one, one.gpu, one.gpu.speedup) for one in known if one.gpu is not None and one.gpu.speedup is not None]
    ratios = [f"at batch {one.batch} {_times(speedup)}" for one, _, speedup in (*each[:1], *each[1:][-1:])]
    last, gpu, _ = each[-1]
    yield f"Measured on {gpu.name}: {', '.join(ratios)} as fast as this CPU, its loss read."
    faster = {one.batch: gpu.faster for one, gpu, _ in each}
    if not any(faster.values()):
        yield "At no batch measured is it faster by its whole interval."
    elif (first := since(faster)) is None:
        most = max(batch for batch, is_so in faster.items() if is_so)
        yield f"At batch {last.batch} it is not faster by its whole interval, though at batch {most} it is."
    else:
        yield f"From batch {first} on it is faster by its whole interval{_repaid(last, gpu)}."


def _times(speedup: Ratio) -> str:
    return f"{number(speedup.value)}x {_interval(speedup)}".rstrip()


def _interval(speedup: Ratio) -> str:
    return f"[{number(speedup.low)}, {number(speedup.high)}]" if speedup.low > 0 else ""


def _repaid(one: AtBatch, gpu: Accelerated) -> str:
    assert one.latency is not None
    steps = gpu.repaid_after(one.latency)
    if not (math.isfinite(steps) and gpu.start_s > 0):
        return ""
    return f"; its start takes {gpu.start_s:.2g} s more than the CPU's, repaid there after about {steps:,.0f} steps"


def since(faster: Mapping[int, bool]) -> int | None:
    """The batch from which on all are faster; None where the largest is not."""
    slower = [batch for batch, is_so in faster.items() if not is_so]
    return min((batch for batch in faster if batch > max(slower, default=0)), default=None)


def speedup_cell(speedup: Ratio | None) -> Cell:
    """A speedup and its interval; empty where there is none."""
    if speedup is None or math.isnan(speedup.value):
        return Cell("")
    return times_cell(speedup.value, _interval(speedup))


def of_gpus(gpus: Sequence[tuple[int, Accelerated]]) -> Iterator[str]:
    """What could not be measured there, how it was checked, and what cannot be."""
    yield from grouped(
        (f"{gpu.on}: {gpu.status}: {gpu.reason}", f"batch {batch}") for batch, gpu in gpus if gpu.status != "ok"
    )
    for words in dict.fromkeys(f"{gpu.on}: {gpu.checked}" for _, gpu in gpus if gpu.status == "ok"):
        yield f"Check on {words}."
    for batch, gpu in gpus:
        for fault in gpu.faults:
            yield f"Fault: at batch {batch} {fault}."
