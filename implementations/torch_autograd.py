"""torch autograd: the backward pass is `loss.backward()`."""

import torch

from implementations import implementation


@implementation(framework="torch", devices=("cpu", "accelerator"))
def torch_autograd(x, y, w1, w2, learning_rate, steps):
    """`loss.backward()`, then the update by hand under `no_grad`."""
    w1.requires_grad_()
    w2.requires_grad_()
    for _t in range(steps):
        # Forward pass: compute predicted y using operations on tensors
        y_pred = x.mm(w1).clamp(min=0).mm(w2)

        # Compute the loss
        loss = (y_pred - y).pow(2).sum()

        # Use autograd to compute the backward pass
        loss.backward()

        # Update weights; they require grad, the update must not
        with torch.no_grad():
            w1 -= learning_rate * w1.grad
            w2 -= learning_rate * w2.grad

            # Manually zero the gradients after updating weights
            w1.grad.zero_()
            w2.grad.zero_()
        yield loss.detach()
    return w1.detach(), w2.detach()
