"""The only timing loops: one host clock for every device, which waits for the device before each reading."""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any

from bench.cases.phases import Rule
from bench.machine.device import Device

Loop = Generator[Any, None, Any]
Now = Callable[[], int]


def _nothing() -> None:
    return None


class TooManyStepsError(RuntimeError):
    """A loop that does not end when its steps are used up."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Nanoseconds and loss of each iteration, in order; the device was idle at both ends of each."""

    elapsed_ns: list[int]
    losses: list[float]


@dataclass(frozen=True, slots=True)
class Batch:
    """Nanoseconds of `iterations` in a row with one wait at each end; event time in us where the device has it.

    `enqueued_ns` passed before the last of them returned: all of it where nothing is waited for. `pieces_ns` are
    those of `time_batch_pieces`, empty of a batch without.
    """

    elapsed_ns: int
    iterations: int
    event_us: float | None
    enqueued_ns: int = 0
    pieces_ns: tuple[int, ...] = ()

    @property
    def mean_us(self) -> float:
        """Mean host time of an iteration, in us: the throughput's inverse."""
        return self.elapsed_ns / self.iterations / 1e3


def warm_up(
    loop: Loop,
    device: Device,
    rule: Rule,
    now: Now = perf_counter_ns,
    first_done: Callable[[], None] = _nothing,
    ahead: int = 1,
) -> Latency:
    """Run `loop` until `rule` calls it warm, each iteration timed; the first is the cold call, then `first_done`.

    `ahead` iterations are started at once, so it begins and goes on by so many.
    Until there were `warmup_iterations` and `warmup_s` (`accelerator_warmup_s` on a device that is waited
    for), or `warmup_limit_s` with `warmup_floor` iterations. The cold call counts towards neither.
    """
    enough_s = rule.warmup_s if device.synchronize is None else rule.accelerator_warmup_s
    first = time_latency(loop, device, ahead, now)
    elapsed, losses = first.elapsed_ns, first.losses
    first_done()
    start = now()
    for done in range(ahead, 10**9, ahead):
        one = time_latency(loop, device, ahead, now)
        elapsed += one.elapsed_ns
        losses += one.losses
        spent_s = (now() - start) / 1e9
        if done >= rule.warmup_iterations and spent_s >= enough_s:
            break
        if done >= rule.warmup_floor and spent_s >= rule.warmup_limit_s:
            break
    return Latency(elapsed, losses)


def time_latency(loop: Loop, device: Device, iterations: int, now: Now = perf_counter_ns) -> Latency:
    """Time each of `iterations` alone: wait, clock, one iteration, its loss read on the host, wait, clock."""
    read, wait = device.read, device.synchronize
    elapsed, losses = [0] * iterations, [0.0] * iterations
    if wait is None:
        for i in range(iterations):
            start = now()
            loss = read(next(loop))
            elapsed[i] = now() - start
            losses[i] = loss
        return Latency(elapsed, losses)
    for i in range(iterations):
        wait()
        start = now()
        loss = read(next(loop))
        wait()
        elapsed[i] = now() - start
        losses[i] = loss
    return Latency(elapsed, losses)


def time_pieces(loop: Loop, device: Device, pieces: Iterable[int], now: Now = perf_counter_ns) -> Latency:
    """`time_latency` of several pieces in a row; what `pieces` does before it gives the next is outside the clock."""
    found = [time_latency(loop, device, iterations, now) for iterations in pieces]
    return Latency([ns for one in found for ns in one.elapsed_ns], [loss for one in found for loss in one.losses])


def time_batch(loop: Loop, device: Device, iterations: int, now: Now = perf_counter_ns) -> tuple[Batch, Any]:
    """Time `iterations` in a row, no loss read; and the last loss as the style yielded it."""
    wait = device.synchronize or _nothing
    stop = None
    wait()
    start = now()
    if device.stopwatch is not None:
        stop = device.stopwatch()
    for _ in range(iterations):
        loss = next(loop)
    enqueued_ns = now() - start
    event_us = stop() / iterations if stop is not None else None
    wait()
    elapsed_ns = now() - start
    return Batch(elapsed_ns, iterations, event_us, enqueued_ns), loss


def time_batch_pieces(
    loop: Loop, device: Device, pieces: Iterable[int], now: Now = perf_counter_ns
) -> tuple[Batch, Any]:
    """`time_batch` of several pieces as one batch; what `pieces` does before it gives the next is outside the clock."""
    found = [time_batch(loop, device, iterations, now) for iterations in pieces]
    count = sum(one.iterations for one, _ in found)
    events = [one.event_us * one.iterations for one, _ in found if one.event_us is not None]
    event_us = sum(events) / count if events else None
    enqueued_ns = sum(one.enqueued_ns for one, _ in found)
    pieces_ns = tuple(one.elapsed_ns for one, _ in found)
    return Batch(sum(pieces_ns), count, event_us, enqueued_ns, pieces_ns), found[-1][1]


def finish(loop: Loop) -> Any:
    """What the loop returns once its steps are used up. Raises TooManyStepsError when it goes on."""
    try:
        next(loop)
    except StopIteration as end:
        return end.value
    loop.close()
    raise TooManyStepsError("yielded more losses than it was given steps")


def time_call(call: Callable[[], Any], device: Device, now: Now = perf_counter_ns) -> tuple[float, Any]:
    """Seconds that one call takes, with a wait at each end, and its result."""
    wait = device.synchronize or _nothing
    wait()
    start = now()
    result = call()
    wait()
    return (now() - start) / 1e9, result


def synchronize_floor_us(device: Device, rounds: int = 200, now: Now = perf_counter_ns) -> float | None:
    """Median us of waiting for a device that has nothing to do; None where nothing is waited for."""
    if device.synchronize is None:
        return None
    samples = sorted(time_call(_nothing, device, now)[0] for _ in range(rounds))
    return samples[rounds // 2] * 1e6


@contextmanager
def without_gc() -> Iterator[None]:
    """No garbage collection inside: it would land in somebody's sample."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
