"""The reference that every style must follow: computed in float64, stored as the style stores."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.cases.challenge import Flip, changes
from bench.cases.problem import MIDDLE_USES
from bench.verification.storage import STORED, TF32, Rounding

Array = NDArray[np.float64]
Product = Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True)
class Reference:
    """Losses (steps,) of a training run that is computed here, and the weights where it ends.

    `outputs` is the sum of squares of all terms that make the first y_pred: their rounding is in the first loss,
    however small that is.
    """

    losses: Array
    weights: tuple[Array, ...]
    start: tuple[Array, ...]
    outputs: float = 0.0


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
    return _train(oracle, [np.array(kept(a), np.float64) for a in arrays], learning_rate, steps, flips, kept)


def twin(
    oracle: str,
    arrays: Sequence[Array],
    learning_rate: float,
    steps: int,
    flips: Sequence[Flip] = (),
    precision: str = "ieee",
    seed: int = 0,
) -> Reference:
    """The same run computed in float32, its hidden units in an order drawn by `seed`: honest, and rounded otherwise.

    With a `precision` of "tf32" the factors of every product are rounded to 10 bits first.
    """
    x, y, first, last = (np.asarray(a, np.float32) for a in arrays)
    order = np.random.default_rng(seed).permutation(first.shape[1])
    back = np.argsort(order)
    mul: Product = (lambda a, b: TF32(a) @ TF32(b)) if precision == "tf32" else np.matmul
    rounded = _train(oracle, [x.copy(), y, first[:, order], last[order]], learning_rate, steps, flips, np.asarray, mul)

    def ordered(weights: Sequence[Array]) -> tuple[Array, ...]:
        leading, *middle, following = (weight.astype(np.float64) for weight in weights)
        return leading[:, back], *(weight[back][:, back] for weight in middle), following[back]

    return replace(rounded, weights=ordered(rounded.weights), start=ordered(rounded.start))


def _train(
    oracle: str,
    arrays: Sequence[Any],
    learning_rate: float,
    steps: int,
    flips: Sequence[Flip],
    kept: Rounding,
    mul: Product = np.matmul,
) -> Reference:
    """In the arithmetic of `arrays`, of which x and the weights are written into."""
    x, y, *weights = arrays
    places = {flip.step: flip.place for flip in changes(flips)}
    if oracle == "dynamic":
        weights.insert(1, np.eye(weights[0].shape[1], dtype=x.dtype))
    start = tuple(w.copy() for w in weights)
    losses, outputs = np.empty(steps), 0.0
    update = (_Adam if oracle == "adam" else _Descent)(weights, learning_rate, kept)
    for t in range(steps):
        if t in places:
            np.negative(x[places[t]], out=x[places[t]])
        middle = t % MIDDLE_USES if oracle == "dynamic" else 0
        losses[t], gradients, last_layer = _gradients(x, y, weights, middle, mul)
        if t == 0:
            outputs = float((np.square(last_layer) @ np.square(weights[-1])).sum())
        update.step(gradients)
    return Reference(losses, tuple(weights), start, outputs)


def _gradients(
    x: Array, y: Array, weights: Sequence[Array], middle: int, mul: Product
) -> tuple[float, list[Array | None], Array]:
    """Sum of squares, its gradients, and the last hidden layer, the middle one used `middle` times.

    None is the gradient of a weight that is not used.
    """
    first, last = weights[0], weights[-1]
    before = [mul(x, first)]
    layers = [np.maximum(before[0], 0)]
    for _ in range(middle):
        before.append(mul(layers[-1], weights[1]))
        layers.append(np.maximum(before[-1], 0))
    residual = mul(layers[-1], last) - y
    grad_y = 2.0 * residual
    grad_last = mul(layers[-1].T, grad_y)
    # the tutorial stops the gradient where h < 0 and lets it pass at 0
    grad = mul(grad_y, last.T) * (before[-1] >= 0)
    grad_middle: Array | None = None
    for layer in range(middle - 1, -1, -1):
        share = mul(layers[layer].T, grad)
        grad_middle = share if grad_middle is None else grad_middle + share
        grad = mul(grad, weights[1].T) * (before[layer] >= 0)
    loss = float(np.square(residual).sum())
    gradients: list[Array | None] = [mul(x.T, grad), grad_last]
    if len(weights) == 3:
        gradients.insert(1, grad_middle)
    return loss, gradients, layers[-1]


class _Descent:
    """Plain gradient descent."""

    def __init__(self, weights: Sequence[Array], learning_rate: float, kept: Rounding) -> None:
        self.weights, self.learning_rate, self.kept = weights, learning_rate, kept

    def step(self, gradients: Iterable[Array | None]) -> None:
        for weight, gradient in zip(self.weights, gradients, strict=True):
            if gradient is not None:
                weight[...] = self.kept(weight - self.learning_rate * gradient)


class _Adam:
    """Kingma and Ba (2015), algorithm 1, with torch's defaults: betas 0.9 and 0.999, eps 1e-8."""

    def __init__(self, weights: Sequence[Array], learning_rate: float, kept: Rounding) -> None:
        self.weights, self.learning_rate, self.kept, self.t = weights, learning_rate, kept, 0
        self.means = [np.zeros_like(w) for w in weights]
        self.squares = [np.zeros_like(w) for w in weights]

    def step(self, gradients: Iterable[Array | None]) -> None:
        self.t += 1
        for weight, mean, square, gradient in zip(self.weights, self.means, self.squares, gradients, strict=True):
            if gradient is None:
                continue
            mean[...] = self.kept(mean + (1 - 0.9) * (gradient - mean))
            square[...] = self.kept(0.999 * square + (1 - 0.999) * gradient**2)
            root = np.sqrt(square) / math.sqrt(1 - 0.999**self.t) + 1e-8
            weight[...] = self.kept(weight - self.learning_rate / (1 - 0.9**self.t) * mean / root)
