"""One process that measures a machine's ceilings: the fastest large product, and copies of several sizes."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterable, Iterator
from time import process_time
from typing import Any

from bench.cases.problem import Size
from bench.machine.ceilings import Ceiling
from bench.machine.device import Device, device_kind
from bench.machine.facts import available_memory
from bench.machine.frameworks import open_device
from bench.machine.process import answer
from bench.timing.clock import time_call, without_gc

SIDES = {"core": (128, 512, 1024, 1536), "cpu": (256, 512, 1024, 1536, 2048), "accelerator": (1024, 4096, 8192)}
LAYOUTS = ((False, False), (True, False), (False, True), (True, True))  # which sides are transposed
PLAIN = LAYOUTS[0]
SLOWER = 0.5  # of the best rate so far: larger products would only take their time
COPY_BYTES = (2**21, 2**24, 2**27, 2**29)
BASE_BYTES = 2**28  # of the process without its buffers
ROUNDS, ENOUGH_S = 5, 0.15  # per size; the best counts
IN_A_ROW, ROW_S, PRODUCT_S = 16, 2e-4, 0.04  # of a small product: a call's own time is then little of it


def main() -> None:
    """Read {framework, device, precision, threads, dtypes, small, largest}, answer with a list of Ceiling rows."""
    with without_gc():
        answer(lambda job: [one.row() for one in measure_ceilings(**job)])


def measure_ceilings(
    framework: str, device: str, precision: str, threads: int, dtypes: list[str], small: list[list[int]], largest: int
) -> Iterator[Ceiling]:
    """A product per dtype, the products of the `small` sizes, copies that fit into the memory, up to `largest`.

    Raises DeviceError.
    """
    place = open_device(framework, device, precision)
    for dtype in dtypes:
        exact = precision if dtype == "float32" else "ieee"
        yield Ceiling(
            "gemm", framework, device, dtype, exact, threads, gflops=gemm_gflops(framework, place, dtype, threads)
        )
        for sides in small:
            us = products_us(framework, place, dtype, Size(*sides))
            yield Ceiling("products", framework, device, dtype, exact, threads, us=us, size=str(Size(*sides)))
    for size in buffers(largest, available_memory()):
        rate = copy_gbytes_per_s(framework, place, size)
        yield Ceiling("copy", framework, device, "float32", precision, threads, gbytes_per_s=rate, bytes=2 * size)


def buffers(largest: int, free: int) -> list[int]:
    """The sizes up to `largest` that fit three times into `free` bytes, and the least in any case."""
    return [size for size in COPY_BYTES if size == COPY_BYTES[0] or (size <= largest and 3 * size + BASE_BYTES <= free)]


def gemm_gflops(framework: str, device: Device, dtype: str, threads: int) -> float:
    """The best rate over products of growing square matrices, in 1e9 operations a second.

    One core has reached its best at a side of 1536: on an EPYC the side 2048 was 3-4% slower in both dtypes. The least
    are tried with either side transposed, the others in the fastest of these layouts: where a library has a fast kernel
    for one of them alone, as torch for bfloat16 on a core without such products, honest styles beat all others 20-fold.
    """
    best, layouts = 0.0, list(LAYOUTS)
    for side in _sides(device, threads):
        rates = {
            layout: 2 * side**3 / _best_seconds(square_product(framework, device, dtype, side, layout), device) / 1e9
            for layout in layouts
        }
        fastest = max(rates, key=rates.__getitem__)
        best = max(best, rates[fastest])
        if rates[fastest] < SLOWER * best:
            break
        layouts = [fastest] if device_kind(device.name) == "cpu" else list(dict.fromkeys((fastest, PLAIN)))
    return best


def large_product(framework: str, device: Device, dtype: str, threads: int) -> tuple[Callable[[], Any], float]:
    """The largest of those products, and its operations."""
    side = _sides(device, threads)[-1]
    return square_product(framework, device, dtype, side), 2.0 * side**3


def square_product(
    framework: str, device: Device, dtype: str, side: int, layout: tuple[bool, bool] = PLAIN
) -> Callable[[], Any]:
    """Of two matrices of that side, in a layout which are transposed."""
    import numpy as np

    matrix = np.random.default_rng(0).standard_normal((side, side))  # random: zeros would run faster than any data
    *sides, out = (device.put(matrix, dtype) for _ in range(3))
    left, right = (one.T if transposed else one for one, transposed in zip(sides, layout, strict=True))
    return product(framework, left, right, out)


def _sides(device: Device, threads: int) -> tuple[int, ...]:
    return SIDES["accelerator" if device_kind(device.name) != "cpu" else "core" if threads == 1 else "cpu"]


def products_us(framework: str, device: Device, dtype: str, size: Size) -> float:
    """us of the five products of an iteration at `size`, the best of each, many in a row into arrays that exist.

    In the layout in which each is the fastest: a style may keep its matrices in any.
    """
    return sum(
        _product_us(framework, device, _laid_out(framework, left), _laid_out(framework, right))
        for _, left, right, _ in operands(device, dtype, size)
    )


def _laid_out(framework: str, matrix: Any) -> tuple[Any, Any]:
    """The same matrix by rows and by columns."""
    if framework == "torch":
        return matrix.contiguous(), matrix.T.contiguous().T
    import numpy as np

    return np.ascontiguousarray(matrix), np.asfortranarray(matrix)


def operands(device: Device, dtype: str, size: Size) -> Iterator[tuple[str, Any, Any, Any]]:
    """Of the five products of an iteration the name, both sides, and an array that holds the result."""
    import numpy as np

    n, d_in, hidden, d_out = size
    draw = np.random.default_rng(0).standard_normal
    weights = ((d_in, hidden), (hidden, d_out))
    sides = ((n, d_in), (n, d_out), (n, hidden), (n, hidden), *weights, *weights)
    x, y, h, grad_h, w1, w2, grad_w1, grad_w2 = (device.put(draw(side), dtype) for side in sides)
    yield "x w1", x, w1, h
    yield "h w2", h, w2, y
    yield "hT grad_y", h.T, y, grad_w2
    yield "grad_y w2T", y, w2.T, grad_h
    yield "xT grad_h", x.T, grad_h, grad_w1


def _product_us(framework: str, device: Device, lefts: Iterable[Any], rights: Iterable[Any]) -> float:
    """Many in a row, but no longer than ROW_S: on a busy machine a neighbour would be in every one of them."""
    pairs = list(itertools.product(lefts, rights))
    each_s = [_best_seconds(_in_a_row(framework, left, right, 1), device, 0.0) for left, right in pairs]
    once_s = min(each_s)
    left, right = pairs[each_s.index(once_s)]
    count = max(1, min(IN_A_ROW, int(ROW_S / once_s)))
    return _best_seconds(_in_a_row(framework, left, right, count), device, PRODUCT_S) * 1e6 / float(count)


def _in_a_row(framework: str, left: Any, right: Any, count: int) -> Callable[[], Any]:
    if framework == "torch":
        import torch

        out = left.new_empty(left.shape[0], right.shape[1])

        def multiply() -> None:
            for _ in range(count):
                torch.mm(left, right, out=out)

        return multiply
    import numpy as np

    lefts, rights = (np.broadcast_to(one, (count, *one.shape)) for one in (left, right))
    outs = np.empty((count, left.shape[0], right.shape[1]), left.dtype)
    return lambda: np.matmul(lefts, rights, out=outs)


def copy_gbytes_per_s(framework: str, device: Device, size: int) -> float:
    """Bytes read and written a second, in 1e9, copying a buffer of `size` bytes onto another."""
    import numpy as np

    ones = np.ones(size // 4, np.float32)
    source, target = (device.put(ones, "float32") for _ in range(2))
    return 2 * size / _best_seconds(copy(framework, source, target), device) / 1e9


def _best_seconds(call: Callable[[], Any], device: Device, enough_s: float = ENOUGH_S) -> float:
    """The least of many; on a CPU of Linux by CPU time where that is less, for a neighbour may be in all of them."""
    time_call(call, device)
    best, spent = float("inf"), 0.0
    counted = sys.platform == "linux" and device_kind(device.name) == "cpu"
    for done in range(10**6):
        before = process_time()
        seconds, _ = time_call(call, device)
        used = process_time() - before
        best, spent = min(best, used if counted and used > 0 else seconds, seconds), spent + seconds
        if done + 1 >= ROUNDS and spent >= enough_s:
            break
    return best


def product(framework: str, a: Any, b: Any, c: Any) -> Callable[[], Any]:
    """`a` times `b`, into `c` where the library can."""
    if framework == "torch":
        import torch

        return lambda: torch.mm(a, b, out=c)
    if framework == "numpy":
        return lambda: a.dot(b, out=c)
    return lambda: a @ b


def copy(framework: str, source: Any, target: Any) -> Callable[[], Any]:
    """`source` onto `target`, or where the library cannot, into an array of its own."""
    if framework == "torch":
        return lambda: target.copy_(source)
    if framework == "numpy":
        import numpy as np

        return lambda: np.copyto(target, source)
    return source.copy  # type: ignore[no-any-return]


if __name__ == "__main__":
    main()
