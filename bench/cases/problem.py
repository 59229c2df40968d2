"""The problem that every style solves: its shapes, data, learning rate, work and memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Size(NamedTuple):
    """The four sides of the problem: N samples, D_in inputs, H hidden units, D_out outputs."""

    n: int
    d_in: int
    hidden: int
    d_out: int

    def __str__(self) -> str:
        """`64x1000x100x10`."""
        return "x".join(map(str, self))

    @property
    def short(self) -> str:
        """`tutorial`, `2x` where every side is twice the tutorial's, else `64x1000x100x20`."""
        scale = self.d_in / TUTORIAL_SIZE.d_in
        if self == TUTORIAL_SIZE:
            return "tutorial"
        return f"{scale:g}x" if TUTORIAL_SIZE.scaled(scale) == self else str(self)

    @property
    def flops(self) -> int:
        """Operations of one iteration under SGD, see `Problem.flops`."""
        return Problem(*self).flops

    def scaled(self, scale: float) -> Size:
        """Every side times `scale`, at least 1; work grows with the cube."""
        return Size(*(max(1, round(side * scale)) for side in self))


TUTORIAL_SIZE = Size(64, 1000, 100, 10)
TUTORIAL_LEARNING_RATE = 1e-6
TUTORIAL_ITERATIONS = 500
ITEM_BYTES = {"float64": 8, "float32": 4, "bfloat16": 2}
DTYPES = tuple(ITEM_BYTES)
ADAM_LEARNING_RATE = 1e-3
MIDDLE_USES = 4  # the dynamic net uses its middle layer 0, 1, 2, 3 times in turn


@dataclass(frozen=True, slots=True)
class Problem:
    """Two layers without biases, ReLU between them, sum of squares, `n` samples at once.

    x is (n, d_in), y (n, d_out), w1 (d_in, hidden), w2 (hidden, d_out).
    """

    n: int = TUTORIAL_SIZE.n
    d_in: int = TUTORIAL_SIZE.d_in
    hidden: int = TUTORIAL_SIZE.hidden
    d_out: int = TUTORIAL_SIZE.d_out
    dtype: str = "float32"
    learning_rate: float = TUTORIAL_LEARNING_RATE
    seed: int = 0

    @property
    def size(self) -> Size:
        """(n, d_in, hidden, d_out)."""
        return Size(self.n, self.d_in, self.hidden, self.d_out)

    @property
    def weights(self) -> int:
        """Number of trained weights, D_in*H + H*D_out."""
        return self.d_in * self.hidden + self.hidden * self.d_out

    def arrays(self) -> tuple[NDArray[np.float64], ...]:
        """x, y, w1, w2 as C-contiguous float64, standard normal, the same for the same seed and size."""
        import numpy as np

        draw = np.random.default_rng(self.seed).standard_normal
        n, d_in, hidden, d_out = self.size
        return draw((n, d_in)), draw((n, d_out)), draw((d_in, hidden)), draw((hidden, d_out))

    @property
    def flops(self) -> int:
        """Floating-point operations of one iteration of the two-layer net under SGD.

        Products, a multiplication and an addition each: x w1 and x^T grad_h take 2*N*D_in*H apiece;
        h_relu w2, h_relu^T grad_y and grad_y w2^T take 2*N*H*D_out apiece. Together
        4*N*D_in*H + 6*N*H*D_out: 25.98 MFLOP at the tutorial's size. Elementwise: ReLU and its mask,
        2*N*H; residual, square, sum and the factor 2, 4*N*D_out; update, 2*(D_in*H + H*D_out).
        """
        n, _d_in, hidden, d_out = self.size
        return self.product_flops + 2 * n * hidden + 4 * n * d_out + 2 * self.weights

    @property
    def product_flops(self) -> int:
        """The part of `flops` that is in matrix products: 4*N*D_in*H + 6*N*H*D_out."""
        n, d_in, hidden, d_out = self.size
        return 4 * n * d_in * hidden + 6 * n * hidden * d_out

    @property
    def bytes_moved(self) -> int:
        """The least bytes that one iteration moves to and from memory when no cache holds anything.

        x and y are read once in the forward pass, x once more for grad_w1: 2*N*D_in + N*D_out. Each
        weight is read in the forward pass, read and written by the update: 3*(D_in*H + H*D_out), and w2
        is read once more for grad_h. h is written once and read once by grad_w2, grad_h likewise by
        grad_w1: 4*N*H. y_pred stays in registers of the perfect program. A machine whose cache holds all
        of it moves less, so this bounds only sizes that outgrow the cache.
        """
        n, d_in, hidden, d_out = self.size
        items = 2 * n * d_in + n * d_out + 3 * self.weights + hidden * d_out + 4 * n * hidden
        return items * ITEM_BYTES[self.dtype]

    @property
    def device_bytes(self) -> int:
        """Peak bytes on the device while a style trains: data, weights, two gradients, temporaries (an estimate)."""
        n, d_in, hidden, d_out = self.size
        items = n * d_in + 5 * n * d_out + 3 * self.weights + 5 * n * hidden
        return items * ITEM_BYTES[self.dtype]

    @property
    def host_bytes(self) -> int:
        """Peak bytes on the host, besides the device's: the float64 originals and the copies that are sent."""
        n, d_in, _hidden, d_out = self.size
        items = n * d_in + n * d_out + self.weights
        return items * (8 + ITEM_BYTES[self.dtype])


def dynamic_flops(problem: Problem) -> int:
    """Operations of a mean iteration of the dynamic net: its middle layer is used 1.5 times in the mean.

    Each use is three products of (N, H) with (H, H): forward, and two in the backward pass, 6*N*H*H; its
    ReLU and mask are 2*N*H; the update of the middle weights is 2*H*H in every iteration that used them.
    """
    n, hidden = problem.n, problem.hidden
    uses = sum(range(MIDDLE_USES)) / MIDDLE_USES
    update = 2 * hidden * hidden * (MIDDLE_USES - 1) / MIDDLE_USES
    return problem.flops + round(uses * (6 * n * hidden * hidden + 2 * n * hidden) + update)


def work_flops(problem: Problem, oracle: str) -> int:
    """Operations of one iteration of the net that `oracle` ("sgd", "adam", "dynamic") describes.

    Adam adds about 10 operations a weight to the 2 of SGD: two moments, a root, a quotient.
    """
    if oracle == "dynamic":
        return dynamic_flops(problem)
    return problem.flops + (10 * problem.weights if oracle == "adam" else 0)


def judge_bytes(problem: Problem, oracle: str) -> int:
    """Peak bytes on the host while a run is held against the oracle, exact ones and twins (an estimate, not below it).

    In float64: weights where runs start and end, of the oracle, the exact one and a twin, gradients and Adam's moments;
    every hidden layer, its gradient and mask; x as it was given, as it is used and squared.
    """
    n, d_in, hidden, d_out = problem.size
    dynamic = oracle == "dynamic"
    weights = problem.weights + dynamic * hidden * hidden
    return 8 * (14 * weights + (7 + 9 * dynamic) * n * hidden + 10 * n * d_out + 4 * n * d_in)


def stable_learning_rate(size: tuple[int, int, int, int], oracle: str = "sgd") -> float:
    """A learning rate under which training at `size` from standard normal weights stays finite.

    SGD: 0.5 / lam, where lam bounds the largest eigenvalue of the loss's Gauss-Newton matrix at the start:
    H*D_in*(N/(2 pi) + 1/2 - 1/(2 pi)) from w2, plus (H*D_in/2)*(1 + sqrt(N/D_in))^2*(1 + sqrt(2*D_out/H))^2
    from w1 (random-matrix edges; within 1.01-1.38 of power iteration on ten sizes, never below).
    The dynamic net's middle layer, used up to 3 times, adds 9 * (w2's term) * H * (1 + sqrt(D_out/H))^2.
    Adam's step does not depend on the size of the gradient: torch's own default.
    """
    n, d_in, hidden, d_out = size
    if oracle == "adam":
        return ADAM_LEARNING_RATE
    activity = hidden * d_in * (n / (2 * math.pi) + 0.5 - 1 / (2 * math.pi))
    first = hidden * d_in / 2 * (1 + math.sqrt(n / d_in)) ** 2 * (1 + math.sqrt(2 * d_out / hidden)) ** 2
    lam = activity + first
    if oracle == "dynamic":
        lam += 9 * activity * hidden * (1 + math.sqrt(d_out / hidden)) ** 2
    return 0.5 / lam
