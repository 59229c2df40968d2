"""What a training step is counted to do, as torch dispatches it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
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
GATHERS = {torch.ops.aten.embedding, torch.ops.aten._embedding_bag, torch.ops.aten._embedding_bag_forward_only}
FUSED_DROPOUT = 2  # launches fewer of a dropout on a GPU, which draws, scales and multiplies in one


class Work(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts operations, launches and floating-point operations inside `with`."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.products = self.others = 0.0
        self.uncounted: dict[str, None] = {}
        self.calls: Counter[Operation] = Counter()
        self.dropouts = self.attentions = 0
        self.narrow = False  # whether a product is of numbers of 16 bits
        self.tables: set[int] = set()  # what rows are taken of, and what is used as a whole, by its storage
        self.whole: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation, and count it."""
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if not launches(func, args, kwargs):
            return out
        packet, flops, sides = func.overloadpacket, 0.0, (0, 0, 0)
        kind = COSTLY if any(name in str(packet) for name in TAKES_LONG) else OTHER
        if packet in flop_registry:
            flops = _flops(packet, args, kwargs, out)
            self.narrow |= any(one.is_floating_point() and one.element_size() == 2 for one in _tensors(args))
            kind = CONVOLUTION if "conv" in str(packet) else PRODUCT
            sides = _sides(packet, args, out)
            if kind == CONVOLUTION and not _is_product(func, args):
                self.others += flops
            else:
                self.products += flops
        elif func.namespace != "aten" or any(name in str(packet) for name in FUSED):
            self.uncounted[str(func)] = None
        self.dropouts += packet is torch.ops.aten.bernoulli_
        self.attentions += str(packet).startswith("aten._scaled_dot_product") and "backward" not in str(packet)
        self.calls[Operation(kind, 1, flops, self._moved(packet, (args, kwargs), out), *sides)] += 1
        return out

    def _moved(self, packet: Any, given: Any, out: Any) -> int:
        """Bytes that go in and come out; of a table of which rows are taken or changed, these alone."""
        tensors = _tensors(given)
        rows = [one for one in tensors if one.is_sparse]
        dense = [one for one in tensors if not one.is_sparse]
        if packet in GATHERS:
            table, *others = dense
            self.tables.add(_storage(table))
            return _bytes(others) + 2 * _bytes(out)
        if rows:
            return _bytes(rows) * (3 if dense else 1) + (0 if dense else _bytes(out))
        self.whole.update(map(_storage, dense))
        return _bytes((dense, out))

    @property
    def operations(self) -> tuple[Operation, ...]:
        """What was called, those alike as one."""
        return tuple(replace(one, calls=calls) for one, calls in self.calls.items())


class Attentions(TorchFunctionMode):
    """Counts the calls of attention inside `with`, which a device may do in one launch or in many."""

    calls = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call one function, and count it."""
        self.calls += func is nn.functional.scaled_dot_product_attention
        return func(*args, **(kwargs or {}))


def _tensors(values: Any) -> list[torch.Tensor]:
    return [one for one in tree_leaves(values) if isinstance(one, torch.Tensor)]


def _bytes(values: Any) -> int:
    each = (one._values() if one.is_sparse else one for one in _tensors(values))
    return sum(one.numel() * one.element_size() for one in each)


def _storage(one: torch.Tensor) -> int:
    return int(one.untyped_storage()._cdata)


def _flops(packet: Any, args: Any, kwargs: Any, out: Any) -> float:
    """As torch counts them, but for a convolution in groups, whose backward pass it counts that many times over.

    Each gradient that it computes takes as many as the forward pass: two for each place and weight of its groups.
    """
    if packet is not torch.ops.aten.convolution_backward:
        return float(flop_registry[packet](*args, **kwargs, out_val=out))
    places, taken, weight, transposed, wanted = args[0], args[1], args[2], args[7], args[10]
    each: float = 2.0 * (taken if transposed else places).numel() * prod(weight.shape[1:])
    return each * sum(map(bool, wanted[:2]))


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
    work, attentions = Work(), Attentions()
    with work, attentions:
        step()
    held = [one for one in model.parameters() if _storage(one) in work.whole or _storage(one) not in work.tables]
    tensors = [*held, *(one for one in inputs if isinstance(one, torch.Tensor))]
    operations, fused = work.calls.total(), ""
    if any(isinstance(one, nn.RNNBase) for one in model.modules()):
        fused = "a recurrent layer"
    elif work.attentions < attentions.calls:
        fused = "attention"
    return Counted(
        product_flops=work.products,
        other_flops=work.others,
        held_bytes=_bytes(tensors),
        operations=operations,
        launches=None if fused else operations - FUSED_DROPOUT * work.dropouts,
        why=f"a GPU runs {fused} in fewer launches than the CPU dispatches" if fused else "",
        uncounted=tuple(work.uncounted),
        work=work.operations,
        narrow=work.narrow,
    )
