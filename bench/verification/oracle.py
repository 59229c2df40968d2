"""The float64 reference that every style must follow."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from bench.cases.challenge import Flip, changes
from bench.cases.problem import MIDDLE_USES

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reference:
    """Losses (steps,) of a training run in float64 and the weights where it ends.

    `outputs` is the sum of squares of all terms that make the first y_pred: their rounding is in the first loss,
    however small that is. `unchanged`: iterations from one change of x to the next, all of them where it never changes.
    """

    losses: Array
    weights: tuple[Array, ...]
    start: tuple[Array, ...]
    outputs: float = 0.0
    unchanged: tuple[int, ...] = ()


def reference(
    oracle: str, arrays: Sequence[Array], learning_rate: float, steps: int, flips: Sequence[Flip] = ()
) -> Reference:
    """Train in float64 with numpy: `oracle` is "sgd", "adam" or "dynamic", `arrays` are x, y, w1, w2.

    x changes sign as `flips` say; `arrays` stay as they are.
    """
    x, y, *start = arrays
    places = {flip.step: flip.place for flip in changes(flips)}
    if places:
        x = x.copy()
    weights = [w.copy() for w in start]
    if oracle == "dynamic":
        weights.insert(1, np.eye(weights[0].shape[1]))
    begin = tuple(w.copy() for w in weights)
    losses, outputs = np.empty(steps), 0.0
    update = _Adam(weights, learning_rate) if oracle == "adam" else None
    for t in range(steps):
        if t in places:
            np.negative(x[places[t]], out=x[places[t]])
        middle = t % MIDDLE_USES if oracle == "dynamic" else 0
        losses[t], gradients, last_layer = _gradients(x, y, weights, middle)
        if t == 0:
            outputs = float((np.square(last_layer) @ np.square(weights[-1])).sum())
        if update is None:
            for weight, gradient in zip(weights, gradients, strict=True):
                if gradient is not None:
                    weight -= learning_rate * gradient
        else:
            update.step(gradients)
    ends = sorted({0, steps, *(step for step in places if step < steps)})
    unchanged = tuple(after - before for before, after in pairwise(ends))
    return Reference(losses, tuple(weights), begin, outputs, unchanged)


def _gradients(x: Array, y: Array, weights: Sequence[Array], middle: int) -> tuple[float, list[Array | None], Array]:
    """Sum of squares, its gradients, and the last hidden layer, the middle one used `middle` times.

    None is the gradient of a weight that is not used.
    """
    first, last = weights[0], weights[-1]
    before = [x @ first]
    layers = [np.maximum(before[0], 0)]
    for _ in range(middle):
        before.append(layers[-1] @ weights[1])
        layers.append(np.maximum(before[-1], 0))
    residual = layers[-1] @ last - y
    grad_y = 2.0 * residual
    grad_last = layers[-1].T @ grad_y
    # the tutorial stops the gradient where h < 0 and lets it pass at 0
    grad = (grad_y @ last.T) * (before[-1] >= 0)
    grad_middle: Array | None = None
    for layer in range(middle - 1, -1, -1):
        share = layers[layer].T @ grad
        grad_middle = share if grad_middle is None else grad_middle + share
        grad = (grad @ weights[1].T) * (before[layer] >= 0)
    loss = float(np.square(residual).sum())
    gradients: list[Array | None] = [x.T @ grad, grad_last]
    if len(weights) == 3:
        gradients.insert(1, grad_middle)
    return loss, gradients, layers[-1]


class _Adam:
    """Kingma and Ba (2015), algorithm 1, with torch's defaults: betas 0.9 and 0.999, eps 1e-8."""

    def __init__(self, weights: Sequence[Array], learning_rate: float) -> None:
        self.weights, self.learning_rate, self.t = weights, learning_rate, 0
        self.means = [np.zeros_like(w) for w in weights]
        self.squares = [np.zeros_like(w) for w in weights]

    def step(self, gradients: Iterable[Array | None]) -> None:
        self.t += 1
        for weight, mean, square, gradient in zip(self.weights, self.means, self.squares, gradients, strict=True):
            if gradient is None:
                continue
            mean += (1 - 0.9) * (gradient - mean)
            square *= 0.999
            square += (1 - 0.999) * gradient**2
            root = np.sqrt(square) / math.sqrt(1 - 0.999**self.t) + 1e-8
            weight -= self.learning_rate / (1 - 0.9**self.t) * mean / root
