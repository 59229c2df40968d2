"""The verdict on one measurement, from raw times and what the witness saw; the process that judges loads no style."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from statistics import fmean, median

from bench.cases.case import Case
from bench.cases.challenge import Flip, changes, piece_lengths, timed_flips
from bench.cases.measurement import BY_ITERATION, Found, Job, Value
from bench.cases.phases import Counts, Stretch
from bench.cases.problem import work_flops
from bench.machine.device import device_kind
from bench.machine.witness import Record, Seen
from bench.plain import ShapeError, from_plain
from bench.timing import clock
from bench.timing.counters import every_core
from bench.timing.given import Trained
from bench.timing.loops import Timed
from bench.timing.noise import Sampled, Steady, by_cycle, disturbance
from bench.verification.clocks import lumpy, untrue
from bench.verification.shape import DOUBTFUL, Shape


def judge(job: Job, found: Found, record: Record) -> Found:
    """What `found` comes to: `wrong` with the reason, or its figures, all from the raw times. `crashed`: no answer."""
    if found.status != "ok" or found.raw is None:
        return replace(found, raw=None) if found.status != "ok" else Found("crashed", "answered no times")
    try:
        timed = from_plain(Timed, found.raw)
    except ShapeError as error:
        return Found("crashed", f"its times are not what a worker says: {error}")
    fault = next(unlike(job, timed, record), None)
    if fault is not None:
        return Found("crashed", f"its times are not what a worker says: {fault}")
    if lump := lumpy(job, timed, record):
        return Found("wrong", lump, again=True)
    try:
        why, checked = deviates(job.case, timed.counts, record)
    except MemoryError as error:
        return Found("oom", f"out of memory for the float64 reference: {error}")
    if why is not None:
        return Found("wrong", f"in the timed run: {why}", again=True)
    shape = Shape.of(job, timed, record)
    why = next(chain(shape.faults(), untrue(job, timed, record)), None)
    if why is not None:
        return Found("wrong", why, again=True)
    timed_us = [ns / 1e3 for ns in timed.elapsed_ns]
    cycles = by_cycle(timed_us, job.style.period)
    steady = Steady.of(timed, timed_us, job.style.period)
    values: dict[str, Value] = {
        **found.values,
        **reduce_timed(job, timed, cycles),
        **(steady.values() if steady else {}),
        "checked_iterations": checked,
        "data_seed": record.data_seed,
        "challenges": len(changes(timed_flips(job.case, timed.counts, [one.seed for one in record.seen]))),
        "final_loss": record.seen[-1].losses[-1] if record.seen[-1].losses else None,
    }
    noise = disturbance(_sampled(job, timed, cycles, steady)) or next(shape.faults(DOUBTFUL), "")
    if job.style.ahead > 1:
        values |= started_at_once(job.style.ahead, timed_us, cycles)
        timed_us = cycles
    judged = replace(found, reason=noise, noisy=bool(noise), values=values, timed_us=timed_us, raw=None)
    fault = judged.problem()
    return judged if fault is None else Found("crashed", f"its times are not what a worker says: {fault}")


def unlike(job: Job, timed: Timed, record: Record) -> Iterator[str]:
    """What no worker would have timed or said to its witness."""
    counts, least = timed.counts, job.rule.floor_iterations
    if record.fault:
        yield record.fault
    few = counts.latency < max(least, 2 * job.style.period) or counts.batch < least
    if few or counts.batches < 1 or counts.settle < 1 or counts.steps > 10**7:
        yield f"{counts.latency} iterations and {counts.batches} batches of {counts.batch}"
        return
    stretches = counts.stretches
    if [(one.first, one.count) for one in stretches] != [(one.first, one.count) for one in record.seen]:
        yield f"{len(record.seen)} stretches, expected {len(stretches)}"
    elif not record.whole or any(
        seen.losses is None or len(seen.losses) != len(one.read)
        for one, seen in zip(stretches, record.seen, strict=True)
    ):
        yield "losses are missing"
    lengths = [len(timed.elapsed_ns), len(timed.untimed_ns), len(timed.outside_ns)]
    each = [one.iterations for one in timed.batches]
    if [lengths, each] != [[counts.latency, len(stretches), len(stretches)], [counts.batch] * counts.batches]:
        yield "samples are missing"
    if not _in_pieces(job.case, timed, record):
        yield "pieces that are not those of their batch"
    readings = len(stretches) if job.case.one_core else 0
    if len(timed.readings) != readings or bool(counts.segment) != job.case.one_core:
        yield f"{len(timed.readings)} readings of the core's speed, expected {readings}"
    elif [tuple(one) for one in timed.readings] != record.readings:
        yield "readings of the core's speed that are not those that its witness heard"
    times = [
        *timed.elapsed_ns,
        *(ns for one in timed.batches for ns in (one.elapsed_ns, *one.pieces_ns)),
        *(us for one in timed.readings for us in one),
    ]
    if not all(0 < time < 2**62 for time in times) or min([*timed.untimed_ns, *timed.outside_ns], default=0) < 0:
        yield "a time that none is"


def _in_pieces(case: Case, timed: Timed, record: Record) -> bool:
    """Whether each batch is cut where its flips are, and its pieces add up to it."""
    pairs = zip(timed.counts.stretches, record.seen, strict=False)
    cuts = [len(piece_lengths(case, one, seen.seed)) for one, seen in pairs if one.batch]
    whole = all(sum(one.pieces_ns) == one.elapsed_ns for one in timed.batches)
    return whole and [len(one.pieces_ns) for one in timed.batches] == cuts


def deviates(case: Case, counts: Counts, record: Record) -> tuple[str | None, int]:
    """How losses and weights stray from the oracle, if they do, and how many losses were compared with it."""
    flips = timed_flips(case, counts, [one.seed for one in record.seen])
    return strays(case, counts.steps, record, losses_of(counts.stretches, record.seen), flips)


def strays(
    case: Case, steps: int, record: Record, losses: Mapping[int, float], flips: Sequence[Flip]
) -> tuple[str | None, int]:
    """How losses and the last weights stray from the oracle, if they do, and how many losses were compared with it."""
    from bench.verification.deviation import reason
    from bench.verification.gate import followed, timed_deviations

    arrays = replace(case.problem, seed=record.data_seed).arrays()
    expected = followed(case, arrays, steps, flips)
    with every_core(case):
        found = timed_deviations(expected, Trained(losses, tuple(record.weights)), steps)
    return reason(found), sum(t < expected.steps for t in losses)


def losses_of(stretches: Sequence[Stretch], seen: Sequence[Seen]) -> Mapping[int, float]:
    """What was read of each iteration."""
    return {
        t: loss
        for one, heard in zip(stretches, seen, strict=True)
        for t, loss in zip(one.read, heard.losses or (), strict=True)
    }


def reduce_timed(job: Job, timed: Timed, cycles: Sequence[float]) -> dict[str, Value]:
    """The columns that the timed loop fills; of a style with a cycle, statistics are over whole cycles' means."""
    ordered = sorted(cycles)
    batch = middle_batch(timed)
    counters = timed.counters
    problem = job.case.problem
    return {
        "iterations": timed.counts.latency,
        "iterations_per_launch": job.style.ahead,
        "latency_median_us": median(ordered),
        "latency_mean_us": fmean(ordered),
        "latency_min_us": ordered[0],
        "latency_p95_us": ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))],
        "batch_iterations": timed.counts.batch,
        "throughput_us": batch.mean_us,
        "enqueue_us": batch.enqueued_ns / batch.iterations / 1e3 if device_kind(job.case.device) != "cpu" else None,
        "event_us": batch.event_us,
        "flops": work_flops(problem, job.case.oracle),
        "bytes_moved": problem.bytes_moved,
        "minor_faults_per_iteration": counters.per_iteration_faults(timed.counts.sampling),
        "involuntary_switches": counters.involuntary_switches,
        "cpu_utilisation": counters.cpu_utilisation,
        "peak_rss_bytes": counters.peak_rss_bytes,
    }


def started_at_once(ahead: int, timed_us: Sequence[float], launches_us: Sequence[float]) -> dict[str, Value]:
    """What stands in place of a latency where `ahead` iterations are started at once and none can be had alone.

    `launched_us` is an iteration's share of such a launch with all of its losses read, `first_loss_us` the wait for the
    first of them. `launches_us` are means over the iterations of one.
    """
    return {
        **dict.fromkeys(BY_ITERATION),
        "launched_us": median(launches_us),
        "first_loss_us": median(timed_us[::ahead]),
    }


def _sampled(job: Job, timed: Timed, cycles: Sequence[float], steady: Steady | None) -> Sampled:
    """For the noise gates: at one speed of the core where that was read, else as timed."""
    on_cpu, used = device_kind(job.case.device) == "cpu", timed.counters.cpu_utilisation
    if steady is not None:
        return Sampled(steady.cycles, on_cpu, job.case.threads, used, steady.batch)
    return Sampled(cycles, on_cpu, job.case.threads, used, middle_batch(timed).mean_us)


def middle_batch(timed: Timed) -> clock.Batch:
    """The batch whose time is the median of all."""
    return sorted(timed.batches, key=lambda one: one.elapsed_ns)[len(timed.batches) // 2]
