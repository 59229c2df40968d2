"""One training step of a network of one's own in one fresh process: built, timed, counted, held against float64."""

from __future__ import annotations

import copy
import math
import types
from collections.abc import Callable, Generator
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import nn

from bench.advice.asked import Counted, StepFound, StepJob
from bench.advice.counts import count_step
from bench.cases.phases import plan_counts
from bench.machine.frameworks import open_device
from bench.machine.process import answer, one_line
from bench.plain import from_plain, to_plain
from bench.worker import clock
from bench.worker.noise import Sampled, disturbance
from implementations import import_network

LEARNING_RATE = 1e-6  # does not change the time, and no loss runs away
CHECKED = 3  # steps that float64 repeats
STRAYS = 1e-3  # relative; rounding alone moved no loss of the tutorial's networks by 1e-5

Made = tuple[nn.Module, tuple[Any, ...], Callable[[Any], Any]]


class BadNetworkError(Exception):
    """A network that is not what the file promises; the message is the reason."""


def main() -> None:
    """Read a job, measure, print one line of JSON."""
    answer(lambda raw: to_plain(examine(from_plain(StepJob, raw))))


def examine(job: StepJob) -> StepFound:
    """Measure and check; a failure becomes a status and a reason, never an exception."""
    try:
        return measure_step(job)
    except BadNetworkError as error:
        return StepFound("failed", str(error))
    except MemoryError:
        return StepFound("oom", "out of memory")
    except Exception as error:  # a network may raise anything, and that is a row
        words = one_line(f"{type(error).__name__}: {' '.join(str(error).split())}")
        return StepFound("oom" if "memory" in words.lower() else "failed", words)


def measure_step(job: StepJob) -> StepFound:
    """Cold and warm, timed with each loss read and in batches, then checked and counted. Raises BadNetworkError."""
    device = open_device("torch", "cpu")
    model, inputs, loss_of = build(job)
    checked = gate(model, inputs, loss_of)
    if checked.startswith("strays"):
        return StepFound("wrong", checked)
    loop = steps(model, inputs, loss_of)
    with clock.without_gc():
        warm = clock.warm_up(loop, device, job.rule)
        _finite(warm.losses)
        counts = plan_counts(job.rule, median(warm.elapsed_ns[1:][-50:]))
        timed = clock.time_latency(loop, device, counts.latency)
        batches = sorted(clock.time_batch(loop, device, counts.batch)[0].mean_us for _ in range(counts.batches))
    _finite(timed.losses)
    cycles = [ns / 1e3 for ns in timed.elapsed_ns]
    throughput_us = batches[len(batches) // 2]
    noise = disturbance(Sampled(cycles, on_cpu=True, threads=job.threads, cpu_utilisation=None, batch_us=throughput_us))
    return StepFound(
        "ok",
        latency_us=median(cycles),
        throughput_us=throughput_us,
        noise=noise or "",
        checked=checked,
        parameters=sum(one.numel() for one in model.parameters()),
        counted=count(job) if job.count else None,
    )


def count(job: StepJob) -> Counted:
    """What a warm step does whose update is one launch a kind, as torch.optim has it on a GPU."""
    model, inputs, loss_of = build(job)
    loop = steps(model, inputs, loss_of, foreach=True)
    next(loop)
    return count_step(lambda: next(loop), model, inputs)


def build(job: StepJob) -> Made:
    """What the file's function makes for the batch, checked. Raises BadNetworkError."""
    torch.manual_seed(job.seed)
    made = import_network(Path(job.path), job.function)(job.batch)
    if not isinstance(made, tuple) or len(made) != 3:
        raise BadNetworkError(f"{job.function} returned no tuple of three: model, inputs, loss")
    model, inputs, loss_of = made
    if not isinstance(model, nn.Module):
        raise BadNetworkError(f"{job.function} returned a {type(model).__name__} as its model, expected a nn.Module")
    inputs = tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,)
    if not any(isinstance(one, torch.Tensor) for one in inputs) or not callable(loss_of):
        raise BadNetworkError(f"{job.function} must return a tuple of tensors as inputs, and a function as loss")
    if not any(one.requires_grad for one in model.parameters()):
        raise BadNetworkError("the model has no parameter to train")
    model.train()
    loss = loss_of(model(*inputs))
    if not isinstance(loss, torch.Tensor) or loss.numel() != 1 or not loss.requires_grad:
        raise BadNetworkError("the loss is no single number that depends on the parameters")
    return model, inputs, loss_of


def steps(
    model: nn.Module, inputs: tuple[Any, ...], loss_of: Callable[[Any], Any], *, foreach: bool | None = None
) -> Generator[Any, None, None]:
    """A loop that trains, as a style is one: it yields its loss once a step."""
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, foreach=foreach)
    while True:
        optimizer.zero_grad()
        loss = loss_of(model(*inputs))
        loss.backward()
        optimizer.step()
        yield loss.detach().reshape(())


def gate(model: nn.Module, inputs: tuple[Any, ...], loss_of: Callable[[Any], Any]) -> str:
    """`strays ...` if the first losses are not those of the same network in float64; else how far it was checked."""
    single = _without_dropout(model)
    double = copy.deepcopy(single).double()
    try:
        exact = steps(double, tuple(map(_double, inputs)), _in_double(loss_of))
        losses = [[float(next(loop)) for _ in range(CHECKED)] for loop in (steps(single, inputs, loss_of), exact)]
    except RuntimeError as error:
        return f"not checked: in float64 {one_line(str(error))}"
    for step, (mine, right) in enumerate(zip(*losses, strict=True)):
        if not abs(mine - right) <= STRAYS * abs(right):
            return f"strays from float64: loss {mine:.6g} instead of {right:.6g} in step {step + 1}"
    return f"the losses of {CHECKED} steps are those of float64"


def _without_dropout(model: nn.Module) -> nn.Module:
    """A copy that drops nothing: what is dropped depends on the dtype."""
    calm = copy.deepcopy(model)
    for one in calm.modules():
        if isinstance(one, nn.modules.dropout._DropoutNd):
            one.p = 0.0
        elif isinstance(one, nn.RNNBase | nn.MultiheadAttention):
            one.dropout = 0.0
    return calm


def _double(value: Any) -> Any:
    return value.double() if isinstance(value, torch.Tensor) and value.is_floating_point() else value


def _in_double(loss_of: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The same function with the tensors that it holds, such as its targets, in float64."""
    if not isinstance(loss_of, types.FunctionType) or not loss_of.__closure__:
        return loss_of
    cells = tuple(types.CellType(_double(cell.cell_contents)) for cell in loss_of.__closure__)
    return types.FunctionType(loss_of.__code__, loss_of.__globals__, loss_of.__name__, loss_of.__defaults__, cells)


def _finite(losses: list[float]) -> None:
    for at, loss in enumerate(losses):
        if not math.isfinite(loss):
            raise BadNetworkError(f"the loss is {loss} in step {at + 1}")


if __name__ == "__main__":
    main()
