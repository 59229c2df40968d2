"""torch.compile of the tutorial's iteration on a CPU: the products stay, what lies between them is fused into C++."""

import torch

from implementations import implementation


def iteration(x, y, w1, w2, learning_rate):
    """The tutorial's iteration on torch tensors; the loss."""
    # Forward pass: compute predicted y
    h = x.mm(w1)
    h_relu = h.clamp(min=0)
    y_pred = h_relu.mm(w2)

    # Compute the loss
    loss = (y_pred - y).pow(2).sum()

    # Backprop to compute gradients of w1 and w2 with respect to loss
    grad_y_pred = 2.0 * (y_pred - y)
    grad_w2 = h_relu.t().mm(grad_y_pred)
    grad_h_relu = grad_y_pred.mm(w2.t())
    grad_h = torch.where(h < 0, 0.0, grad_h_relu)
    grad_w1 = x.t().mm(grad_h)

    # Update weights
    w1 -= learning_rate * grad_w1
    w2 -= learning_rate * grad_w2
    return loss


@implementation(framework="torch", devices=("cpu",))
def torch_compiled(x, y, w1, w2, learning_rate, steps):
    """tried: `torch.compile` on a CPU."""
    rate = torch.tensor(learning_rate, dtype=x.dtype)  # a number would be compiled in
    compiled = torch.compile(iteration, fullgraph=True, dynamic=False)
    for _t in range(steps):
        yield compiled(x, y, w1, w2, rate)
    return w1, w2
