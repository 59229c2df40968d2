"""What an iteration of torch asks of a device: its launches, counted as torch dispatches them on the CPU."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bench.cases.problem import Problem
from implementations import Implementation, find_implementations

WARM = 3  # iterations before the one that is counted
OTHERS = ("torch.optim", "torch.compile", "CUDAGraph")  # what takes other operations on a GPU than on the CPU


class Launches(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operations that must launch at least one kernel each, inside `with`; `names` are these, in order.

    An operation counts if a tensor of at least one dimension goes in and one comes out that shares no memory by being
    a view, or is written. So views, `detach`, scalars, allocations and reads of the loss do not: on a GPU there may be
    more launches, not fewer.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation, and count it."""
        out = func(*args, **(kwargs or {}))
        if launches(func, args, kwargs):
            self.names.append(str(func))
        return out


def launches(func: Any, args: Any, kwargs: Any) -> bool:
    """Whether this call must launch a kernel."""
    if func.namespace != "aten" or func.is_view or func.overloadpacket in SILENT:
        return False
    return any(isinstance(one, torch.Tensor) and one.dim() > 0 for one in tree_leaves((args, kwargs)))


SILENT = {
    torch.ops.aten.detach, torch.ops.aten.lift_fresh, torch.ops.aten._local_scalar_dense, torch.ops.aten.empty_like,
    torch.ops.aten._unsafe_view, torch.ops.aten._reshape_alias, torch.ops.aten.new_empty, torch.ops.aten.empty_strided,
    torch.ops.aten.alias, torch.ops.aten.new_empty_strided,
}  # fmt: skip


def count_launches(step: Callable[[], Any]) -> list[str]:
    """The names of the operations of one call that must launch a kernel, in order."""
    found = Launches()
    with found:
        step()
    return found.names


def eager_styles() -> dict[str, Implementation]:
    """The styles whose operations are the same on every device: SGD in torch, by hand or by autograd, no OTHERS."""
    return {
        name: style
        for name, style in find_implementations().items()
        if (style.framework, style.oracle) == ("torch", "sgd")
        and {"cpu", "cuda"} <= set(style.devices)
        and not any(other in style.source.read_text(encoding="utf-8") for other in OTHERS)
    }


def of_styles() -> Iterator[tuple[str, int]]:
    """(style, launches an iteration) of each of `eager_styles`, at the tutorial's size in float32."""
    for name, style in eager_styles().items():
        inputs = [torch.tensor(array, dtype=torch.float32) for array in Problem().arrays()]
        loop = style.train(*inputs, 1e-6, WARM + 1)
        for _ in range(WARM):
            next(loop)
        yield name, len(count_launches(lambda loop=loop: next(loop)))  # type: ignore[misc]
        loop.close()


def main() -> None:
    """Print the table of launches, which `bench/bounds/launches.csv` is."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("style", "launches"))
    writer.writerows(of_styles())


if __name__ == "__main__":
    main()
