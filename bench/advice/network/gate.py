"""A network's own training loop, and the check of its losses and gradients against the same network in float64."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Generator
from typing import Any

import torch
from torch import nn

from bench.advice.network.moved import holding
from bench.machine.process import one_line

LEARNING_RATE = 1e-6  # does not change the time, and no loss runs away
STRAYS = 1e-3  # of a loss, relative; rounding alone moved none of this repository's networks by more than 4e-5
# Of a loss. With products rounded as TF32 rounds (as in bench/tests/advice/test_processors.py) no network of small.py
# strayed by more than 0.02 in 168 trials, ResNet-18 to -200 by up to 0.06 in 12, their gradients by up to 0.21.
TF32_STRAYS = 0.2
GRADIENT_STRAYS = 0.02  # of a gradient by its length; the most seen was 6e-3, in ResNet-200

Network = tuple[nn.Module, tuple[Any, ...], Callable[[Any], Any]]


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
    """`strays ...` if loss or gradient are not those of the same network in float64 on the CPU; else what was seen.

    For the gradient batch norm takes the statistics that it has stored: over the few values of a small batch a rounding
    moves its own gradient by a third in a network of 200 layers.
    """
    single, double = _twins(model, inputs, loss_of)
    try:
        if strays := _loss_strays(single, double, STRAYS):
            return strays
        for one in (single, double):
            for norm in one[0].modules():
                if isinstance(norm, nn.modules.batchnorm._BatchNorm):
                    norm.eval()
            next(steps(*one))
        if not (off := _apart(single[0], double[0])) <= GRADIENT_STRAYS:
            return f"strays from float64: its gradient is off by {off:.3g} of its length"
    except RuntimeError as error:
        return f"not checked: in float64 {one_line(str(error))}"
    return "its loss and gradient are those of float64"


def gate_of_loss(model: nn.Module, inputs: tuple[Any, ...], loss_of: Callable[[Any], Any]) -> str:
    """As `gate`, of the loss alone and to TF32_STRAYS: what TF32 rounds a deep network multiplies in its gradient."""
    try:
        strays = _loss_strays(*_twins(model, inputs, loss_of), TF32_STRAYS)
    except RuntimeError as error:
        return f"not checked: in float64 {one_line(str(error))}"
    return strays or f"its loss is that of float64 to {TF32_STRAYS:.0%}"


def _twins(*network: Any) -> tuple[Network, Network]:
    """The network without dropout, and the same in float64 on the CPU, each with inputs and loss of its own."""
    model, inputs, loss_of = network
    single = _without_dropout(model)
    double = copy.deepcopy(single).cpu().double()
    return (
        (single, inputs, holding(loss_of, lambda held: held, {id(model): single})),
        (double, tuple(map(_double, inputs)), holding(loss_of, _double, {id(model): double})),
    )


def _loss_strays(single: Network, double: Network, most: float) -> str:
    with torch.no_grad():
        mine, right = (float(loss_of(model(*inputs))) for model, inputs, loss_of in (single, double))
    if not math.isfinite(right):
        return f"strays: its loss is {right:g}, in float64 too"
    return "" if abs(mine - right) <= most * abs(right) else (
        f"strays from float64: loss {mine:.6g} instead of {right:.6g}"
    )  # fmt: skip


def _apart(single: nn.Module, double: nn.Module) -> float:
    """How far the gradients of two models with the same parameters are apart, over the length of the second's."""
    off = length = 0.0
    for mine, right in zip(single.parameters(), double.parameters(), strict=True):
        if mine.grad is not None and right.grad is not None:
            off += float((mine.grad.cpu().double() - right.grad).square().sum())
            length += float(right.grad.square().sum())
    return math.sqrt(off / length) if length else math.sqrt(off)


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
    """In float64 on the CPU; a module as a copy."""
    if isinstance(value, nn.Module):
        return copy.deepcopy(value).cpu().double()
    if isinstance(value, torch.Tensor):
        return value.cpu().double() if value.is_floating_point() else value.cpu()
    return value
