"""The verdict on one whole program, from its times and what the witness saw; the process that judges loads no style."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import median

from bench.cases.challenge import Flip, program_flips
from bench.cases.measurement import Found, Job
from bench.cases.problem import TUTORIAL_ITERATIONS
from bench.machine.process import Answer
from bench.machine.witness import Record, Seen
from bench.plain import ShapeError, from_plain
from bench.timing.loops import ProgramTimes
from bench.verification.clocks import SEVERAL_LEAST_S, TOLD_LEAST_S, Phase, helped
from bench.verification.judge import strays
from bench.verification.memory import Places, after_flip, over_pause
from bench.verification.outside import flip_s
from bench.verification.shape import IMPOSSIBLE, KEEPS, PAUSED, STRETCH_S

PACE = 0.5  # of its timed run's pace, that a program's iterations may seem to be faster


def judge_program(job: Job, found: Found, program: Answer, record: Record) -> Found:
    """What a worker `found`, and what the whole program took; where that is unknown, why: the latency stands.

    `wrong` as a whole where the program did not train.
    """
    times = _times_of(program, record)
    if isinstance(times, str):
        return replace(found, reason=f"as a whole program: {times}")
    if record.watched and (why := next(_no_program(job, found, times, record), None)):
        return Found("wrong", f"as a whole program: {why}", again=True)
    return replace(found, values={**found.values, "loop_seconds": times.seconds, "program_seconds": program.seconds})


def _times_of(program: Answer, record: Record) -> ProgramTimes | str:
    """What a program timed, or why that is not known."""
    if program.status is not None:
        return f"{program.status}: {program.reason}"
    try:
        times = from_plain(ProgramTimes, program.value)
    except ShapeError as error:
        return f"crashed: its times are not what a program says: {error}"
    if min(times.elapsed_ns, default=0) <= 0 or not times.flipping_seconds >= 0:
        return "crashed: a time that none is"
    if sum(times.elapsed_ns) > times.seconds * 1e9:
        return "crashed: its iterations take longer than all of it"
    if not 0 < times.seconds < program.seconds:
        return f"crashed: it answered {times.seconds:g} s"
    if record.watched and (
        record.fault or [(one.first, one.count) for one in record.seen] != [(0, TUTORIAL_ITERATIONS)]
    ):
        return f"crashed: {record.fault or 'it said too little'}"
    return times


def _no_program(job: Job, found: Found, times: ProgramTimes, record: Record) -> Iterator[str]:
    """What no whole program does that trains."""
    case, steps, (seen,) = job.case, TUTORIAL_ITERATIONS, record.seen
    flips = program_flips(case, steps, seen.seed)
    why, _checked = strays(case, steps, record, dict(enumerate(seen.losses or ())), flips)
    if why is not None:
        yield why
    if len(times.elapsed_ns) != steps:
        yield f"{len(times.elapsed_ns)} times of {steps} iterations"
    elif 2 * job.style.period < steps:
        yield from remembered(job, times, flips)
    usual_s = median(times.elapsed_ns or (0,)) / 1e9
    flipping_s = min(times.flipping_seconds, flip_s(case, usual_s) * sum(flip.times for flip in flips))
    passed, least_s = [(seen.wall_s, seen.cpu_s)], TOLD_LEAST_S if case.threads == 1 else SEVERAL_LEAST_S
    phase = Phase(f"{steps} iterations", times.seconds + STRETCH_S + flipping_s, passed, least_s=least_s)
    yield from phase.untold()
    yield from phase.crowded(case)
    yield from helped(case, record)
    if job.style.compiled and case.threads == 1:  # several wait for each other: beside other work a timed run took 50x
        yield from done_early(found, seen)


def remembered(job: Job, times: ProgramTimes, drawn: Sequence[Flip]) -> Iterator[str]:
    """What no whole program does whose iterations do their own work; its first cycle, which is cold, says nothing."""
    cycle = job.style.period
    places = Places.of({step: times.elapsed_ns[step] for step in range(cycle, len(times.elapsed_ns))}, cycle)
    if job.case.one_core:
        found, most, how = after_flip(places, {flip.step for flip in drawn}), IMPOSSIBLE.remembers, KEEPS
    else:
        found, most, how = over_pause(places, drawn), IMPOSSIBLE.over_pause, PAUSED
    if found is not None and found >= most:
        yield f"an iteration takes {found:.2f} times {how}"


def done_early(found: Found, seen: Seen) -> Iterator[str]:
    """That a program was faster after its first loss than its fastest iterations: then helpers worked before it.

    The fastest, since the timed run may have had less of its cores than the program.
    """
    each_us, counted = found.values.get("latency_min_us"), seen.counted_s
    least_s = PACE * (TUTORIAL_ITERATIONS - 1) * float(each_us or 0.0) / 1e6
    if counted is not None and counted[0] < least_s:
        yield (
            f"{TUTORIAL_ITERATIONS - 1} iterations after the first loss took {counted[0] * 1e3:.1f} ms, which take at "
            f"least {least_s * 1e3:.1f} ms as fast as the fastest of its timed run: work was done before it"
        )
