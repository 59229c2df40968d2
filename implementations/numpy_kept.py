"""numpy as the tutorial writes it, in a process that gives no memory back."""

import numpy as np

from implementations import implementation


@implementation(framework="numpy", devices=("cpu",), heap="kept")
def numpy_kept(x, y, w1, w2, learning_rate, steps):
    """the tutorial's numpy with malloc told to keep what is freed: no page faults."""
    for _t in range(steps):
        # Forward pass: compute predicted y
        h = x.dot(w1)
        h_relu = np.maximum(h, 0)
        y_pred = h_relu.dot(w2)

        # Compute the loss; the clock reads it, as the tutorial prints it
        loss = np.square(y_pred - y).sum()

        # Backprop to compute gradients of w1 and w2 with respect to loss
        grad_y_pred = 2.0 * (y_pred - y)
        grad_w2 = h_relu.T.dot(grad_y_pred)
        grad_h_relu = grad_y_pred.dot(w2.T)
        grad_h = grad_h_relu.copy()
        grad_h[h < 0] = 0
        grad_w1 = x.T.dot(grad_h)

        # Update weights
        w1 -= learning_rate * grad_w1
        w2 -= learning_rate * grad_w2
        yield loss
    return w1, w2
