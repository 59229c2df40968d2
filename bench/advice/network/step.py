"""One training step of a network of one's own in one fresh process: built, timed, counted, held against float64."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch
from torch import nn

from bench.advice.network import memory
from bench.advice.network.asked import Counted, StepFound, StepJob
from bench.advice.network.counts import count_step
from bench.advice.network.gate import Network, gate, gate_of_loss, steps
from bench.advice.network.moved import holding
from bench.cases.phases import plan_counts
from bench.machine.device import Device
from bench.machine.frameworks import open_device, wait_for
from bench.machine.process import answer, one_line
from bench.plain import from_plain, to_plain
from bench.timing import clock
from bench.timing.noise import Sampled, disturbance
from implementations import import_network


class BadNetworkError(Exception):
    """A network that is not what the file promises; the message is the reason."""


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
    began = perf_counter()
    device = open_device("torch", job.on.device)
    wait_for(device)
    made = build(job, device.name)
    loop = steps(*made)
    first = clock.time_latency(loop, device, 1)
    start_s = perf_counter() - began
    look = build(job, device.name, **job.check) if job.check else made
    checked = gate(*look)
    if job.on.precision != "ieee" and not checked.startswith("strays"):
        device = open_device("torch", job.on.device, job.on.precision)
        checked = f"float32: {checked}; {job.on.arithmetic}: {gate_of_loss(*look)}"
    if "strays" in checked:
        return StepFound("wrong", checked)
    model, inputs, _ = made
    with clock.without_gc():
        warm = clock.warm_up(loop, device, job.rule)
        forward_us, backward_us = time_passes(model, inputs, job, device) if job.passes else ((), ())
        _finite(first.losses + warm.losses)
        counts = plan_counts(job.rule, median(warm.elapsed_ns[1:][-50:]))
        timed = clock.time_latency(loop, device, counts.latency)
        batches = sorted(clock.time_batch(loop, device, counts.batch)[0].mean_us for _ in range(counts.batches))
    _finite(timed.losses)
    cycles = [ns / 1e3 for ns in timed.elapsed_ns]
    throughput_us = batches[len(batches) // 2]
    noise = disturbance(
        Sampled(cycles, on_cpu=job.on.on_cpu, threads=job.on.threads, cpu_utilisation=None, batch_us=throughput_us)
    )
    parameters = sum(one.numel() for one in model.parameters())
    return StepFound(
        "ok", latency_us=median(cycles), throughput_us=throughput_us, noise=noise or "", checked=checked,
        parameters=parameters, counted=count(job) if job.count else None, forward_us=forward_us,
        backward_us=backward_us, start_s=start_s,
    )  # fmt: skip


def time_passes(
    model: nn.Module, inputs: tuple[Any, ...], job: StepJob, device: Device
) -> tuple[list[float], list[float]]:
    """Forward and backward us of each pass as cnn-benchmarks times them; the first pass is discarded.

    A random gradient goes in behind; there is no loss, no update, and gradients add up. Of the passes asked for, only
    as many as the rule's limit holds.
    """
    first = _pass(model, inputs, device)
    count = max(job.rule.floor_iterations, min(job.passes, int(job.rule.limit_s * 1e6 / sum(first))))
    timed = [_pass(model, inputs, device) for _ in range(count)]
    return [forward for forward, _ in timed], [backward for _, backward in timed]


def _pass(model: nn.Module, inputs: tuple[Any, ...], device: Device) -> tuple[float, float]:
    forward_s, out = clock.time_call(lambda: model(*inputs), device)
    backward_s, _ = clock.time_call(partial(out.backward, torch.randn_like(out)), device)
    return forward_s * 1e6, backward_s * 1e6


def count(job: StepJob, device: str = "cpu", *, foreach: bool = True) -> Counted:
    """What a warm step does, its update one launch a kind, as torch.optim has it on a GPU, or without `foreach` many.

    On the device "meta" nothing is computed.
    """
    with torch.device(device):
        model, inputs, loss_of = build(job)
    loop = steps(model, inputs, loss_of, foreach=foreach)
    next(loop)
    return count_step(lambda: next(loop), model, inputs)


def build(job: StepJob, device: str = "cpu", /, **more: int) -> Network:
    """What the file's function makes for the batch, or for what is given instead, checked. Raises BadNetworkError.

    It is made as the file says; then model, inputs and what the loss holds go to a device that is not the CPU.
    """
    torch.manual_seed(job.seed)
    made = _made(job, {"batch": job.batch} | more)
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
    for one in (*model.parameters(), *model.buffers(), *inputs):
        if isinstance(one, torch.Tensor) and one.device.type not in ("cpu", "meta"):
            raise BadNetworkError(f"made on {one.device}: make the model and its inputs on the CPU; they are moved")
    if device != "cpu":
        model, inputs, loss_of = holding((model, inputs, loss_of), lambda held: held.to(device), {})
    model.train()
    loss = loss_of(model(*inputs))
    if not isinstance(loss, torch.Tensor) or loss.numel() != 1 or not loss.requires_grad:
        raise BadNetworkError("the loss is no single number that depends on the parameters")
    return model, inputs, loss_of


def _made(job: StepJob, values: dict[str, int]) -> Any:
    if not job.function:
        return memory.load(Path(job.path), values["batch"])
    return import_network(Path(job.path), job.function)(values.pop("batch"), **values)


def _finite(losses: list[float]) -> None:
    for at, loss in enumerate(losses):
        if not math.isfinite(loss):
            raise BadNetworkError(f"the loss is {loss} in step {at + 1}")


if __name__ == "__main__":
    answer(lambda raw: to_plain(examine(from_plain(StepJob, raw))))
