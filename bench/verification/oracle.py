"""The reference that every style must follow: computed in float64, stored as the style stores."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.cases.challenge import Flip, changes
from bench.cases.problem import MIDDLE_USES
from bench.verification.storage import STORED, TF32, TF32_TRUNCATED, Rounding

Array = NDArray[np.float64]
AVERAGED = 20  # terms of the sums behind a first loss, for each of its values, whose roundings average out
Product = Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True)
class Reference:
    """Losses (steps,) of a training run that is computed here, and the weights where it ends.

    `outputs` is the sum of squares of all terms that make the first y_pred: their rounding is in the first loss,
    however small that is. `few` is how much more it is rounded than a loss of so many values that it averages out.
    """

    losses: Array
    weights: tuple[Array, ...]
    start: tuple[Array, ...]
    outputs: float = 0.0
    few: float = 1.0


def reference(
    oracle: str,
    arrays: Sequence[Array],
    learning_rate: float,
    steps: int,
    flips: Sequence[Flip] = (),
    dtype: str = "float64",
) -> Reference:
    """Train with numpy: `oracle` is "sgd", "adam" or "dynamic", `arrays` are x, y, w1, w2.

    Computed in float64 throughout; data, weights and moments are rounded to `dtype` whenever they are stored, which
    nobody's sums can undo: what an update of less than half a last bit loses is lost to every style. x changes sign as
    `flips` say; `arrays` stay as they are.
    """
    kept = STORED[dtype]
    given = [np.array(kept(a), np.float64) for a in arrays]
    return _train(oracle, given, learning_rate, steps, flips, _Arithmetic(kept=kept))


def twin(
    oracle: str,
    arrays: Sequence[Array],
    learning_rate: float,
    steps: int,
    flips: Sequence[Flip] = (),
    dtype: str = "float32",
    precision: str = "ieee",
    seed: int = 0,
    *,
    wide: bool = False,
) -> Reference:
    """The same run computed in `dtype` ("float32" or "bfloat16"): honest, and rounded otherwise for every `seed`.

    Each operation is rounded to `dtype`; hidden units are in an order drawn by `seed`, sums in `seed` + 1 parts, as
    kernels make them. With a `precision` of "tf32" the factors of every product have 10 bits, by rounding or cut off.
    A `wide` one keeps and updates its weights in float64 and rounds them where they are used.
    """
    kept = STORED[dtype]
    x, y, first, last = (np.array(kept(a), np.float32) for a in arrays)
    order = np.random.default_rng(seed).permutation(first.shape[1])
    back = np.argsort(order)
    factor: Rounding = (TF32, TF32_TRUNCATED)[seed % 2] if precision == "tf32" else np.asarray
    mul = _in_parts(seed + 1, factor, kept)
    weights = [np.array(one, np.float64 if wide else np.float32) for one in (first[:, order], last[order])]
    how = _Arithmetic(each=kept, used=kept, mul=mul) if wide else _Arithmetic(kept, kept, kept, mul=mul)
    rounded = _train(oracle, [x, y, *weights], learning_rate, steps, flips, how)

    def ordered(weights: Sequence[Array]) -> tuple[Array, ...]:
        leading, *middle, following = (np.asarray(kept(weight), np.float64) for weight in weights)
        return leading[:, back], *(weight[back][:, back] for weight in middle), following[back]

    return replace(rounded, weights=ordered(rounded.weights), start=ordered(rounded.start))


def _in_parts(parts: int, factor: Rounding, each: Rounding) -> Product:
    """Products of factors that are rounded first; every sum is made of so many, each rounded."""

    def product(a: Any, b: Any) -> Any:
        a, b = factor(a), factor(b)
        (_, first), *others = _spans(a.shape[1], parts)
        total = each(a[:, :first] @ b[:first])
        for start, end in others:
            total = each(total + each(a[:, start:end] @ b[start:end]))
        return total

    return product


@lru_cache
def _spans(terms: int, parts: int) -> tuple[tuple[int, int], ...]:
    """A sum of so many terms in parts: where each starts and ends."""
    return tuple(pairwise(np.linspace(0, terms, min(parts, terms) + 1).astype(int).tolist()))


@dataclass(frozen=True, slots=True)
class _Arithmetic:
    """How numbers are rounded: weights and moments when they are stored, and what comes of operations."""

    kept: Rounding = np.asarray
    updated: Rounding = np.asarray  # of each operation of an update
    each: Rounding = np.asarray  # of each other one
    used: Rounding = np.asarray  # of weights where they are used
    mul: Product = np.matmul


def _train(
    oracle: str, arrays: Sequence[Any], learning_rate: float, steps: int, flips: Sequence[Flip], how: _Arithmetic
) -> Reference:
    """In the arithmetic of `arrays`, of which x and the weights are written into."""
    x, y, *weights = arrays
    places = {flip.step: flip.place for flip in changes(flips)}
    if oracle == "dynamic":
        weights.insert(1, np.eye(weights[0].shape[1], dtype=weights[0].dtype))
    start = tuple(w.copy() for w in weights)
    losses, outputs = np.empty(steps), 0.0
    update = (_Adam if oracle == "adam" else _Descent)(weights, learning_rate, how)
    for t in range(steps):
        if t in places:
            np.negative(x[places[t]], out=x[places[t]])
        middle = t % MIDDLE_USES if oracle == "dynamic" else 0
        losses[t], gradients, last_layer = _gradients(x, y, [how.used(w) for w in weights], middle, how)
        if t == 0:
            terms = np.square(x) @ np.square(weights[0]) * (last_layer > 0)
            outputs = float((terms @ np.square(weights[-1])).sum())
        update.step(gradients)
    few = math.sqrt(max(1.0, sum(start[0].shape) / (AVERAGED * y.size)))
    return Reference(losses, tuple(weights), start, outputs, few)


def _gradients(
    x: Array, y: Array, weights: Sequence[Array], middle: int, how: _Arithmetic
) -> tuple[float, list[Array | None], Array]:
    """Sum of squares, its gradients, and the last hidden layer, the middle one used `middle` times.

    None is the gradient of a weight that is not used.
    """
    first, last, each, mul = weights[0], weights[-1], how.each, how.mul
    before = [mul(x, first)]
    layers = [np.maximum(before[0], 0)]
    for _ in range(middle):
        before.append(mul(layers[-1], weights[1]))
        layers.append(np.maximum(before[-1], 0))
    residual = each(mul(layers[-1], last) - y)
    grad_y = 2.0 * residual
    grad_last = mul(layers[-1].T, grad_y)
    # the tutorial stops the gradient where h < 0 and lets it pass at 0
    grad = mul(grad_y, last.T) * (before[-1] >= 0)
    grad_middle: Array | None = None
    for layer in range(middle - 1, -1, -1):
        share = mul(layers[layer].T, grad)
        grad_middle = share if grad_middle is None else each(grad_middle + share)
        grad = mul(grad, weights[1].T) * (before[layer] >= 0)
    loss = float(each(each(np.square(residual)).sum(keepdims=True))[0, 0])
    gradients: list[Array | None] = [mul(x.T, grad), grad_last]
    if len(weights) == 3:
        gradients.insert(1, grad_middle)
    return loss, gradients, layers[-1]


class _Descent:
    """Plain gradient descent."""

    def __init__(self, weights: Sequence[Array], learning_rate: float, how: _Arithmetic) -> None:
        self.weights, self.learning_rate, self.how = weights, learning_rate, how

    def step(self, gradients: Iterable[Array | None]) -> None:
        for weight, gradient in zip(self.weights, gradients, strict=True):
            if gradient is not None:
                weight[...] = self.how.kept(weight - self.how.updated(self.learning_rate * gradient))


class _Adam:
    """Kingma and Ba (2015), algorithm 1, with torch's defaults: betas 0.9 and 0.999, eps 1e-8."""

    def __init__(self, weights: Sequence[Array], learning_rate: float, how: _Arithmetic) -> None:
        self.weights, self.learning_rate, self.how, self.t = weights, learning_rate, how, 0
        self.means = [np.zeros_like(w) for w in weights]
        self.squares = [np.zeros_like(w) for w in weights]

    def step(self, gradients: Iterable[Array | None]) -> None:
        self.t += 1
        kept, each = self.how.kept, self.how.updated
        scale, rate = math.sqrt(1 - 0.999**self.t), self.learning_rate / (1 - 0.9**self.t)
        for weight, mean, square, gradient in zip(self.weights, self.means, self.squares, gradients, strict=True):
            if gradient is None:
                continue
            mean[...] = kept(mean + each((1 - 0.9) * each(gradient - mean)))
            square[...] = kept(each(0.999 * square) + each((1 - 0.999) * each(gradient**2)))
            root = each(each(each(np.sqrt(square)) / scale) + 1e-8)
            weight[...] = kept(weight - each(rate * each(mean / root)))
