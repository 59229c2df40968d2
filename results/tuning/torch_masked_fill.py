"""torch_in_place as it was: the mask of the ReLU by masked_fill_."""

import torch

from implementations import implementation


@implementation(framework="torch", devices=("cpu", "accelerator"))
def torch_masked_fill(x, y, w1, w2, learning_rate, steps):
    """before: the mask of the ReLU by masked_fill_."""
    h_relu, inactive = x.new_empty(x.shape[0], w1.shape[1]), x.new_empty(x.shape[0], w1.shape[1], dtype=torch.bool)
    grad_h, y_pred = torch.empty_like(h_relu), torch.empty_like(y)
    residual = y_pred.view(-1)

    for _t in range(steps):
        # Forward pass: compute predicted y; h_relu takes the place of h
        torch.mm(x, w1, out=h_relu)
        h_relu.clamp_(min=0)
        torch.mm(h_relu, w2, out=y_pred)

        # Compute the loss; y_pred becomes y_pred - y
        y_pred.sub_(y)
        loss = residual.dot(residual)

        # Backprop; the gradient of y_pred is 2 (y_pred - y), its 2 goes into the rate below
        torch.mm(y_pred, w2.t(), out=grad_h)
        torch.le(h_relu, 0, out=inactive)
        grad_h.masked_fill_(inactive, 0)

        # Update weights: w += -2 learning_rate (a b), one call for the product and the sum
        w1.addmm_(x.t(), grad_h, alpha=-2.0 * learning_rate)
        w2.addmm_(h_relu.t(), y_pred, alpha=-2.0 * learning_rate)
        yield loss
    return w1, w2
