"""Fakes and makers for the tests: a clock, an asynchronous device, styles, jobs, plans, measurements."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.cases.case import Case
from bench.cases.challenge import piece_lengths
from bench.cases.grid import Skip
from bench.cases.measurement import Found, Job, Measurement
from bench.cases.phases import Rule, Stretch
from bench.cases.plan import Plan
from bench.cases.problem import Problem, stable_learning_rate
from bench.machine.device import Device
from bench.machine.facts import Machine
from bench.timing.clock import Batch
from implementations import Implementation

TINY = (8, 5, 4, 3)
REASON = "no CUDA device (torch 2.13.0+cpu was built without CUDA)"
PROBE: Mapping[str, Any] = {
    "numpy_seconds": 0.1,
    "torch_seconds": 1.0,
    "probe_seconds": 1.0,
    "seconds": 1.2,
    "gflops": 10.0,
    "devices": {"cpu": {"model": "a processor"}},
    "missing": {"cuda": REASON, "mps": "no Metal device", "xpu": "no Intel GPU"},
}
CPU_ONLY = Machine(4, frozenset({"cpu"}), dict(PROBE["missing"]), {"cpu": 2**33})
WITH_CUDA = Machine(4, frozenset({"cpu", "cuda:0"}), {"mps": "no Metal device"}, {"cpu": 2**33, "cuda:0": 2**33})
BRIEF = Rule(
    warmup_iterations=3, warmup_s=0.0, accelerator_warmup_s=0.0, settle_iterations=2, latency_iterations=8,
    latency_s=0.0, latency_most=8, segment_iterations=4, segment_s=0.0, batch_iterations=4, batches_s=0.0, batches=1,
    parts_s=0.0,
)  # fmt: skip
"""A few iterations of everything, so that a whole measurement takes milliseconds."""


@dataclass(slots=True)
class FakeClock:
    """Nanoseconds that pass only when somebody says so."""

    ns: int = 0

    def __call__(self) -> int:
        return self.ns

    def pass_ns(self, ns: int) -> None:
        self.ns += ns


def fake_device(**changes: Any) -> Device:
    """A device that computes at once and is never waited for, on which a loss is a float."""
    plain = Device(
        name="cpu",
        model="fake",
        put=lambda array, dtype: array.astype(dtype),
        read=float,
        fetch=lambda array: array,
        describe=lambda value: (str(getattr(value, "dtype", "")), "cpu"),
        negate=lambda array, place: np.negative(array[place], out=array[place]),
    )
    return replace(plain, **changes)


@dataclass(slots=True)
class AsyncDevice:
    """Work is queued for a thread, which touches it only while `synchronize` or `read` waits for it.

    Starting work takes the host `launch_ns`, doing it takes the device what the work says; both move `clock`.
    """

    clock: FakeClock
    launch_ns: int = 1_000
    done: list[str] = field(default_factory=list)
    reads: int = 0
    waits: int = 0
    _queue: queue.Queue[tuple[str, int] | None] = field(default_factory=queue.Queue)
    _wanted: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _finished: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _queued: int = 0

    def work(self) -> None:
        """The thread's body: one piece of work each time somebody wants one, until None."""
        while True:
            self._wanted.acquire()
            piece = self._queue.get()
            if piece is None:
                return
            self.clock.pass_ns(piece[1])
            self.done.append(piece[0])
            self._finished.release()

    def launch(self, name: str, ns: int) -> int:
        """Queue a piece of work and return at once; the number of pieces queued so far."""
        self.clock.pass_ns(self.launch_ns)
        self._queue.put((name, ns))
        self._queued += 1
        return self._queued

    def wait_for(self, pieces: int) -> None:
        """Until the first `pieces` of all that was ever queued are done."""
        while len(self.done) < pieces:
            self._wanted.release()
            self._finished.acquire()

    def synchronize(self) -> None:
        self.waits += 1
        self.wait_for(self._queued)

    def read(self, pieces: int) -> float:
        """A loss is the number of pieces queued up to it; what was queued after it may still be undone."""
        self.reads += 1
        self.wait_for(pieces)
        return float(pieces)

    def stop(self) -> None:
        self._queue.put(None)
        self._wanted.release(self._queued + 1)

    def device(self) -> Device:
        return fake_device(read=self.read, synchronize=self.synchronize)

    def loop(self, forward_ns: int, backward_ns: int, steps: int = 10**6) -> Iterator[int]:
        """A training loop: forward to the loss, then backward and update, all of it queued."""
        for _ in range(steps):
            loss = self.launch("forward", forward_ns)
            self.launch("backward", backward_ns)
            yield loss


def a_problem(size: tuple[int, int, int, int] = TINY, dtype: str = "float64", oracle: str = "sgd") -> Problem:
    return Problem(*size, dtype=dtype, learning_rate=stable_learning_rate(size, oracle))


def a_case(style: str = "numpy_manual", device: str = "cpu", **changes: Any) -> Case:
    """A tiny case in float64 on one thread; `size` and `dtype` go to its problem."""
    size, dtype = changes.pop("size", TINY), changes.pop("dtype", "float64")
    problem = a_problem(size, dtype, changes.get("oracle", "sgd"))
    return Case(style, device, problem, **{"framework": "numpy", **changes})


def a_job(style: Implementation, rule: Rule = BRIEF, **changes: Any) -> Job:
    given = {"framework": style.framework, "oracle": style.oracle, "ahead": style.ahead, **changes}
    case = a_case(style.name, **given)
    return Job(case, style, rule)


def a_style(name: str = "numpy_manual") -> Implementation:
    return Implementation(name, "numpy", ("cpu",), "a style", Path(f"{name}.py"))


def a_batch(case: Case, stretch: Stretch, seed: int, each_ns: float, alone: float = 1.0) -> Batch:
    """A batch of iterations that take `each_ns`, launches that are timed alone in it so many times as long."""
    lengths = piece_lengths(case, stretch, seed)
    pieces_ns = tuple(int(length * each_ns * (alone if length == case.ahead else 1.0)) for length in lengths)
    return Batch(sum(pieces_ns), stretch.timed, None, pieces_ns=pieces_ns)


def a_plan(cases: Sequence[Case], **changes: Any) -> Plan:
    """Three blocks of `cases`, nothing skipped."""
    blocks = changes.pop("blocks", 3)
    skips: tuple[Skip, ...] = changes.pop("skips", ())
    counts = changes.pop("case_blocks", (blocks,) * len(cases))
    whole = Plan(
        preset="quick",
        cases=dict(zip(cases, counts, strict=True)),
        blocks=blocks,
        styles={case.style: a_style(case.style) for case in cases},
        skips=skips,
        rule=BRIEF,
    )
    return replace(whole, **changes)


def an_answer(latency_us: float = 100.0, *, noisy: bool = False, **values: Any) -> Found:
    """What a worker answers when all went well."""
    return Found(
        status="ok",
        reason="halves differ by 9.9%" if noisy else "",
        noisy=noisy,
        values={"latency_median_us": latency_us, "throughput_us": latency_us * 0.9, "iterations": 2, **values},
        first_us=5 * latency_us,
        warmup_us=[latency_us],
        timed_us=[latency_us, latency_us],
    )


def a_measurement(case: Case, block: int = 0, latency_us: float = 100.0, **changes: Any) -> Measurement:
    """A quiet `ok` row unless `changes` say otherwise."""
    values = changes.pop("values", {"latency_median_us": latency_us, "throughput_us": latency_us * 0.9})
    whole = Measurement(
        case, block, 0, "ok", values=values, first_us=5 * latency_us, timed_us=(latency_us, latency_us + 1)
    )
    return replace(whole, **changes)


def found_at_last(job: Job) -> Found:
    """What is found once nothing asks for another try, as it may on a core that others want; at most five."""
    from bench.worker.measure import examine

    for _ in range(5):
        if not (found := examine(job)).again:
            break
    return found
