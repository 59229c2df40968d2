"""The numpy loop compiled by Numba: BLAS products, and everything between them in single passes."""

import numpy as np
from numba import njit

from implementations import implementation


@implementation(framework="numpy", devices=("cpu",), compiled=True)
def numba_manual(x, y, w1, w2, learning_rate, steps):
    """One compiled function an iteration; no Python between its products."""
    h, y_pred = np.empty((x.shape[0], w1.shape[1]), x.dtype), np.empty_like(y)
    grad_h, grad_w1, grad_w2 = np.empty_like(h), np.empty_like(w1), np.empty_like(w2)
    rate = x.dtype.type(learning_rate)
    for _t in range(steps):
        yield x.dtype.type(_iteration(x, y, w1, w2, rate, h, y_pred, grad_h, grad_w1, grad_w2))
    return w1, w2


@njit
def _iteration(x, y, w1, w2, rate, h, y_pred, grad_h, grad_w1, grad_w2):
    # Forward pass: compute predicted y; h becomes h_relu
    np.dot(x, w1, h)
    hidden = h.reshape(-1)
    for i in range(hidden.size):
        if hidden[i] < 0:
            hidden[i] = 0
    np.dot(h, w2, y_pred)

    # Compute the loss; y_pred becomes the gradient of y_pred
    loss, wanted, grad = 0.0, y.reshape(-1), y_pred.reshape(-1)
    for i in range(grad.size):
        residual = grad[i] - wanted[i]
        loss += residual * residual
        grad[i] = 2 * residual

    # Backprop to compute gradients of w1 and w2 with respect to loss
    np.dot(h.T, y_pred, grad_w2)
    np.dot(y_pred, w2.T, grad_h)
    flat = grad_h.reshape(-1)
    for i in range(flat.size):
        if hidden[i] <= 0:
            flat[i] = 0
    np.dot(x.T, grad_h, grad_w1)

    # Update weights
    for w, grad_w in ((w1.reshape(-1), grad_w1.reshape(-1)), (w2.reshape(-1), grad_w2.reshape(-1))):
        for i in range(w.size):
            w[i] -= rate * grad_w[i]
    return loss
