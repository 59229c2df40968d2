"""torch with a custom autograd Function: MyReLU."""

import torch

from implementations import implementation


class MyReLU(torch.autograd.Function):
    """ReLU with its forward and backward passes written by hand."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        grad_x = grad_output.clone()
        grad_x[x < 0] = 0
        return grad_x


@implementation(framework="torch", devices=("cpu", "accelerator"))
def torch_function(x, y, w1, w2, learning_rate, steps):
    """autograd with the tutorial's own `autograd.Function`, MyReLU."""
    w1.requires_grad_()
    w2.requires_grad_()
    for _t in range(steps):
        # Forward pass: compute predicted y using our own ReLU
        y_pred = MyReLU.apply(x.mm(w1)).mm(w2)

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
