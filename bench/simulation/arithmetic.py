"""The training loop in emulated arithmetic, honest and lying: orders of summation, TF32 and bfloat16, in numpy."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from bench.cases.problem import MIDDLE_USES
from bench.machine.device import Device
from bench.verification.storage import BFLOAT16, TF32, TF32_TRUNCATED, Floats, Rounding
from implementations import Train

Product = Callable[[Floats, Floats], Floats]
Loop = Generator[Any, None, tuple[Any, ...]]


def blas(a: Floats, b: Floats) -> Floats:
    """The order of summation of numpy's BLAS."""
    return np.asarray(a @ b)


def permuted(seed: int) -> Product:
    """The terms of every sum in an order drawn by `seed`."""
    drawn: dict[int, Floats] = {}

    def product(a: Floats, b: Floats) -> Floats:
        terms = a.shape[1]
        if terms not in drawn:
            drawn[terms] = np.random.default_rng([seed, terms]).permutation(terms)
        order = drawn[terms]
        return np.asarray(np.ascontiguousarray(a[:, order]) @ np.ascontiguousarray(b[order]))

    return product


def split(parts: int) -> Product:
    """Every sum in `parts` parts that are added at the end: a GPU's split-K."""

    def product(a: Floats, b: Floats) -> Floats:
        edges = np.linspace(0, a.shape[1], min(parts, a.shape[1]) + 1).astype(int)
        total = a[:, : edges[1]] @ b[: edges[1]]
        for start, end in pairwise(edges[1:]):
            total += a[:, start:end] @ b[start:end]
        return np.asarray(total)

    return product


def one_by_one(a: Floats, b: Floats) -> Floats:
    """One running sum an element: the longest chain of roundings that a kernel can have."""
    return np.asarray(np.einsum("ij,jk->ik", a, b, optimize=False))


def of_rounded(rounding: Rounding, product: Product = blas) -> Product:
    """Factors rounded first, their products summed in float32."""
    return lambda a, b: product(rounding(a), rounding(b))


def where_aligned(product: Product) -> Product:
    """`product` only where rows begin at multiples of four floats, as TF32 kernels want it; else the BLAS's."""
    return lambda a, b: product(a, b) if a.shape[1] % 4 == b.shape[1] % 4 == 0 else blas(a, b)


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """How numbers are kept and multiplied; `dtype` and `precision` are what it claims to be, and is where honest.

    `masters` is the wider dtype in which it keeps weights from one iteration to the next, if it does.
    """

    name: str
    product: Product = blas
    stored: Rounding = np.asarray
    dtype: str = "float32"
    precision: str = "ieee"
    masters: str = ""

    @property
    def kind(self) -> type[np.floating[Any]]:
        """The numpy type that holds it: bfloat16 lives in float32 whose last bits are zero."""
        return np.float64 if self.dtype == "float64" else np.float32

    @property
    def updating(self) -> Arithmetic:
        """In which weights are updated."""
        return Arithmetic(self.name, dtype=self.masters) if self.masters else self

    def device(self) -> Device:
        """A CPU whose arrays are of this arithmetic."""
        return Device(
            name="cpu",
            model=f"emulated {self.name}",
            put=lambda array, _dtype: self.stored(np.array(array, dtype=self.kind, order="C")),
            read=float,
            fetch=lambda array: np.asarray(array, dtype=np.float64),
            describe=lambda _value: (self.dtype, "cpu"),
            negate=lambda array, place: np.negative(array[place], out=array[place]),
        )


def bfloat16_product(product: Product = blas) -> Product:
    """Factors and result in bfloat16, summed in float32: what every tensor core and CPU does."""
    return lambda a, b: BFLOAT16(product(a, b))


@dataclass(frozen=True, slots=True)
class Lie:
    """What a training run leaves out; everything at its default is honest."""

    name: str = ""
    product: Product | None = None  # instead of the arithmetic's own
    half_batch: bool = False
    rate_factor: float = 1.0
    skips: Callable[[int, int], bool] = lambda _t, _steps: False  # whether iteration t leaves all weights as they are
    skips_last_weight: bool = False
    untrained: float = 0.0  # share of inputs whose weights stay as they were
    begins: int = 0  # the iteration before which it is honest


LIES = (
    Lie("half batch", half_batch=True),
    Lie("skipped w2", skips_last_weight=True),
    Lie("one update skipped", skips=lambda t, steps: t == steps // 2),
    Lie("last update skipped", skips=lambda t, steps: t == steps - 1),
    Lie("1% of inputs untrained", untrained=0.01),
    Lie("rate off 0.01%", rate_factor=1.0001),
    Lie("rate off 0.1%", rate_factor=1.001),
    Lie("rate off 1%", rate_factor=1.01),
    Lie("bf16 compute", product=of_rounded(BFLOAT16)),
    Lie("TF32 rounded", product=of_rounded(TF32)),
    Lie("TF32 truncated", product=of_rounded(TF32_TRUNCATED)),
    Lie("TF32 where aligned", product=where_aligned(of_rounded(TF32))),
)
STOPS = Lie("stops training", skips=lambda t, _steps: t >= 4)
SKIPS_FIRST = Lie("skipped w1", untrained=1.0)
LATE = 100  # iterations: no rehearsal and no opening is so long
BEGUN_LATE = (
    Lie("late: stops training", skips=lambda t, _steps: t >= LATE),
    Lie("late: skipped w2", skips_last_weight=True, begins=LATE),
    Lie("late: half of the inputs untrained", untrained=0.5, begins=LATE),
    Lie("late: rate off 1%", rate_factor=1.01, begins=LATE),
    Lie("late: bf16 compute", product=of_rounded(BFLOAT16), begins=LATE),
    Lie("late: TF32 rounded", product=of_rounded(TF32), begins=LATE),
)


def emulated(arithmetic: Arithmetic, oracle: str = "sgd", lie: Lie | None = None) -> Train:
    """A style, as a generator over numpy arrays, that trains the net of `oracle` in `arithmetic`, but for its `lie`."""
    own, honest = lie or Lie(), Lie()
    r, kind, wide = arithmetic.stored, arithmetic.kind, arithmetic.updating

    def train(x: Floats, y: Floats, w1: Floats, w2: Floats, learning_rate: float, steps: int) -> Loop:
        weights = [w1, w2] if oracle != "dynamic" else [w1, r(np.eye(w1.shape[1], dtype=kind)), w2]
        share = 2 if own.half_batch else 1
        x, y = x[: len(x) // share or 1], y[: len(y) // share or 1]
        update = _adam if oracle == "adam" else _sgd
        weights = [np.asarray(w, wide.kind) for w in weights]
        state: list[Any] = [(np.zeros_like(w), np.zeros_like(w)) for w in weights]

        def narrow() -> list[Floats]:
            return [r(np.asarray(w, kind)) for w in weights] if arithmetic.masters else weights

        for t in range(steps):
            now = own if t >= own.begins else honest
            middle = t % MIDDLE_USES if oracle == "dynamic" else 0
            loss, gradients = _gradients(x, y, narrow(), middle, share, arithmetic, now.product or arithmetic.product)
            if now.skips_last_weight:
                gradients[-1] = None
            if now.untrained and gradients[0] is not None:
                gradients[0][: math.ceil(now.untrained * len(w1))] = 0
            if not now.skips(t, steps):
                update(weights, gradients, learning_rate * now.rate_factor, state, t + 1, wide)
            yield loss
        return tuple(narrow())

    return train


def _gradients(
    x: Floats, y: Floats, weights: Sequence[Floats], middle: int, share: int, arithmetic: Arithmetic, mul: Product
) -> tuple[float, list[Floats | None]]:
    """Loss and gradients as bench.verification.oracle has them, every array rounded; `share`-fold for a part of it."""
    r, two = arithmetic.stored, arithmetic.kind(2 * share)
    before = [mul(x, weights[0])]
    layers = [np.maximum(before[0], 0)]
    for _ in range(middle):
        before.append(mul(layers[-1], weights[1]))
        layers.append(np.maximum(before[-1], 0))
    residual = r(mul(layers[-1], weights[-1]) - y)
    loss = r(np.asarray([share * r(np.square(residual)).sum(dtype=arithmetic.kind)], arithmetic.kind))[0]
    grad_y = r(two * residual)
    grad_last = mul(layers[-1].T, grad_y)
    grad = mul(grad_y, weights[-1].T) * (before[-1] >= 0)
    grad_middle: Floats | None = None
    for layer in range(middle - 1, -1, -1):
        part = mul(layers[layer].T, grad)
        grad_middle = part if grad_middle is None else r(grad_middle + part)
        grad = mul(grad, weights[1].T) * (before[layer] >= 0)
    inner = [grad_middle] if len(weights) == 3 else []
    return loss, [mul(x.T, grad), *inner, grad_last]


def _sgd(
    weights: list[Floats], gradients: Sequence[Floats | None], rate: float, _state: Any, _t: int, a: Arithmetic
) -> None:
    for index, gradient in enumerate(gradients):
        if gradient is not None:
            weights[index] = a.stored(weights[index] - a.stored(a.kind(rate) * gradient))


def _adam(
    weights: list[Floats], gradients: Sequence[Floats | None], rate: float, state: list[Any], t: int, a: Arithmetic
) -> None:
    """Kingma and Ba (2015), algorithm 1, rounded after every operation that a library without fusion stores."""
    r, kind = a.stored, a.kind
    for index, gradient in enumerate(gradients):
        if gradient is None:
            continue
        mean, square = state[index]
        mean = r(mean + r(kind(1 - 0.9) * r(gradient - mean)))
        square = r(r(square * kind(0.999)) + r(kind(1 - 0.999) * r(gradient * gradient)))
        root = r(r(r(np.sqrt(square)) / kind(math.sqrt(1 - 0.999**t))) + kind(1e-8))
        weights[index] = r(weights[index] - r(kind(rate / (1 - 0.9**t)) * r(mean / root)))
        state[index] = mean, square
