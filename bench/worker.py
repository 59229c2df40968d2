"""One measurement in one fresh process: a job comes in as JSON on stdin, what was found goes out on stdout."""

from __future__ import annotations

import json
import os
import sys
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from bench import clock
from bench.case import Case
from bench.counters import Counters, die_with_parent, threads_in_use
from bench.device import Device, device_kind, open_device
from bench.measurement import Value
from bench.noise import Sampled, by_cycle, disturbance
from bench.problem import (
    TUTORIAL_LEARNING_RATE,
    TUTORIAL_SIZE,
    Problem,
    stable_learning_rate,
    work_flops,
)
from implementations import Implementation, Train

if TYPE_CHECKING:
    from bench import oracle

ENDLESS = 10**9
KEPT_WARMUP = 100  # rows of the warm-up that go into the table


class WrongStyleError(Exception):
    """A style that is not the training run it should be; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker is told: the case, its style, and how long to time."""

    case: Case
    style: Implementation
    rule: clock.Rule

    def dump(self) -> str:
        """As JSON."""
        return json.dumps({**asdict(self), "style": {**asdict(self.style), "source": str(self.style.source)}})

    @classmethod
    def load(cls, text: str) -> Job:
        """From what `dump` wrote."""
        raw = json.loads(text)
        problem = Problem(**raw["case"].pop("problem"))
        style = raw["style"]
        style.update(source=Path(style["source"]), devices=tuple(style["devices"]), imports=tuple(style["imports"]))
        return cls(Case(problem=problem, **raw["case"]), Implementation(**style), clock.Rule(**raw["rule"]))


@dataclass(frozen=True, slots=True)
class Timed:
    """The timed loop: its phases, and the losses and weights that prove what it did."""

    counts: clock.Counts
    latency: clock.Latency
    batches: tuple[clock.Batch, ...]
    trained: oracle.Trained
    counters: Counters


def main() -> None:
    """Read a job, measure, print one line of JSON; whatever a style prints goes to stderr."""
    die_with_parent()
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    job = Job.load(sys.stdin.read())
    answer.write(json.dumps(examine(job)) + "\n")
    answer.close()
    # skip the interpreter's tear-down: a GPU context takes its time and nothing is left to save
    os._exit(0)


def examine(job: Job) -> dict[str, Any]:
    """Measure and check; a failure becomes a status and a reason, never an exception."""
    try:
        return measure(job)
    except WrongStyleError as error:
        return {"status": "wrong", "reason": str(error)}
    except MemoryError as error:
        return {"status": "oom", "reason": f"out of memory: {error}".rstrip(": ")}
    except Exception as error:  # a style may raise anything, and that is a row
        status = "oom" if "out of memory" in str(error).lower() else "failed"
        return {"status": status, "reason": describe_error(error)}


def measure(job: Job) -> dict[str, Any]:
    """Everything about one case, in the order that keeps the first iteration cold; see MEASURING in the README."""
    case, problem = job.case, job.case.problem
    start = perf_counter()
    train = job.style.train
    device = open_device(case.framework, case.device, case.precision)
    import_seconds = perf_counter() - start
    arrays = problem.arrays()
    with clock.without_gc():
        transfer_seconds, inputs = clock.time_call(lambda: [device.put(a, problem.dtype) for a in arrays], device)
        cold = train(*inputs, problem.learning_rate, ENDLESS)
        warm = clock.warm_up(cold, device, job.rule)
        cold.close()
        del cold, inputs
        recent = warm.elapsed_ns[1:][-50:]
        counts = clock.plan_counts(job.rule, median(recent))
        timed = run_timed(job, train, device, arrays, counts)
        floor_us = clock.synchronize_floor_us(device)
    blas = threads_in_use(case)
    rehearse(case, train, device)
    checked = check_timed(case, arrays, timed)
    values: dict[str, Value] = {
        "device_model": device.model,
        "blas": blas,
        "import_seconds": import_seconds,
        "transfer_seconds": transfer_seconds,
        "setup_seconds": import_seconds + transfer_seconds,
        "first_iteration_seconds": warm.elapsed_ns[0] / 1e9,
        "warmup_iterations": len(warm.elapsed_ns) - 1,
        "synchronize_floor_us": floor_us,
        "checked_iterations": checked,
        "peak_device_bytes": device.peak_bytes() if device.peak_bytes else None,
        **reduce_timed(job, timed),
    }
    noise = disturbance(_sampled(job, timed))
    return {
        "status": "ok",
        "reason": noise or "",
        "noisy": noise is not None,
        "values": values,
        "first_us": warm.elapsed_ns[0] / 1e3,
        "warmup_us": [ns / 1e3 for ns in warm.elapsed_ns[1 : 1 + KEPT_WARMUP]],
        "timed_us": [ns / 1e3 for ns in timed.latency.elapsed_ns],
    }


def run_timed(job: Job, train: Train, device: Device, arrays: Any, counts: clock.Counts) -> Timed:
    """A second, warm loop from the same start, whose length is fixed before it begins and which runs to its end."""
    problem = job.case.problem
    loop = train(*[device.put(a, problem.dtype) for a in arrays], problem.learning_rate, counts.steps)
    try:
        settle = clock.time_latency(loop, device, counts.settle)
        before = Counters.read()
        latency = clock.time_latency(loop, device, counts.latency)
        counters = Counters.read() - before
        timed = [clock.time_batch(loop, device, counts.batch) for _ in range(counts.batches)]
        weights = clock.finish(loop)
    except StopIteration:
        raise WrongStyleError(f"stopped before its {counts.steps} steps") from None
    except ValueError as error:
        raise WrongStyleError(str(error)) from None
    last = timed[-1][1]
    check_kind(job.case, device, last, "yielded a loss")
    losses = dict(enumerate([*settle.losses, *latency.losses]))
    losses[counts.steps - 1] = device.read(last)
    return Timed(
        counts, latency, tuple(batch for batch, _ in timed), as_trained(job.case, device, losses, weights), counters
    )


def rehearse(case: Case, train: Train, device: Device) -> None:
    """Follow the oracle for 50 iterations of the tutorial's size at its learning rate. Raises WrongStyleError."""
    from bench import oracle

    rate = TUTORIAL_LEARNING_RATE if case.oracle == "sgd" else stable_learning_rate(TUTORIAL_SIZE, case.oracle)
    problem = Problem(*TUTORIAL_SIZE, case.problem.dtype, rate, case.problem.seed)
    arrays = problem.arrays()
    steps = oracle.REHEARSAL_STEPS
    loop = train(*[device.put(a, problem.dtype) for a in arrays], rate, steps)
    losses = {}
    try:
        for t in range(steps):
            loss = next(loop)
            check_kind(case, device, loss, "yielded a loss")
            losses[t] = device.read(loss)
        weights = clock.finish(loop)
    except StopIteration:
        raise WrongStyleError(f"stopped before its {steps} steps") from None
    except ValueError as error:
        raise WrongStyleError(str(error)) from None
    trained = as_trained(case, device, losses, weights)
    expected = oracle.reference(case.oracle, arrays, rate, steps)
    reason = oracle.disagreement(trained, expected, tolerance(case))
    if reason:
        raise WrongStyleError(reason)


def check_timed(case: Case, arrays: Any, timed: Timed) -> int:
    """Compare the timed run with the oracle as far as that is affordable; the number of iterations compared."""
    from bench import oracle

    steps = timed.counts.steps
    checked = oracle.affordable_steps(work_flops(case.problem, case.oracle), steps)
    expected = oracle.reference(case.oracle, arrays, case.problem.learning_rate, checked)
    if checked == steps:
        reason = oracle.disagreement(timed.trained, expected, tolerance(case), end=True)
    else:
        reason = oracle.first_losses_disagreement(timed.trained.losses, expected.losses, tolerance(case))
    final = timed.trained.losses[steps - 1]
    if reason or not abs(final) < float("inf"):
        raise WrongStyleError(f"in the timed run: {reason or f'loss became {final}'}")
    return checked


def check_kind(case: Case, device: Device, value: Any, did: str) -> None:
    """Raises WrongStyleError unless an array or loss has the case's dtype and is on the case's device."""
    dtype, place = device.describe(value)
    if dtype not in (case.problem.dtype, ""):
        raise WrongStyleError(f"{did} of dtype {dtype}, expected {case.problem.dtype}")
    if place != case.device:
        raise WrongStyleError(f"{did} on {place}, expected on {case.device}")
    if getattr(value, "requires_grad", False):
        raise WrongStyleError(f"{did} that still requires grad: yield loss.detach()")


def as_trained(case: Case, device: Device, losses: dict[int, float], weights: Any) -> oracle.Trained:
    """What the style did, on the host in float64. Raises WrongStyleError for weights of another kind."""
    from bench import oracle

    if not isinstance(weights, tuple | list) or not weights:
        raise WrongStyleError("returned no weights: end with `return w1, w2`")
    for weight in weights:
        if not hasattr(weight, "shape"):
            raise WrongStyleError(f"returned a {type(weight).__name__} among its weights, expected arrays")
        check_kind(case, device, weight, "returned weights")
    return oracle.Trained(losses, tuple(device.fetch(weight) for weight in weights))


def tolerance(case: Case) -> oracle.Tolerance:
    """How far this case's dtype and precision may stray."""
    from bench import oracle

    return oracle.TOLERANCES[case.problem.dtype, case.precision]


def reduce_timed(job: Job, timed: Timed) -> dict[str, Value]:
    """The columns that the timed loop fills; of a style with a cycle, statistics are over whole cycles' means."""
    cycles = by_cycle([ns / 1e3 for ns in timed.latency.elapsed_ns], job.style.cycle)
    ordered = sorted(cycles)
    batch = sorted(timed.batches, key=lambda one: one.elapsed_ns)[len(timed.batches) // 2]
    counters = timed.counters
    problem = job.case.problem
    return {
        "iterations": timed.counts.latency,
        "latency_median_us": median(ordered),
        "latency_mean_us": fmean(ordered),
        "latency_min_us": ordered[0],
        "latency_p95_us": ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))],
        "batch_iterations": timed.counts.batch,
        "throughput_us": batch.mean_us,
        "event_us": batch.event_us,
        "flops": work_flops(problem, job.case.oracle),
        "bytes_moved": problem.bytes_moved,
        "minor_faults_per_iteration": counters.per_iteration_faults(timed.counts.latency),
        "involuntary_switches": counters.involuntary_switches,
        "cpu_utilisation": counters.cpu_utilisation,
        "peak_rss_bytes": counters.peak_rss_bytes,
        "final_loss": timed.trained.losses[timed.counts.steps - 1],
    }


def _sampled(job: Job, timed: Timed) -> Sampled:
    cycles = by_cycle([ns / 1e3 for ns in timed.latency.elapsed_ns], job.style.cycle)
    on_cpu = device_kind(job.case.device) == "cpu"
    return Sampled(cycles, on_cpu, job.case.threads, timed.counters.cpu_utilisation)


def describe_error(error: Exception) -> str:
    """One line: the type, the message, and the place in the style's file where it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    message = " ".join(str(error).split()) or "no message"
    return f"{type(error).__name__}: {message[:300]}{place}"


if __name__ == "__main__":
    main()
