"""What the witness's clock and the CPU time of a process say against the times that it reports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from bench.cases.case import Case
from bench.cases.challenge import flips
from bench.cases.measurement import Job
from bench.machine.witness import Record, Seen
from bench.worker.loops import Timed
from bench.worker.noise import by_cycle

TOLD_SHARE = 0.9  # of a phase by the witness's clock that its iterations have to add up to
TOLD_LEAST_S = 0.02  # a phase that is shorter shows nothing
STRETCH_S = 2e-4  # for the witness's two words of a stretch
FLIP_S, BETWEEN_S = 5e-6, 3e-7  # for a flip, and for what lies between two samples
WAIT_S = 1e-5  # for the wait before each sample on a device that is waited for
MORE_CORES = 0.05  # CPU seconds a wall second above a case's threads
LUMPY, LUMPY_SAMPLES = 2.0, 20  # an honest one reached 1.59 twice, on two cores at a load of 5
DECLARE = "declare ahead="
HELPED_SHARE, HELPED_S = 0.05, 0.05  # of CPU time in other processes, which Linux counts in hundredths of a second


def untrue(job: Job, timed: Timed, record: Record) -> Iterator[str]:
    """What the witness's own clock, and the CPU time of the process, say against the samples."""
    case, stretches = job.case, timed.counts.stretches
    if not record.watched:
        return
    for batches, phase in ((False, "alone"), (True, "in batches")):
        pairs = [(one, seen) for one, seen in zip(stretches, record.seen, strict=True) if one.batch is batches]
        samples = [one.elapsed_ns for one in timed.batches] if batches else timed.elapsed_ns
        untimed = [ns for ns, one in zip(timed.untimed_ns, stretches, strict=True) if one.batch is batches]
        waits = sum(one.untimed + (1 if one.batch else one.timed) for one, _ in pairs)
        flipped = sum(len(flips(case, one, seen.seed)) for one, seen in pairs)
        more_s = STRETCH_S * len(pairs) + FLIP_S * flipped + (BETWEEN_S if case.device == "cpu" else WAIT_S) * waits
        told_s = (sum(samples) + sum(untimed)) / 1e9
        yield from against(case, f"iterations {phase}", told_s + more_s, [seen for _, seen in pairs])
    yield from helped(case, record)


def lumpy(job: Job, timed: Timed, record: Record) -> str | None:
    """Whether a batch takes far longer an iteration than samples do, by the clock and on a CPU by its time where known.

    Not of several threads: one that waits for a core keeps the others at work, and that passes for a lump.
    """
    if job.case.threads > 1:
        return None
    middle_us = median(by_cycle(timed.elapsed_ns, job.style.period)) / 1e3
    each_us = [min(one.mean_us for one in timed.batches)]
    pairs = [(one, seen) for one, seen in zip(timed.counts.stretches, record.seen, strict=True) if one.batch]
    on_cpu = job.case.key.on_cpu  # who waits for an accelerator may sleep
    if on_cpu and all(seen.cpu_s is not None for _, seen in pairs):
        cpu_s = sum(seen.cpu_s or 0.0 for _, seen in pairs) - STRETCH_S * len(pairs)
        each_us.append(cpu_s * 1e6 / sum(one.count for one, _ in pairs))
    if len(timed.elapsed_ns) < LUMPY_SAMPLES or min(each_us) < LUMPY * middle_us:
        return None
    return (
        f"an iteration takes {middle_us:.1f} us in the middle and {min(each_us):.1f} us in the mean of a batch: "
        f"several iterations at once: {'its work is not in the iteration that it belongs to' if on_cpu else DECLARE}"
    )


def against(case: Case, what: str, told_s: float, seen: Sequence[Seen]) -> Iterator[str]:
    """What the witness's clock and the CPU time say against `told_s`; nothing where the system does not tell them."""
    cpu, wall_s = [one.cpu_s for one in seen if one.cpu_s is not None], sum(one.wall_s for one in seen)
    if len(cpu) < len(seen) or wall_s < TOLD_LEAST_S:
        return
    if told_s < TOLD_SHARE * min(wall_s, sum(cpu)):
        yield (
            f"{what} add up to {told_s * 1e3:.1f} ms, of {wall_s * 1e3:.1f} ms that passed and {sum(cpu) * 1e3:.1f} ms "
            "of CPU time: its clock is wrong"
        )
    if case.device == "cpu" and case.framework != "jax" and sum(cpu) > (case.threads + MORE_CORES) * wall_s:
        yield f"{what} used {sum(cpu) / wall_s:.2f} cores, asked for {case.threads} threads"


def helped(case: Case, record: Record) -> Iterator[str]:
    """What other processes did for a case on the CPU while it was timed."""
    wall_s = sum(one.wall_s for one in record.seen)
    if case.device == "cpu" and record.helped_s > HELPED_S + HELPED_SHARE * wall_s:
        yield f"other processes that it started worked {record.helped_s:.2f} s while it was timed for {wall_s:.2f} s"
