"""What a training step is counted to do, as torch dispatches it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from bench.advice.network.asked import CONVOLUTION, COSTLY, OTHER, PRODUCT, Counted, Operation
from bench.worker.counting import launches

FUSED = (  # in the name of an operation that does the work of many, or a product that torch counts nothing of
    "rnn", "lstm", "gru", "attention", "trilinear", "cdist", "pdist", "fft", "cholesky", "svd", "solve", "linalg_inv",
    "aten.mv", "aten.addmv", "aten.dot", "aten.vdot",
)  # fmt: skip
TAKES_LONG = ("tanh", "sigmoid", "gelu", "softmax", "norm", "pool", "exp", "log", "sqrt", "pow", "erf", "div")
BIASED = {torch.ops.aten.addmm, torch.ops.aten.baddbmm}  # the matrices come second


class Work(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts operations, launches and floating-point operations inside `with`."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.products = self.others = 0.0
        self.uncounted: dict[str, None] = {}
        self.calls: Counter[Operation] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation, and count it."""
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if not launches(func, args, kwargs):
            return out
        packet, flops, sides = func.overloadpacket, 0.0, (0, 0, 0)
        kind = COSTLY if any(name in str(packet) for name in TAKES_LONG) else OTHER
        if packet in flop_registry:
            flops = float(flop_registry[packet](*args, **kwargs, out_val=out))
            kind = CONVOLUTION if "conv" in str(packet) else PRODUCT
            sides = _sides(packet, args, out)
            if kind == CONVOLUTION and not _is_product(func, args):
                self.others += flops
            else:
                self.products += flops
        elif func.namespace != "aten" or any(name in str(packet) for name in FUSED):
            self.uncounted[str(func)] = None
        self.calls[Operation(kind, 1, flops, _bytes((args, kwargs, out)), *sides)] += 1
        return out

    @property
    def operations(self) -> tuple[Operation, ...]:
        """What was called, those alike as one."""
        return tuple(replace(one, calls=calls) for one, calls in self.calls.items())


def _bytes(values: Any) -> int:
    return sum(one.numel() * one.element_size() for one in tree_leaves(values) if isinstance(one, torch.Tensor))


def _is_product(func: Any, args: Any) -> bool:
    """Whether a convolution, forward or backward, is a matrix product: a kernel of one point, no transposing."""
    weight = args[2] if "backward" in str(func) else args[1]
    return all(side == 1 for side in weight.shape[2:])


def _sides(packet: Any, args: Any, out: Any) -> tuple[int, int, int]:
    """(m, n, k) of the product that an operation is; zeros of what is none, such as attention.

    Of a convolution in groups n is the channels of all of them, which are computed side by side.
    """
    if "conv" in str(packet):
        backward = "backward" in str(packet)
        places, weight = (args[0], args[2]) if backward else (out, args[1])
        if args[7 if backward else 6]:  # transposed
            places = args[1] if backward else args[0]
            return places.shape[0] * prod(places.shape[2:]), prod(weight.shape[1:]), weight.shape[0]
        return places.shape[0] * prod(places.shape[2:]), weight.shape[0], prod(weight.shape[1:])
    if "mm" not in str(packet):
        return 0, 0, 0
    a, b = args[1:3] if packet in BIASED else args[:2]
    return a.shape[-2], b.shape[-1], a.shape[-1]


def count_step(step: Callable[[], Any], model: nn.Module, inputs: tuple[Any, ...]) -> Counted:
    """Counts one call of `step`, which trains `model` on `inputs`.

    Launches are those that a GPU needs too, unless torch fuses there what it splits here (recurrent layers).
    """
    work = Work()
    with work:
        step()
    tensors = [*model.parameters(), *(one for one in inputs if isinstance(one, torch.Tensor))]
    recurrent = any(isinstance(one, nn.RNNBase) for one in model.modules())
    operations = work.calls.total()
    return Counted(
        product_flops=work.products,
        other_flops=work.others,
        held_bytes=_bytes(tensors),
        operations=operations,
        launches=None if recurrent else operations,
        why="a GPU runs a recurrent layer in fewer launches than the CPU dispatches" if recurrent else "",
        uncounted=tuple(work.uncounted),
        work=work.operations,
    )
