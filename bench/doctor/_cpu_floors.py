"""Floors of a CPU: a call of numpy and of torch, with and without autograd, a page fault, copies, products."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bench.doctor.floors import NUMBERS, Figure, Item, as_rate, each_us, figure, products_of
from bench.machine.device import Device
from bench.machine.frameworks import open_device
from bench.timing.heap import faulting
from bench.worker.ceilings import copy

LIBRARIES, TYPES = ("numpy", "torch"), ("float32", "float64")


def items(count: int) -> Iterator[Item]:
    """What is measured, in order."""
    devices = {library: open_device(library, "cpu") for library in LIBRARIES}
    yield from calls(devices["torch"], count)
    yield "page_fault_us", lambda: page_fault(devices["numpy"], max(1, count // 40))
    for library, device in devices.items():
        yield from copies(library, device, count)
        for dtype in TYPES:
            for name, call in products_of(library, device, dtype):
                yield f"{library} {dtype} product {name}_us", partial(each_us, device, call, max(1, count // 10))


def calls(device: Device, count: int) -> Iterator[Item]:
    """A call on arrays so small that nothing is computed, in us; of torch with autograd, and its way back, too."""
    import numpy as np
    import torch

    small, number = np.ones((2, 2)), torch.ones(2, 2)
    weight = torch.ones(2, 2, requires_grad=True)
    out, mm_out = np.empty_like(small), torch.empty_like(number)

    def backward() -> None:
        weight.grad = None
        (weight * number).sum().backward()  # type: ignore[no-untyped-call]

    yield "numpy_call_us", lambda: each_us(device, lambda: np.negative(small, out=out), count)
    yield "numpy_product_call_us", lambda: each_us(device, lambda: np.dot(small, small, out=out), count)
    yield "torch_call_us", lambda: each_us(device, number.neg_, count)
    yield "torch_product_call_us", lambda: each_us(device, lambda: torch.mm(number, number, out=mm_out), count)
    yield "torch_autograd_call_us", lambda: each_us(device, lambda: weight * number, count)
    yield "torch_backward_of_two_calls_us", lambda: each_us(device, backward, count)


def page_fault(device: Device, count: int) -> Figure:
    """A page that is given, written to and taken back, less the writing. Raises OSError where nobody counts them."""
    fresh, again, faults = faulting()
    if not faults:
        raise OSError("this system counts no page faults")
    slow, fast = each_us(device, fresh, count), each_us(device, again, count)
    each = [(slow[name] - fast["median"]) / faults for name in ("low", "median", "high")]
    return figure(each, int(slow["n"]) * faults)


def copies(library: str, device: Device, count: int) -> Iterator[Item]:
    """One array onto another, bytes read and written, in GB/s."""
    import numpy as np

    def copied(numbers: int) -> Figure:
        here, there = (device.put(np.ones(numbers), "float32") for _ in range(2))
        calls = max(1, count // 10) if numbers < 2**20 else 2
        return as_rate(each_us(device, copy(library, here, there), calls), 8 * numbers)

    for name, numbers in NUMBERS.items():
        yield f"{library} copy_{name}_gbytes_per_s", partial(copied, numbers)
