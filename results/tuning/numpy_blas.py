"""numpy arrays, every product by BLAS itself: the update is part of the product that makes the gradient."""

import numpy as np
from scipy.linalg.blas import get_blas_funcs

from implementations import implementation


@implementation(framework="numpy", devices=("cpu",))
def numpy_blas(x, y, w1, w2, learning_rate, steps):
    """BLAS's own gemm, which adds `alpha` times a product to an array: no gradient of a weight is ever stored."""
    # BLAS keeps columns together, so it is handed each array's transpose: c.T = b.T a.T where c = a b
    gemm = get_blas_funcs("gemm", (x,))
    h_relu = np.empty((x.shape[0], w1.shape[1]), x.dtype)
    y_pred, grad_h = np.empty_like(y), np.empty_like(h_relu)
    active, mask = np.empty(h_relu.shape, bool), np.empty_like(h_relu)
    residual = y_pred.reshape(-1)
    rate = -2.0 * learning_rate

    for _t in range(steps):
        # Forward pass: compute predicted y; h_relu takes the place of h
        gemm(1.0, w1.T, x.T, c=h_relu.T, overwrite_c=1)
        np.maximum(h_relu, 0, out=h_relu)
        gemm(1.0, w2.T, h_relu.T, c=y_pred.T, overwrite_c=1)

        # Compute the loss; y_pred becomes y_pred - y
        np.subtract(y_pred, y, out=y_pred)
        loss = residual.dot(residual)

        # Backprop and update of the weights; the rate and the 2 of the gradient are factors of the products
        gemm(1.0, w2.T, y_pred.T, c=grad_h.T, trans_a=1, overwrite_c=1)
        gemm(rate, y_pred.T, h_relu.T, beta=1.0, c=w2.T, trans_b=1, overwrite_c=1)
        np.greater(h_relu, 0, out=active)
        np.copyto(mask, active)
        np.multiply(grad_h, mask, out=grad_h)  # a product: putmask branches at every number, a guess that fails
        gemm(rate, grad_h.T, x.T, beta=1.0, c=w1.T, trans_b=1, overwrite_c=1)
        yield loss
    return w1, w2
