"""A network's own training loop, and the check of its losses and gradients against the same network in float64."""

from __future__ import annotations

import copy
import math
import types
from collections.abc import Callable, Generator
from typing import Any

import torch
from torch import nn

from bench.machine.process import one_line

LEARNING_RATE = 1e-6  # does not change the time, and no loss runs away
STRAYS = 1e-3  # of a loss, relative; rounding alone moved none of this repository's networks by more than 4e-5
GRADIENT_STRAYS = 0.02  # of a gradient by its length; the most seen was 6e-3, in ResNet-200


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
    """`strays ...` if loss or gradient are not those of the same network in float64; else how far it was checked.

    For the gradient batch norm takes the statistics that it has stored: over the few values of a small batch a rounding
    moves its own gradient by a third in a network of 200 layers.
    """
    single = _without_dropout(model)
    double = copy.deepcopy(single).double()
    exact = tuple(map(_double, inputs)), _in_double(loss_of)
    try:
        with torch.no_grad():
            mine, right = float(loss_of(single(*inputs))), float(exact[1](double(*exact[0])))
        if not abs(mine - right) <= STRAYS * abs(right):
            return f"strays from float64: loss {mine:.6g} instead of {right:.6g}"
        for one, given in ((single, (inputs, loss_of)), (double, exact)):
            for norm in one.modules():
                if isinstance(norm, nn.modules.batchnorm._BatchNorm):
                    norm.eval()
            next(steps(one, *given))
        if not (off := _apart(single, double)) <= GRADIENT_STRAYS:
            return f"strays from float64: its gradient is off by {off:.3g} of its length"
    except RuntimeError as error:
        return f"not checked: in float64 {one_line(str(error))}"
    return "its loss and gradient are those of float64"


def _apart(single: nn.Module, double: nn.Module) -> float:
    """How far the gradients of two models with the same parameters are apart, over the length of the second's."""
    off = length = 0.0
    for mine, right in zip(single.parameters(), double.parameters(), strict=True):
        if mine.grad is not None and right.grad is not None:
            off += float((mine.grad.double() - right.grad).square().sum())
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
    return value.double() if isinstance(value, torch.Tensor) and value.is_floating_point() else value


def _in_double(loss_of: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The same function with the tensors that it holds, such as its targets, in float64."""
    if not isinstance(loss_of, types.FunctionType):
        return loss_of
    cells = tuple(types.CellType(_double(cell.cell_contents)) for cell in loss_of.__closure__ or ())
    defaults = tuple(map(_double, loss_of.__defaults__ or ()))
    double = types.FunctionType(loss_of.__code__, loss_of.__globals__, loss_of.__name__, defaults, cells)
    double.__kwdefaults__ = {name: _double(one) for name, one in (loss_of.__kwdefaults__ or {}).items()}
    return double
