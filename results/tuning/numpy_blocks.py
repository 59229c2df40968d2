"""numpy_in_place by blocks of rows of the hidden layer that stay in the cache, in rows that are not 4 KiB apart."""

import numpy as np

from implementations import implementation

BLOCK_BYTES = 2**18  # of the hidden layer: with its gradient less than a core's own cache


@implementation(framework="numpy", devices=("cpu",))
def numpy_blocks(x, y, w1, w2, learning_rate, steps):
    """a wide hidden layer by blocks of rows, rows not 4 KiB apart."""
    # One buffer for each name of the tutorial; names whose lives do not overlap share one
    h_relu, grad_h = _empty(x.shape[0], w1.shape[1], x.dtype), _empty(x.shape[0], w1.shape[1], x.dtype)
    y_pred, grad_y_pred = np.empty_like(y), np.empty_like(y)
    grad_w1 = _empty(*w1.shape, x.dtype)
    residual = y_pred.reshape(-1)
    rate = x.dtype.type(2.0 * learning_rate)

    # A hidden layer that the cache does not hold goes through it in blocks of rows
    rows = max(1, BLOCK_BYTES // (w1.shape[1] * x.itemsize))
    active, mask = np.empty((rows, w1.shape[1]), bool), np.empty((rows, w1.shape[1]), x.dtype)
    blocks = []
    for start in range(0, x.shape[0], rows):
        block = slice(start, start + rows)
        arrays = [array[block] for array in (y, h_relu, y_pred, grad_y_pred, grad_h)]
        blocks.append((*arrays, active[: len(arrays[0])], mask[: len(arrays[0])], np.empty_like(w2)))
    grad_w2, *others = (arrays[-1] for arrays in blocks)

    for _t in range(steps):
        # Forward pass: compute predicted y; h_relu takes the place of h
        np.matmul(x, w1, out=h_relu)
        for y_b, h_relu_b, y_pred_b, grad_y_pred_b, grad_h_b, active_b, mask_b, grad_w2_b in blocks:
            np.maximum(h_relu_b, 0, out=h_relu_b)
            np.dot(h_relu_b, w2, out=y_pred_b)

            # Backprop; y_pred becomes y_pred - y, and the rate in grad_y_pred spares two passes over the weights
            np.subtract(y_pred_b, y_b, out=y_pred_b)
            np.multiply(y_pred_b, rate, out=grad_y_pred_b)
            np.dot(h_relu_b.T, grad_y_pred_b, out=grad_w2_b)
            np.matmul(grad_y_pred_b, w2.T, out=grad_h_b)
            np.greater(h_relu_b, 0, out=active_b)
            np.copyto(mask_b, active_b)
            np.multiply(grad_h_b, mask_b, out=grad_h_b)  # a product: putmask branches at every number, mostly wrong
        np.matmul(x.T, grad_h, out=grad_w1)

        # Compute the loss
        loss = residual.dot(residual)

        # Update weights
        for grad_w2_b in others:
            np.add(grad_w2, grad_w2_b, out=grad_w2)
        np.subtract(w1, grad_w1, out=w1)
        np.subtract(w2, grad_w2, out=w2)
        yield loss
    return w1, w2


def _empty(rows, columns, dtype):
    """Rows that would lie a multiple of 4 KiB apart, all in the same few lines of a cache, get a line more each."""
    line = 64 // dtype.itemsize
    return np.empty((rows, columns + line * (columns * dtype.itemsize % 4096 == 0)), dtype)[:, :columns]
