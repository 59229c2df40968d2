"""What a training step is counted to do, as torch dispatches it on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from bench.advice.asked import Counted
from bench.worker.counting import launches

FUSED = ("rnn", "lstm", "gru", "attention")  # in the name of an operation that does the work of many


class Work(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts operations, launches and floating-point operations inside `with`."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations = self.launches = 0
        self.products = self.others = 0.0
        self.uncounted: dict[str, None] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation, and count it."""
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if not launches(func, args, kwargs):
            return out
        packet = func.overloadpacket
        self.operations += 1
        self.launches += 1
        if packet in flop_registry:
            flops = float(flop_registry[packet](*args, **kwargs, out_val=out))
            if "conv" in str(packet) and not _is_product(func, args):
                self.others += flops
            else:
                self.products += flops
        elif func.namespace != "aten" or any(name in str(packet) for name in FUSED):
            self.uncounted[str(func)] = None
        return out


def _is_product(func: Any, args: Any) -> bool:
    """Whether a convolution, forward or backward, is a matrix product: a kernel of one point, no transposing."""
    weight = args[2] if "backward" in str(func) else args[1]
    return all(side == 1 for side in weight.shape[2:])


def count_step(step: Callable[[], Any], model: nn.Module, inputs: tuple[Any, ...]) -> Counted:
    """Counts one call of `step`, which trains `model` on `inputs`.

    Launches are those that a GPU needs too, unless torch fuses there what it splits here (recurrent layers).
    """
    work = Work()
    with work:
        step()
    tensors = [*model.parameters(), *(one for one in inputs if isinstance(one, torch.Tensor))]
    recurrent = any(isinstance(one, nn.RNNBase) for one in model.modules())
    return Counted(
        product_flops=work.products,
        other_flops=work.others,
        held_bytes=sum(one.numel() * one.element_size() for one in tensors),
        operations=work.operations,
        launches=None if recurrent else work.launches,
        why="a GPU runs a recurrent layer in fewer launches than the CPU dispatches" if recurrent else "",
        uncounted=tuple(work.uncounted),
    )
