"""What the witness's clock and the CPU time of a process say against the times that it reports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from bench.cases.case import Case
from bench.cases.measurement import Job
from bench.machine.witness import Record
from bench.timing.loops import Timed
from bench.timing.noise import by_cycle
from bench.verification.outside import granted_s
from bench.verification.shape import FEW_SAMPLES, LUMPY_BATCH, STRETCH_S

TOLD_SHARE = 0.9  # of a phase by the witness's clock that its iterations have to add up to
TOLD_LEAST_S = 0.02  # a phase that is shorter, or that had a core for less, shows nothing
# The same of a program on several threads: while its first waits for a core before or after the clock, two slices of a
# busy scheduler, its others count CPU time. Of 22.6 ms told 25.9 had passed beside three other processes
SEVERAL_LEAST_S = 0.08
COUNTED_LEAST_S = 0.003  # the same of samples alone, which the witness hears begin
MORE_CORES = 0.05  # CPU seconds a wall second above a case's threads
DECLARE = "declare ahead="
HELPED_SHARE, HELPED_S = 0.05, 0.05  # of CPU time in other processes, which Linux counts in hundredths of a second


def untrue(job: Job, timed: Timed, record: Record) -> Iterator[str]:
    """What the witness's own clock, and the CPU time of the process, say against the samples."""
    case = job.case
    if not record.watched:
        return
    for phase in _phases(job, timed, record):
        yield from phase.untold()
        yield from phase.crowded(case)
    wall_s, cpu_s = record.between_s
    if case.one_core and wall_s > TOLD_LEAST_S and cpu_s > (1 + MORE_CORES) * wall_s:
        yield f"used {cpu_s / wall_s:.2f} cores while the core's speed was read, asked for 1 thread"
    yield from helped(case, record)


def told(job: Job, timed: Timed, record: Record) -> float | None:
    """The least share of what passed, or of the CPU time if that is less, that the samples of a phase add up to."""
    shares = [
        phase.told_s / min(phase.wall_s, phase.cpu_s)
        for phase in _phases(job, timed, record)
        if record.watched and phase.cpu_s and all(cpu_s for _, cpu_s in phase.passed)
    ]
    return min(shares, default=None)


@dataclass(frozen=True, slots=True)
class Phase:
    """What the samples of a phase add up to, and the wall and CPU seconds of each of its stretches by the witness.

    `marked`: the witness heard them begin while the process ran, whose CPU time is then known to a tick of the
    scheduler, 1-10 ms: too coarse to count cores by. `least_s`: who is shorter shows nothing.
    """

    name: str
    told_s: float
    passed: Sequence[tuple[float, float | None]]
    marked: bool = False
    least_s: float = TOLD_LEAST_S

    @property
    def wall_s(self) -> float:
        """All that passed."""
        return sum(wall_s for wall_s, _ in self.passed)

    @property
    def cpu_s(self) -> float | None:
        """The CPU time in it; None where the system does not tell that of each stretch."""
        each = [cpu_s for _, cpu_s in self.passed if cpu_s is not None]
        return sum(each) if len(each) == len(self.passed) else None

    def _shows(self) -> bool:
        least_s = COUNTED_LEAST_S if self.marked else self.least_s
        return self.cpu_s is not None and min(self.wall_s, self.cpu_s) >= least_s

    def untold(self) -> Iterator[str]:
        """That the samples are too little of what passed."""
        if self._shows() and self.told_s < TOLD_SHARE * min(self.wall_s, self.cpu_s or 0.0):
            yield (
                f"{self.name} add up to {self.told_s * 1e3:.1f} ms, of {self.wall_s * 1e3:.1f} ms that passed and "
                f"{(self.cpu_s or 0.0) * 1e3:.1f} ms of CPU time: its clock is wrong"
            )

    def crowded(self, case: Case) -> Iterator[str]:
        """That more cores worked than a case on the CPU has threads."""
        if self.marked or not self._shows() or case.device != "cpu":
            return
        used = (self.cpu_s or 0.0) / self.wall_s
        if used > case.threads + MORE_CORES:
            yield f"{self.name} used {used:.2f} cores, asked for {case.threads} threads"


def _phases(job: Job, timed: Timed, record: Record) -> Iterator[Phase]:
    """Samples and batches, without the iterations before them where the witness heard them begin, and with them."""
    stretches, outside_s = timed.counts.stretches, granted_s(job, timed, record)
    for batches, phase in ((False, "alone"), (True, "in batches")):
        pairs = [(one, seen) for one, seen in zip(stretches, record.seen, strict=True) if one.batch is batches]
        samples = [one.elapsed_ns for one in timed.batches] if batches else timed.elapsed_ns
        untimed = [ns for ns, one in zip(timed.untimed_ns, stretches, strict=True) if one.batch is batches]
        told_s = sum(samples) / 1e9 + STRETCH_S * len(pairs) + sum(outside_s[one] for one, _ in pairs)
        counted = [seen.counted_s for one, seen in pairs if one.timed]
        if None not in counted:
            yield Phase(f"samples {phase}", told_s, [one for one in counted if one is not None], marked=True)
        told_s += sum(untimed) / 1e9
        yield Phase(f"iterations {phase}", told_s, [(seen.wall_s, seen.cpu_s) for _, seen in pairs])


def lumpy(job: Job, timed: Timed, record: Record) -> str | None:
    """Whether a batch takes far longer an iteration than samples do, by the clock and by CPU time where that counts.

    Not of several threads: one that waits for a core keeps the others at work, and that passes for a lump.
    """
    if job.case.threads > 1:
        return None
    middle_us = median(by_cycle(timed.elapsed_ns, job.style.period)) / 1e3
    each_us = [min(one.mean_us for one in timed.batches)]
    pairs = [(one, seen) for one, seen in zip(timed.counts.stretches, record.seen, strict=True) if one.batch]
    on_cpu = job.case.key.on_cpu
    # torch and cupy spin while they wait for a device, jax sleeps
    if job.case.framework != "jax" and all(seen.cpu_s is not None for _, seen in pairs):
        cpu_s = sum(seen.cpu_s or 0.0 for _, seen in pairs) - STRETCH_S * len(pairs)
        each_us.append(cpu_s * 1e6 / sum(one.count for one, _ in pairs))
    if len(timed.elapsed_ns) < FEW_SAMPLES or min(each_us) < LUMPY_BATCH * middle_us:
        return None
    return (
        f"an iteration takes {middle_us:.1f} us in the middle and {min(each_us):.1f} us in the mean of a batch: "
        f"several iterations at once: {'its work is not in the iteration that it belongs to' if on_cpu else DECLARE}"
    )


def helped(case: Case, record: Record) -> Iterator[str]:
    """What other processes did for a case on the CPU while it was timed, but for a compiler's before its first loss."""
    wall_s = sum(one.wall_s for one in record.seen)
    helped_s = record.helped_s - record.helped_first_s
    if case.device == "cpu" and helped_s > HELPED_S + HELPED_SHARE * wall_s:
        yield f"other processes that it started worked {helped_s:.2f} s while it was timed for {wall_s:.2f} s"
