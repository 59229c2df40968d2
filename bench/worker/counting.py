"""What an iteration of torch asks of a device: its launches, counted as torch dispatches them on the CPU."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from typing import Any
from unittest.mock import patch

import torch
from torch.optim import adam, sgd
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bench.cases.problem import Problem
from implementations import Implementation, find_implementations

WARM = 3  # iterations before the one that is counted
UNCOUNTED = {  # by what stands in a style's file
    "torch.compile": "its compiler chooses the kernels, for the device it finds",
    "import triton": "one launch of one kernel for all that it starts at once, see ahead=",
}
GRAPH = "CUDAGraph"  # recorded once, and replayed by one launch
CHOOSES = "_default_to_fused_or_foreach"  # torch.optim's own choice, by the parameters' device


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


@dataclass(frozen=True, slots=True)
class Counted:
    """An iteration of a style on a GPU: launches by the host, and kernels that these start; each at least so many."""

    style: str
    launches: int
    kernels: int


def of_styles() -> Iterator[Counted]:
    """Every style of torch on a GPU but those UNCOUNTED, at the tutorial's size in float32, the mean of a whole cycle.

    As torch.optim has it there: one operation for all parameters (`foreach`), which it does not take on the CPU.
    """
    with as_on_a_gpu():
        for name, style in find_implementations().items():
            if style.framework != "torch" or "cuda" not in style.devices:
                continue
            text = style.source.read_text(encoding="utf-8")
            if not any(what in text for what in UNCOUNTED):
                kernels = len(_iterations(style)) // style.cycle
                yield Counted(name, 1 if GRAPH in text else kernels, kernels)


def _iterations(style: Implementation) -> list[str]:
    """What a cycle of a warm loop asks for."""
    inputs = [torch.tensor(array, dtype=torch.float32) for array in Problem().arrays()]
    loop = style.train(*inputs, 1e-6, WARM + style.cycle)
    for _ in range(WARM):
        next(loop)
    found = count_launches(lambda: [next(loop) for _ in range(style.cycle)])
    loop.close()
    return found


@contextmanager
def as_on_a_gpu() -> Iterator[None]:
    """Let torch.optim choose as it does for parameters on a GPU."""

    def foreach(*_args: Any, **_options: Any) -> tuple[bool, bool]:
        return False, True  # fused, foreach

    with patch.object(sgd, CHOOSES, foreach), patch.object(adam, CHOOSES, foreach):
        yield


def main() -> None:
    """Print the table of launches, which `bench/bounds/launches.csv` is."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([one.name for one in fields(Counted)])
    writer.writerows(astuple(one) for one in of_styles())


if __name__ == "__main__":
    main()
