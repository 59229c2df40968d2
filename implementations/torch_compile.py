"""torch.compile of the whole iteration: products stay, what lies between is fused; on a GPU all is one graph."""

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


@implementation(framework="torch", devices=("cpu", "cuda"), compiled=True)
def torch_compile(x, y, w1, w2, learning_rate, steps):
    """`torch.compile`, mode reduce-overhead: fused kernels, in a CUDA graph on a GPU."""
    for array in (x, y, w1, w2):
        # Without this reduce-overhead copies x and y each time and gives up: "skipping cudagraphs due to mutated
        # inputs". No guard: another loop's arrays record another graph, they do not compile again
        torch._dynamo.mark_static_address(array, guard=False)
    rate = torch.tensor(learning_rate, dtype=x.dtype, device=x.device)  # a number would be compiled in
    compiled = torch.compile(iteration, mode="reduce-overhead", fullgraph=True, dynamic=False)
    for _t in range(steps):
        torch.compiler.cudagraph_mark_step_begin()  # the loss of the iteration before may be overwritten
        yield compiled(x, y, w1, w2, rate)
    return w1, w2
