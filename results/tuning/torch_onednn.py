"""torch_in_place with the large products by oneDNN instead of MKL: a linear layer's kernel of torch.compile."""

import torch

from implementations import implementation


@implementation(framework="torch", devices=("cpu", "accelerator"))
def torch_onednn(x, y, w1, w2, learning_rate, steps):
    """tried: oneDNN."""
    onednn, rows, y_pred = torch.ops.mkldnn._linear_pointwise, w1.t().contiguous(), torch.empty_like(y)
    grad_h = x.new_empty(x.shape[0], w1.shape[1])
    residual = y_pred.view(-1)

    for _t in range(steps):
        # Forward pass: compute predicted y; h_relu takes the place of h
        h_relu = onednn(x, rows, None, "relu", [], "")
        torch.mm(h_relu, w2, out=y_pred)

        # Compute the loss; y_pred becomes y_pred - y
        y_pred.sub_(y)
        loss = residual.dot(residual)

        # Backprop; the gradient of y_pred is 2 (y_pred - y), its 2 goes into the rate below
        torch.mm(y_pred, w2.t(), out=grad_h)
        # ReLU's own backward pass: masked_fill_ branches at every number, a guess that fails
        torch.ops.aten.threshold_backward.grad_input(grad_h, h_relu, 0, grad_input=grad_h)

        # Update weights: w += -2 learning_rate (a b), one call for the product and the sum
        rows.sub_(onednn(grad_h.t(), x.t(), None, "none", [], ""), alpha=2.0 * learning_rate)
        w2.addmm_(h_relu.t(), y_pred, alpha=-2.0 * learning_rate)
        yield loss
    return rows.t().contiguous(), w2
