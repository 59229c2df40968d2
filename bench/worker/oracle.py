"""The float64 reference that every style must follow, and the gate that compares."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.cases.problem import MIDDLE_USES

Array = NDArray[np.float64]
REHEARSAL_STEPS = 50


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a correct style may stray from float64, for a dtype and precision.

    `loss`: relative error of each of the first `losses` losses. `weights`: error of the returned weights
    over the way they went in training (over their norm where `by_norm`: bfloat16 rounds most of the way
    away). `end_weights` and `end_root`: the same for weights after a long run, and for every later
    loss the error of its root over the root of the first: beyond 50 iterations the rounding of a loss near
    zero is all there is of it.
    """

    loss: float
    losses: int
    weights: float
    end_weights: float
    end_root: float
    by_norm: bool = False


TOLERANCES = {
    ("float64", "ieee"): Tolerance(1e-9, 50, 1e-9, 1e-8, 1e-9),
    ("float32", "ieee"): Tolerance(1e-5, 50, 1e-3, 1e-2, 1e-4),
    ("float32", "tf32"): Tolerance(1e-2, 50, 1e-1, 0.3, 1e-2),
    ("bfloat16", "ieee"): Tolerance(5e-2, 4, 5e-2, 0.5, 0.6, by_norm=True),
}


@dataclass(frozen=True, slots=True)
class Reference:
    """Losses (steps,) of a training run in float64 and the weights where it ends."""

    losses: Array
    weights: tuple[Array, ...]
    start: tuple[Array, ...]


@dataclass(frozen=True, slots=True)
class Trained:
    """What a style did: its losses by iteration, as far as they were read, and the weights it returned."""

    losses: Mapping[int, float]
    weights: tuple[Array, ...]


def reference(oracle: str, arrays: Sequence[Array], learning_rate: float, steps: int) -> Reference:
    """Train in float64 with numpy: `oracle` is "sgd", "adam" or "dynamic", `arrays` are x, y, w1, w2."""
    x, y, *start = arrays
    weights = [w.copy() for w in start]
    if oracle == "dynamic":
        weights.insert(1, np.eye(weights[0].shape[1]))
    begin = tuple(w.copy() for w in weights)
    losses = np.empty(steps)
    update = _Adam(weights, learning_rate) if oracle == "adam" else None
    for t in range(steps):
        middle = t % MIDDLE_USES if oracle == "dynamic" else 0
        losses[t], gradients = _gradients(x, y, weights, middle)
        if update is None:
            for weight, gradient in zip(weights, gradients, strict=True):
                if gradient is not None:
                    weight -= learning_rate * gradient
        else:
            update.step(gradients)
    return Reference(losses, tuple(weights), begin)


def _gradients(x: Array, y: Array, weights: Sequence[Array], middle: int) -> tuple[float, list[Array | None]]:
    """Sum of squares and its gradients, the middle layer used `middle` times; None: a weight not used."""
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
    return loss, gradients


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


def disagreement(trained: Trained, expected: Reference, tolerance: Tolerance, *, end: bool = False) -> str | None:
    """Why `trained` is not the run that `expected` describes, or None.

    With `end`, `trained` ran as long as `expected` and is judged by where it ended (see Tolerance);
    without, by its first losses and its weights.
    """
    return (
        _wrong_losses(trained.losses, expected.losses, tolerance)
        or (_wrong_end(trained.losses, expected.losses, tolerance) if end else None)
        or _wrong_weights(trained.weights, expected, tolerance, tolerance.end_weights if end else tolerance.weights)
    )


def first_losses_disagreement(losses: Mapping[int, float], expected: Array, tolerance: Tolerance) -> str | None:
    """The part of `disagreement` that needs no weights: for sizes where the oracle affords few iterations."""
    return _wrong_losses(losses, expected, tolerance)


def standstill(losses: Mapping[int, float], checked: int, tolerance: Tolerance) -> str | None:
    """Whether every loss after those that were `checked` closely is the same: nobody trains there any more.

    bfloat16 can stand still honestly, when its updates are rounded away, and so can a loss of 0.
    """
    later = [loss for t, loss in losses.items() if t >= checked]
    if tolerance.by_norm or len(later) < 3 or len(set(later)) > 1 or later[0] == 0:
        return None
    return f"the loss stands still at {later[0]:.9g} from iteration {checked} on"


def _wrong_losses(losses: Mapping[int, float], expected: Array, tolerance: Tolerance) -> str | None:
    for t, loss in losses.items():
        if t >= len(expected):
            continue
        if t >= tolerance.losses:  # rounding has its say by now: judged as an end is
            reason = _wrong_root(t, loss, expected, tolerance)
            if reason:
                return reason
            continue
        error = abs(loss - expected[t]) / abs(expected[t]) if expected[t] else abs(loss)
        if not error <= tolerance.loss:  # not: a NaN is wrong too
            return (
                f"loss of iteration {t} is {loss:.9g}, the float64 oracle says {expected[t]:.9g} "
                f"(relative error {error:.1e}, allowed {tolerance.loss:.0e})"
            )
    return None


def _wrong_end(losses: Mapping[int, float], expected: Array, tolerance: Tolerance) -> str | None:
    last = len(expected) - 1
    if last not in losses:
        return f"no loss of the last iteration, {last}"
    return _wrong_root(last, losses[last], expected, tolerance)


def _wrong_root(t: int, loss: float, expected: Array, tolerance: Tolerance) -> str | None:
    first = max(expected[0], np.finfo(float).tiny)
    error = abs(math.sqrt(max(loss, 0.0)) - math.sqrt(expected[t])) / math.sqrt(first)
    if math.isfinite(loss) and loss >= 0 and error <= tolerance.end_root:
        return None
    return f"the loss after {t + 1} iterations is {loss:.9g}, the float64 oracle is at {expected[t]:.9g}"


def _wrong_weights(weights: Sequence[Array], expected: Reference, tolerance: Tolerance, allowed: float) -> str | None:
    if len(weights) != len(expected.weights):
        return f"returned {len(weights)} weights, expected {len(expected.weights)}"
    for index, (got, end, start) in enumerate(zip(weights, expected.weights, expected.start, strict=True), start=1):
        if got.shape != end.shape:
            return f"weight {index} has shape {got.shape}, expected {end.shape}"
        norm = float(np.linalg.norm(end))
        way = float(np.linalg.norm(end - start))
        scale = norm if tolerance.by_norm else max(way, 1e-3 * norm)
        error = float(np.linalg.norm(got - end)) / max(scale, np.finfo(float).tiny)
        if not error <= allowed:
            against = "their norm" if tolerance.by_norm else "the way they went"
            return (
                f"weight {index} is not where the float64 oracle ends "
                f"(off by {error:.1e} of {against}, allowed {allowed:.0e})"
            )
    return None
